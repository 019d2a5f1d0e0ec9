# SPDX-License-Identifier: MIT
"""Makes tests/golden/preprocess_profiles.h: the pixels of 50 formula pictures
of odd sizes through the published ways of making them ready: transformers'
image processors (on Pillow and on torchvision), open_clip, timm, torchvision.
Run in the root of the tree: python tests/golden/preprocess_profiles.py"""
import hashlib
import importlib
import json
import random

import numpy as np
import timm
import torch
import torchvision
import transformers
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform
from torchvision.transforms._presets import ImageClassification
from torchvision.transforms import InterpolationMode, Normalize

MEAN, STD = [.1, .2, .3], [.4, .5, .6]


def formula(w, h):
    y, x, k = np.mgrid[0:h, 0:w, 0:3].astype(np.int64)
    v = x * (k + 2) + y * (5 - k) + ((x // 8) ^ (y // 4)) * 24 + x * y // 16
    return (v & 255).astype(np.uint8)


def sizes():
    rnd = random.Random(8)
    out = [(37, 29), (29, 37), (33, 33), (5, 3), (1, 1), (200, 31), (31, 200),
           (224, 224), (225, 223), (7, 90)]
    while len(out) < 50:
        w = rnd.randint(3, 260)
        out.append((w, max(2, min(260, int(w * rnd.uniform(.3, 3))))))
    return out


def hf(name, module, pil, **config):
    kind = "Pil" if pil else ""
    m = importlib.import_module(
        f"transformers.models.{module}.image_processing_"
        f"{'pil_' if pil else ''}{module}")
    p = getattr(m, f"{name}ImageProcessor{kind}")(**config)

    def run(im):
        x = p(im, do_rescale=False, do_normalize=False,
              return_tensors=None if pil else "pt")["pixel_values"][0]
        return np.moveaxis(np.asarray(x), 0, -1)
    d = dict(config, image_processor_type=f"{name}ImageProcessor"
             + ("" if pil else "Fast"))
    return "p", d, run


def tensors(transform):
    steps = [t for t in transform.transforms if not isinstance(t, Normalize)]

    def run(im):
        for t in steps:
            im = t(im)
        return np.rint(np.moveaxis(im.numpy(), 0, -1) * 255).astype(np.uint8)
    return run


def clip(**k):
    cfg = dict(size=32, mode="RGB", mean=MEAN, std=STD, interpolation="bicubic",
               resize_mode="shortest", fill_color=0)
    cfg.update(k)
    t = image_transform_v2(PreprocessCfg(**cfg), is_train=False)
    return "m", dict(model_cfg={}, preprocess_cfg=cfg), tensors(t)


def timm_(size=(32, 32), **k):
    cfg = dict(input_size=[3, *size], interpolation="bicubic", crop_pct=.9,
               crop_mode="center", mean=MEAN, std=STD)
    cfg.update(k)
    t = create_transform(**dict(cfg, input_size=tuple(cfg["input_size"]),
                                mean=tuple(cfg["mean"])), is_training=False)
    return "m", dict(architecture="x", pretrained_cfg=cfg), tensors(t)


def preset(crop, resize, interpolation="bilinear"):
    t = ImageClassification(crop_size=crop, resize_size=resize, mean=MEAN, std=STD,
                            interpolation=InterpolationMode(interpolation))

    def run(im):
        x = torchvision.transforms.functional.resize(
            im, t.resize_size, interpolation=t.interpolation)
        x = torchvision.transforms.functional.center_crop(x, t.crop_size)
        return np.asarray(x)
    return "p", dict(image_processor_type="ImageClassification", crop_size=[crop],
                     resize_size=[resize], interpolation=interpolation), run


def cases():
    square = lambda n: {"height": n, "width": n}
    for pil in (True, False):
        edge = dict(size={"shortest_edge": 32}, crop_size=square(32))
        yield hf("CLIP", "clip", pil, **edge)
        yield hf("CLIP", "clip", pil, size={"shortest_edge": 36},
                 crop_size=square(33))
        yield hf("CLIP", "clip", pil, size={"shortest_edge": 24},
                 crop_size=square(31), resample=2)
        yield hf("Siglip", "siglip", pil, size=square(32))
        yield hf("Blip", "blip", pil, size=square(48))
        yield hf("ViT", "vit", pil, size=square(32))
        yield hf("DeiT", "deit", pil, size=square(36), crop_size=square(31))
        yield hf("Bit", "bit", pil, **edge)
        yield hf("ConvNext", "convnext", pil, size={"shortest_edge": 32},
                 crop_pct=.875)
        yield hf("ConvNext", "convnext", pil, size={"shortest_edge": 40},
                 crop_pct=.95, resample=3)
        yield hf("ConvNext", "convnext", pil, size={"shortest_edge": 384},
                 crop_pct=1.0)
    yield clip()
    yield clip(size=33, interpolation="bilinear")
    yield clip(resize_mode="squash")
    yield clip(resize_mode="longest", fill_color=7)
    yield clip(size=[32, 24], resize_mode="longest")
    yield clip(size=[24, 33])
    yield timm_()
    yield timm_(crop_pct=.875, interpolation="bilinear")
    yield timm_(crop_pct=1.0, size=(33, 33))
    yield timm_(crop_mode="squash")
    yield timm_(crop_mode="border", mean=[.485, .456, .406])
    yield timm_(size=(24, 40))
    yield preset(32, 36)
    yield preset(33, 40, "bicubic")


def c_string(s):
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main():
    rows, todo = [], sizes()
    for where, config, run in cases():
        sums = []
        for w, h in todo:
            try:
                px = np.ascontiguousarray(run(Image.fromarray(formula(w, h))))
            except (RuntimeError, ValueError):  # an edge of no pixels
                sums.append(0)
                continue
            assert px.dtype == np.uint8, px.dtype
            sums.append(int(hashlib.sha256(px.tobytes()).hexdigest()[:8], 16))
        text = c_string(json.dumps(config))
        rows.append(f"    {{ '{where}', {text},\n      {px.shape[0]}, {px.shape[1]},"
                    " { " + ", ".join(map(hex, sums)) + " } },")
    with open("tests/golden/preprocess_profiles.h", "w") as g:
        g.write("/* SPDX-License-Identifier: MIT */\n"
                "/* Made by tests/golden/preprocess_profiles.py with transformers "
                f"{transformers.__version__},\n * torchvision "
                f"{torchvision.__version__}, torch {torch.__version__}, timm "
                f"{timm.__version__} and Pillow {Image.__version__};\n"
                " * do not edit. */\n\n"
                "static const uint32_t profile_sizes[50][2] = {\n    " +
                ", ".join(f"{{ {w}, {h} }}" for w, h in todo) + "\n};\n\n"
                "static const struct golden_profile golden_profiles[] = {\n" +
                "\n".join(rows) + "\n};\n")


main()
