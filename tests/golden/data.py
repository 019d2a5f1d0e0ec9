#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Small data sets by the packages that people make them with, and what these
packages read from them: tests/golden/data. Needs webdataset, pillow, pyarrow,
safetensors."""
import io
import json
import os
import shutil
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from PIL import Image
from safetensors.numpy import save_file

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


def picture(k, kind="PNG"):
    im = Image.new("RGB", (8, 8), ((37 * k) % 256, (91 * k) % 256, (5 * k) % 256))
    im.putpixel((k % 8, 3), (255, 255, 255))
    b = io.BytesIO()
    im.save(b, kind)
    return b.getvalue()


def wds_classes():
    """Zero-shot classification in CLIP-benchmark's layout, two shards."""
    root = os.path.join(OUT, "wds_classes")
    os.makedirs(os.path.join(root, "test"))
    k = 0
    for shard, kinds in enumerate((["webp", "png", "jpg"], ["jpeg", "png"])):
        path = os.path.join(root, "test", f"{shard}.tar")
        with webdataset.TarWriter(path, mtime=0) as w:
            for kind in kinds:
                pil = {"webp": "WEBP", "png": "PNG", "jpg": "JPEG", "jpeg": "JPEG"}[kind]
                w.write({"__key__": f"s{k:04d}", kind: picture(k, pil), "cls": k % 3})
                k += 1
    for name, text in (("test/nshards.txt", "2"), ("dataset_type.txt", "classification\n"),
                       ("classnames.txt", "red\ngreen thing\nblue\n"),
                       ("zeroshot_classification_templates.txt", "a photo of a {c}.\n")):
        with open(os.path.join(root, name), "w") as f:
            f.write(text)


def wds_captions():
    """Retrieval: captions a line, and one sample with its captions in JSON."""
    root = os.path.join(OUT, "wds_captions")
    os.makedirs(os.path.join(root, "test"))
    with webdataset.TarWriter(os.path.join(root, "test", "0.tar"), mtime=0) as w:
        w.write({"__key__": "a/001", "jpg": picture(1, "JPEG"),
                 "txt": "one caption\nand a caf\u00e9\n"})
        w.write({"__key__": "a/002", "png": picture(2), "seg.png": picture(9),
                 "txt": "a second picture"})
        w.write({"__key__": "b/001", "png": picture(3),
                 "json": {"width": 8, "caption": ["from json", "twice"]}})
    for name, text in (("test/nshards.txt", "1\n"), ("dataset_type.txt", "retrieval")):
        with open(os.path.join(root, name), "w") as f:
            f.write(text)


def tars():
    """Every dialect with long and foreign names; offsets as tarfile has them."""
    lines = []
    names = ["a.jpg", "long/" + "x" * 90 + "/" + "y" * 60 + ".jpg",
             "unicode/\u00e9\u732b.png", "n" * 97 + ".t", "./dot/b.cls", "empty.bin"]
    for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT),
                       ("pax", tarfile.PAX_FORMAT)):
        path = os.path.join(OUT, f"{name}.tar")
        with tarfile.open(path, "w", format=form) as t:
            d = tarfile.TarInfo("long")
            d.type = tarfile.DIRTYPE
            t.addfile(d)
            for i, n in enumerate(names):
                data = b"7" if n.endswith(".cls") else bytes([i]) * (300 * i % 1201)
                info = tarfile.TarInfo(n)
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
        with tarfile.open(path) as t:
            for m in t:
                if m.isreg():
                    lines.append(f"{name} {m.offset_data} {m.size} {m.name}\n")
    with open(os.path.join(OUT, "tars.txt"), "w") as f:
        f.writelines(lines)


ROWS = 11


def captions(k):
    """0 to 3 of them; every fifth row none."""
    return [f"caption {k}.{j}" for j in range(k % 4)] if k % 5 else None


