# SPDX-License-Identifier: MIT
"""Robust accuracy of a CLIP model under attack, ours and torchattacks':
attacks.py BUILD WEIGHTS SCENES [SAMPLES [EPS...]]

Every picture of SCENES' test split has its first caption as the right one of
all first captions. Prints, for each attack and eps (in 1/255), R@1 of both and
the seconds. STEPS, TARGETS and QUERIES in the environment set the same amount of
work on both sides, ATTACKS the attacks ("square,apgd targeted"; all of them without). torchattacks stretches Square's schedule of sizes to the
number of queries; here it has AutoAttack's, as ours (Scheduled).
Needs torch, transformers, tokenizers, torchattacks, pillow.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torchattacks
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import CLIPConfig, CLIPModel

STEPS, TARGETS, QUERIES = (int(os.environ.get(k, d)) for k, d in
                           (("STEPS", 20), ("TARGETS", 9), ("QUERIES", 500)))
OURS = {
    "pgd": f'mohs.attack("pgd", {{ eps = eps, steps = {STEPS} }})',
    "apgd": f'mohs.attack("apgd", {{ eps = eps, steps = {STEPS} }})',
    "apgd targeted": f'mohs.attack("apgd", {{ eps = eps, steps = {STEPS}, '
                     f'loss = "dlr_targeted", targets = {TARGETS}, early_stop = true }})',
    "fab": f'mohs.attack("fab", {{ eps = eps, steps = {STEPS}, targets = {min(TARGETS, 3)} }})',
    "square": f'mohs.attack("square", {{ eps = eps, queries = {QUERIES} }})',
}
OURS = {n: OURS[n] for n in os.environ.get("ATTACKS", ",".join(OURS)).split(",")}
RECIPE = """
local mohs = require "mohs"
local data = mohs.data.coco { images = %s, captions = "one.json" }
local model = mohs.model { weights = %s }
local metric = mohs.metric("retrieval", { k = { 1, 5 } })
mohs.cell { model = model, data = data, metric = metric }
for _, n in ipairs { %s } do
  local eps = n .. "/255"
  for _, a in ipairs { %s } do
    mohs.cell { model = model, data = data, metric = metric, attack = a }
  end
end
mohs.run()
"""


class Scheduled(torchattacks.Square):
    """The share of pixels halves at AutoAttack's queries, whatever their number."""

    def p_selection(self, it):
        after = 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000
        return self.p_init / 2 ** sum(it > a for a in after)


def theirs(model, name, eps):
    kind = {
        "pgd": lambda: torchattacks.PGD(model, eps=eps, alpha=2.5 * eps / STEPS, steps=STEPS),
        "apgd": lambda: torchattacks.APGD(model, eps=eps, steps=STEPS, loss="ce"),
        "apgd targeted": lambda: torchattacks.APGDT(model, eps=eps, steps=STEPS,
                                                    n_classes=TARGETS + 1),
        "fab": lambda: torchattacks.FAB(model, eps=eps, steps=STEPS,
                                        n_classes=min(TARGETS, 3) + 1, multi_targeted=True),
        "square": lambda: Scheduled(model, eps=eps, n_queries=QUERIES),
    }
    return kind[name]()


class Scores(torch.nn.Module):
    """Pixels in 0..1 to logits over the captions."""

    def __init__(self, weights, captions):
        super().__init__()
        meta = safe_open(weights, "pt").metadata()
        self.clip = CLIPModel(CLIPConfig(**json.loads(meta["config"])))
        self.clip.load_state_dict(load_file(weights))
        self.clip.eval()
        p = json.loads(meta["preprocessor"])
        self.mean = torch.tensor(p["image_mean"])[:, None, None]
        self.std = torch.tensor(p["image_std"])[:, None, None]
        tokenizer = Tokenizer.from_str(meta["tokenizer"])
        ids = [tokenizer.encode(c).ids for c in captions]
        padded = torch.full((len(ids), max(map(len, ids))), ids[0][-1])
        for row, i in zip(padded, ids):
            row[:len(i)] = torch.tensor(i)
        with torch.no_grad():
            out = self.clip.text_model(input_ids=padded).pooler_output
            self.text = torch.nn.functional.normalize(self.clip.text_projection(out), dim=1)

    def forward(self, x):
        out = self.clip.vision_model(pixel_values=(x - self.mean) / self.std).pooler_output
        out = torch.nn.functional.normalize(self.clip.visual_projection(out), dim=1)
        return self.clip.logit_scale.exp() * out @ self.text.T


def accuracy(model, x):
    with torch.no_grad():
        return 100 * (model(x).argmax(1) == torch.arange(len(x))).float().mean().item()


def strided_views():
    """torchattacks' FAB takes views of what newer versions of torch stride."""
    view = torch.Tensor.view
    torch.Tensor.view = lambda s, *a, **k: (
        view(s, *a, **k) if k or isinstance(a[0], torch.dtype) else s.reshape(*a))


def main():
    build, weights, scenes = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
    samples = int(sys.argv[4]) if len(sys.argv) > 4 else 500
    sizes = [float(e) for e in sys.argv[5:]] or [.5, 1, 2]
    split = json.loads((scenes / "test.json").read_text())
    images = split["images"][:samples]
    first = {}
    for a in split["annotations"]:
        first.setdefault(a["image_id"], a)
    split.update(images=images, annotations=[first[i["id"]] for i in images])
    mine = {}
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / "one.json").write_text(json.dumps(split))
        (work / "a.lua").write_text(RECIPE % (
            json.dumps(str(scenes / "test")), json.dumps(str(weights)),
            ", ".join(f"{e:g}" for e in sizes), ", ".join(OURS.values())))
        mohs = str(build / "core" / "mohs")
        subprocess.run([mohs, "-q", "run", "a.lua", "--no-cache", "--results", "a.db"],
                       cwd=work, check=True)
        out = subprocess.run([mohs, "results", "export", "a.db", "--json"], cwd=work,
                             check=True, capture_output=True, text=True).stdout
        names = [("clean", 0)] + [(n, e) for e in sizes for n in OURS]
        for name, cell in zip(names, json.loads(out)["cells"]):
            value = {v["name"]: v["value"] for v in cell["values"]}
            mine[name] = value["i2t_r1"], cell["seconds"]
    strided_views()
    torch.manual_seed(0)
    model = Scores(str(weights), [first[i["id"]]["caption"] for i in images])
    pixels = [np.asarray(Image.open(scenes / "test" / i["file_name"]).convert("RGB"))
              for i in images]
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    print(f"{'attack':15}{'eps':>6}{'mohs':>8}{'theirs':>8}{'s':>9}{'theirs':>9}")
    print(f"{'clean':15}{0:6g}{mine['clean', 0][0]:8.1f}{accuracy(model, x):8.1f}")
    for (name, eps), (score, seconds) in list(mine.items())[1:]:
        attack, start = theirs(model, name, eps / 255), time.time()
        out = torch.cat([attack(b, torch.arange(k, k + len(b)))
                         for k, b in zip(range(0, len(x), 100), x.split(100))])
        print(f"{name:15}{eps:6g}{score:8.1f}{accuracy(model, out):8.1f}{seconds:9.1f}"
              f"{time.time() - start:9.1f}", flush=True)


if __name__ == "__main__":
    main()
