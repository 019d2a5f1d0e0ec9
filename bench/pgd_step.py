# SPDX-License-Identifier: MIT
"""One PGD step on ViT-B/32: mohs attack beside PyTorch, in turns, medians.
Usage: pgd_step.py BUILD [batch [rounds]]. Both attack the same pictures of one
randomly initialised CLIPModel, with the same texts as candidates; the time of a
step is that of a run of 1 + STEPS steps less that of a run of 1, over STEPS.
Needs torch, transformers, numpy, Pillow.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import CLIPConfig, CLIPModel

STEPS = 4
ROOT = pathlib.Path(__file__).resolve().parent.parent
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


def make(folder, batch):
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(
        text_config={"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513,
                     "vocab_size": 514})).eval()
    model.save_pretrained(folder / "model")
    for name in ("vocab.json", "merges.txt"):
        source = ROOT / "tests" / "golden" / "clip_bpe" / name
        (folder / "model" / name).write_text(source.read_text())
    draws = np.random.default_rng(0)
    for i in range(batch):
        pixels = draws.integers(0, 256, (224, 224, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
    (folder / "texts.txt").write_text("".join(f"{chr(97 + i % 26)}\n" for i in range(batch)))
    return model


def ours(build, folder, batch, steps):
    env = dict(os.environ, MOHS_PLUGIN_PATH=str(build / "plugins"),
               MOHS_CACHE_DIR=str(folder / "cache"))
    t0 = time.time()
    subprocess.run([build / "core" / "mohs", "-q", "attack",
                    *(folder / f"{i:03}.png" for i in range(batch)), "-a", "pgd",
                    f"steps={steps}", "--model", folder / "model", "--texts",
                    folder / "texts.txt", "--out", folder / "out"],
                   check=True, env=env, stdout=subprocess.DEVNULL)
    return time.time() - t0


def torchs(model, folder, batch, steps):
    x = torch.stack([torch.from_numpy(np.array(Image.open(folder / f"{i:03}.png")))
                     for i in range(batch)]).permute(0, 3, 1, 2) / 255
    for p in model.parameters():
        p.requires_grad_(False)
    texts = F.normalize(torch.randn(batch, 512), dim=-1)
    scale, y, eps = model.logit_scale.exp(), torch.arange(batch), 4 / 255
    t0 = time.time()
    adv = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(steps):
        adv.requires_grad_(True)
        out = model.visual_projection(
            model.vision_model(pixel_values=(adv - MEAN) / STD).pooler_output)
        loss = F.cross_entropy(scale * F.normalize(out, dim=-1) @ texts.T, y)
        grad, = torch.autograd.grad(loss, adv)
        adv = adv.detach() + 1 / 255 * grad.sign()
        adv = torch.clamp(torch.clamp(adv - x, -eps, eps) + x, 0, 1)
    return time.time() - t0


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = make(folder, batch)
        sides = {"mohs": lambda n: ours(build, folder, batch, n),
                 "PyTorch": lambda n: torchs(model, folder, batch, n)}
        found = {side: [] for side in sides}
        for side, run in sides.items():
            run(1)  # compiles, warms up
        for _ in range(rounds):
            for side, run in sides.items():
                short = run(1)
                found[side].append((run(1 + STEPS) - short) / STEPS)
    rate = {side: batch / statistics.median(t) for side, t in found.items()}
    print(f"PGD step, ViT-B/32, batch {batch}, torch {torch.__version__}, "
          f"{torch.get_num_threads()} threads: mohs {rate['mohs']:.2f} images/s, PyTorch "
          f"{rate['PyTorch']:.2f}, ratio {rate['mohs'] / rate['PyTorch']:.2f}")


main()