def parquet():
    """Writers' settings that change what lies in the file."""
    hf = json.dumps({"info": {"features": {
        "image": {"_type": "Image"}, "label": {"names": ["ant", "bee", "caf\u00e9"],
                                               "_type": "ClassLabel"}}}})
    image = pa.array([{"bytes": picture(k), "path": f"{k}.png"} for k in range(ROWS)])
    label = pa.array([k % 3 for k in range(ROWS)], pa.int64())
    text = pa.array([f"text {k % 4}" for k in range(ROWS)])
    lists = pa.array([captions(k) for k in range(ROWS)])
    plain = pa.array([picture(k) for k in range(ROWS)], pa.binary())
    noted = pa.table({"image": image, "label": label}).replace_schema_metadata(
        {"huggingface": hf})
    small = {"row_group_size": 4, "data_page_size": 150, "write_batch_size": 2}
    for name, table, how in (
            ("snappy", noted, dict(small, compression="snappy")),
            ("zstd_v2", pa.table({"image": image, "captions": lists}),
             dict(small, compression="zstd", data_page_version="2.0")),
            ("gzip", pa.table({"jpg": plain, "caption": text, "label": pa.array(
                [f"class {2 - k % 3}" for k in range(ROWS)])}),
             dict(small, compression="gzip", use_dictionary=False)),
            ("none_v2", pa.table({"picture": image, "text": text,
                                  "label": label.cast(pa.int32())}),
             {"compression": "none", "data_page_version": "2.0"}),
            ("required", pa.table([plain, text, label], schema=pa.schema(
                [pa.field("image", pa.binary(), False), pa.field("text", pa.string(), False),
                 pa.field("cls", pa.int64(), False)])), dict(small, compression="snappy")),
            ("lz4", noted, dict(small, compression="lz4")),  # LZ4_RAW
            ("brotli", noted, dict(small, compression="brotli", data_page_version="2.0")),
            ("delta", noted.slice(0, 1), {"use_dictionary": False, "column_encoding": {
                "label": "DELTA_BINARY_PACKED"}}),
            ("null", pa.table({"image": pa.array([{"bytes": picture(0)}, None])}), {})):
        os.makedirs(os.path.join(OUT, "parquet"), exist_ok=True)
        pq.write_table(table, os.path.join(OUT, "parquet", f"{name}.parquet"), **how)


def embeddings():
    """Arrays as people save them, and recalls and accuracy by brute force."""
    out = os.path.join(OUT, "embeddings")
    os.makedirs(out)
    r = np.random.default_rng(5)
    image = r.normal(size=(12, 16)).astype(np.float32)
    owner = r.integers(0, 12, 40)
    owner[:12] = np.arange(12)
    text = (image[owner] + 1.3 * r.normal(size=(40, 16))).astype(np.float32) * 3
    classes = r.normal(size=(4, 16)).astype(np.float32)
    label = r.integers(0, 4, 12)
    np.save(os.path.join(out, "image.npy"), image)
    np.save(os.path.join(out, "text.npy"), text.astype(np.float16))
    np.save(os.path.join(out, "owner.npy"), owner.astype(np.int64))
    save_file({"image": image, "classes": classes, "label": label.astype(np.int64)},
              os.path.join(out, "all.safetensors"))
    unit = lambda x: x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    s = unit(image) @ unit(text.astype(np.float16)).T
    t2i = [(s[:, t] > s[owner[t], t]).sum() for t in range(40)]
    i2t = [(s[i] > s[i][owner == i].max()).sum() for i in range(12)]
    top = (unit(image) @ unit(classes).T).argmax(1)
    with open(os.path.join(out, "expected.txt"), "w") as f:
        for k in (1, 5):
            f.write(f"i2t_r{k} {100 * np.mean([x < k for x in i2t]):.4f}\n")
            f.write(f"t2i_r{k} {100 * np.mean([x < k for x in t2i]):.4f}\n")
        f.write(f"top1 {100 * np.mean(top == label):.4f}\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    wds_classes()
    wds_captions()
    tars()
    parquet()
    embeddings()


if __name__ == "__main__":
    sys.exit(main())
