# SPDX-License-Identifier: MIT
"""Makes tests/golden/preprocess.h with the image processors of transformers
(their PIL versions) for formula pictures and for the files of
tests/golden/images. Run in the root of the tree after image.py:
    python tests/golden/preprocess.py
With a number as argument it compares that many random cases with the
program named by PREPROCESS_PROBE instead (see compare)."""
import hashlib
import json
import os
import random
import subprocess
import sys

import numpy as np
import transformers
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import (
    CLIPImageProcessorPil)
from transformers.models.siglip.image_processing_pil_siglip import (
    SiglipImageProcessorPil)

CLIP, SIGLIP = CLIPImageProcessorPil, SiglipImageProcessorPil


def formula(w, h):
    y, x, k = np.mgrid[0:h, 0:w, 0:3].astype(np.int64)
    v = x * (k + 2) + y * (5 - k) + ((x // 8) ^ (y // 4)) * 24 + x * y // 16
    return (v & 255).astype(np.uint8)


def run(kind, config, im):
    """8-bit pixels, and the normalised value of the middle pixel."""
    p = kind(**config)
    plain = dict(do_rescale=False, do_normalize=False)
    px = np.asarray(p(im, **plain)["pixel_values"][0])
    assert px.dtype == np.uint8, px.dtype
    px = np.ascontiguousarray(np.moveaxis(px, 0, -1))
    norm = np.asarray(p(im)["pixel_values"][0], dtype=np.float64)
    return px, norm[:, norm.shape[1] // 2, norm.shape[2] // 2]


def edge(n, crop=None, **k):
    c = crop or n
    return dict(size={"shortest_edge": n},
                crop_size={"height": c, "width": c}, **k)


CASES = [
    (CLIP, edge(32), 32), (CLIP, edge(31), 31), (CLIP, edge(224), 224),
    (CLIP, edge(64, 57), 57), (CLIP, edge(24, 33), 33),
    (CLIP, edge(32, resample=0), 32), (CLIP, edge(32, resample=1), 32),
    (CLIP, edge(32, resample=2), 32), (CLIP, edge(32, resample=4), 32),
    (CLIP, edge(32, resample=5), 32),
    (CLIP, dict(do_resize=False, crop_size={"height": 40, "width": 40}), 40),
    (CLIP, edge(32, do_normalize=False), 32),
    (CLIP, edge(32, do_rescale=False), 32),
    (CLIP, edge(32, rescale_factor=1 / 127.5), 32),
    (CLIP, edge(32, image_mean=[.1, .2, .3], image_std=[.4, .5, .6]), 32),
    (CLIP, dict(size={"height": 48, "width": 48},
                crop_size={"height": 32, "width": 32}, do_center_crop=True),
     32),
    (SIGLIP, dict(size={"height": 32, "width": 32}), 32),
    (SIGLIP, dict(size={"height": 64, "width": 64}, resample=2), 64),
]
SIZES = [(37, 29), (29, 37), (101, 40), (40, 101), (33, 33), (5, 3), (1, 1),
         (2, 9), (200, 31), (31, 200), (64, 57), (57, 64)]


def config_text(kind, config):
    d = dict(config, image_processor_type=kind.__name__.replace("Pil", ""))
    return json.dumps(d)


def c_string(s):
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'


def golden():
    configs, rows = [], []
    for i, (kind, config, side) in enumerate(CASES):
        configs.append("    { " + c_string(config_text(kind, config)) +
                       f", {side} }},")
        todo = [(f"{w}x{h}", Image.fromarray(formula(w, h)))
                for w, h in (SIZES if i < 3 or i == 4 else SIZES[:6])]
        if i < 2 or kind is SIGLIP:
            for f in sorted(os.listdir("tests/golden/images")):
                # Through an array: convert() keeps a note of transparency
                # that transformers 5 would composite on white.
                im = Image.open(f"tests/golden/images/{f}").convert("RGB")
                todo.append((f, Image.fromarray(np.asarray(im))))
        for name, im in todo:
            px, mid = run(kind, config, im)
            assert px.shape == (side, side, 3), (config, px.shape)
            sha = hashlib.sha256(px.tobytes()).hexdigest()
            rows.append(f'    {{ {i}, "{name}", {{ ' +
                        ", ".join(f"{v:.8g}" for v in mid) +
                        f" }},\n      \"{sha}\" }},")
    with open("tests/golden/preprocess.h", "w") as g:
        g.write("/* SPDX-License-Identifier: MIT */\n"
                "/* Made by tests/golden/preprocess.py with transformers "
                f"{transformers.__version__}; do not\n * edit. */\n"
                "\nstatic const struct golden_config golden_config[] = {\n" +
                "\n".join(configs) + "\n};\n"
                "\nstatic const struct golden_pixels golden_pixels[] = {\n" +
                "\n".join(rows) + "\n};\n")


def compare(n):
    """The probe reads lines "config, tab, side, tab, w, tab, h" and answers
    with the SHA-256 of the pixels of the formula picture."""
    rng = random.Random(0)
    p = subprocess.Popen([os.environ["PREPROCESS_PROBE"]], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    bad = 0
    for _ in range(n):
        side = rng.choice([17, 32, 64, 224, 336])
        crop = rng.choice([side, side, rng.randint(8, 240)])
        kind, c = rng.choice([
            (CLIP, edge(side, crop, resample=rng.randint(0, 5))),
            (SIGLIP, dict(size={"height": crop, "width": crop}))])
        w, h = rng.randint(1, 500), rng.randint(1, 500)
        px, _ = run(kind, c, Image.fromarray(formula(w, h)))
        p.stdin.write(f"{config_text(kind, c)}\t{crop}\t{w}\t{h}\n")
        p.stdin.flush()
        want = hashlib.sha256(px.tobytes()).hexdigest()
        got = p.stdout.readline().strip()
        if got != want:
            bad += 1
            print("differs:", c, w, h, got)
    print(n, "compared,", bad, "differ")


if len(sys.argv) > 1:
    compare(int(sys.argv[1]))
else:
    golden()
