#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Large data sets of made-up content, and how long mohs takes to index them:
data_index.py BUILD DIR. Keeps what it made in DIR (about 1.4 GB)."""
import io
import json
import os
import random
import subprocess
import sys
import tarfile

WORDS = ("a man woman dog cat horse is was standing sitting riding on in near the of with "
         "red blue green large small street table field water snow two three people kitchen "
         "train bus plane skateboard surfboard pizza cake").split()


def caption(r):
    return " ".join(r.choice(WORDS) for _ in range(10)).capitalize() + "."


def coco(path, images=118287, captions=600000):
    """The size of COCO 2017 train, with its fields."""
    r = random.Random(1)
    with open(path, "w") as f:
        json.dump({"info": {"year": 2017}, "licenses": [], "images": [
            {"license": 3, "file_name": f"{i:012d}.jpg",
             "coco_url": f"http://images.example/train2017/{i:012d}.jpg", "height": 480,
             "width": 640, "date_captured": "2013-11-14 17:02:52",
             "flickr_url": f"http://farm.example/{i}_z.jpg", "id": i}
            for i in range(images)], "annotations": [
            {"image_id": k % images, "id": k, "caption": caption(r)}
            for k in range(captions)]}, f)


def karpathy(path, images=123287):
    r = random.Random(2)
    with open(path, "w") as f:
        def sentence(i, k):
            raw = caption(r)
            return {"tokens": raw.lower().rstrip(".").split(), "raw": raw, "imgid": i,
                    "sentid": k}
        json.dump({"images": [
            {"filepath": "train2014", "sentids": [5 * i + k for k in range(5)],
             "filename": f"COCO_train2014_{i:012d}.jpg", "imgid": i,
             "split": "train" if i % 12 else "test",
             "sentences": [sentence(i, 5 * i + k) for k in range(5)], "cocoid": i}
            for i in range(images)], "dataset": "coco"}, f)


def csv(path, rows=600000):
    r = random.Random(3)
    with open(path, "w") as f:
        f.write("filepath\ttitle\n")
        for k in range(rows):
            f.write(f"train/{k // 5:08d}.jpg\t{caption(r)}\n")


def webdataset(path, images=100000, shards=10, size=10000):
    """Pictures of 10 kB in ten shards, each with a label."""
    os.makedirs(os.path.join(path, "test"))
    r = random.Random(4)
    block = r.randbytes(size)
    per = images // shards
    for s in range(shards):
        with tarfile.open(os.path.join(path, "test", f"{s}.tar"), "w",
                          format=tarfile.USTAR_FORMAT) as t:
            for k in range(s * per, (s + 1) * per):
                for ext, data in (("jpg", block), ("cls", str(k % 1000).encode())):
                    info = tarfile.TarInfo(f"{k:08d}.{ext}")
                    info.size = len(data)
                    t.addfile(info, io.BytesIO(data))
    with open(os.path.join(path, "test", "nshards.txt"), "w") as f:
        f.write(str(shards))


def folder(path, classes=1000, images=1200):
    """ImageNet's training tree: 1.2 million empty files in a folder a class."""
    r = random.Random(5)
    for c in range(classes):
        wnid = f"n{r.randrange(10**8):08d}"
        os.makedirs(os.path.join(path, wnid), exist_ok=True)
        for k in range(images):
            open(os.path.join(path, wnid, f"{wnid}_{k * 17}.JPEG"), "w").close()


def main():
    build, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    env = dict(os.environ, MOHS_CACHE_DIR=os.path.join(out, "cache"))
    for kind, make, name in (("coco", coco, "coco.json"),
                             ("karpathy", karpathy, "karpathy.json"),
                             ("csv", csv, "captions.tsv"),
                             ("webdataset", webdataset, "shards"),
                             ("folder", folder, "folders")):
        path = os.path.join(out, name)
        if not os.path.exists(path):
            make(path)
        for _ in range(2):  # an archive's index is made by the first run
            subprocess.run([os.path.join(build, "bench", "data_index"), kind, path],
                           check=True, env=env)


if __name__ == "__main__":
    main()
