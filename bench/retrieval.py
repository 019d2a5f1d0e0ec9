#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Retrieval with 5,000 images and 25,000 texts of 512 numbers, scored exactly:
seconds and peak memory of mohs and of NumPy. retrieval.py BUILD DIR"""
import os
import re
import resource
import subprocess
import sys
import time

import numpy as np

IMAGES, EACH, DIM = 5000, 5, 512
RECIPE = """
local mohs = require "mohs"
local data = mohs.data.embeddings { image = "image.npy", text = "text.npy" OWNER }
mohs.cell { data = data, metric = mohs.metric "retrieval" }
for _, r in ipairs(mohs.run()) do
  for _, n in ipairs { "i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10" } do
    io.write(string.format("%.4f ", r.values[n].value))
  end
  print()
end
"""


def make(out):
    r = np.random.default_rng(3)
    image = r.normal(size=(IMAGES, DIM)).astype(np.float32)
    owner = np.repeat(np.arange(IMAGES), EACH)
    text = (image[owner] + 5 * r.normal(size=(len(owner), DIM))).astype(np.float32)
    np.save(os.path.join(out, "image.npy"), image)
    np.save(os.path.join(out, "text.npy"), text)
    order = r.permutation(len(owner))
    np.save(os.path.join(out, "scattered.npy"), text[order])
    np.save(os.path.join(out, "owner.npy"), owner[order])


def mohs(build, out, scattered):
    recipe = RECIPE.replace("OWNER", ', owner = "owner.npy"' if scattered else "")
    if scattered:
        recipe = recipe.replace("text.npy", "scattered.npy")
    with open(os.path.join(out, "r.lua"), "w") as f:
        f.write(recipe)
    db = os.path.join(out, "r.db")
    if os.path.exists(db):
        os.remove(db)
    p = subprocess.run([os.path.join(build, "core", "mohs"), "run", "r.lua", "--unsafe-lua",
                        "--results", "r.db", "--bootstrap", "0"], cwd=out, check=True,
                       text=True, capture_output=True)
    seconds = re.search(r"1 computed, ([0-9.]+) s", p.stderr).group(1)
    peak = re.search(r"process ([0-9.]+) MiB", p.stderr).group(1)
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"mohs{' scattered' if scattered else ''}: {seconds} s, process {peak} MiB, "
          f"CPU of all so far {cpu.ru_utime:.1f} s: {p.stdout.strip()}")


def numpy(out):
    image, text = (np.load(os.path.join(out, n + ".npy")) for n in ("image", "text"))
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    t0, c0 = time.time(), time.process_time()
    s = image @ text.T
    own = s[np.repeat(np.arange(IMAGES), EACH), np.arange(len(text))]
    t2i = (s > own).sum(0)
    i2t = (s > own.reshape(IMAGES, EACH).max(1)[:, None]).sum(1)
    values = [100 * (x < k).mean() for x in (i2t, t2i) for k in (1, 5, 10)]
    print(f"numpy: {time.time() - t0:.2f} s, CPU {time.process_time() - c0:.1f} s: "
          + " ".join(f"{v:.4f}" for v in values))


def main():
    build, out = map(os.path.abspath, sys.argv[1:])
    os.makedirs(out, exist_ok=True)
    if not os.path.exists(os.path.join(out, "owner.npy")):
        make(out)
    for scattered in (False, True):
        for _ in range(2):
            mohs(build, out, scattered)
    numpy(out)


if __name__ == "__main__":
    main()
