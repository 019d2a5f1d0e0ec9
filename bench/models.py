#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Models of every family beside their references.

  models.py BUILD [--keep DIR] [--docs] CASE...   runs the cases whose names
                    contain one of CASE ("all": every one) and prints one line
                    each; with --docs the lines go into docs/models.md.
  models.py --list  names the cases.

A case builds a randomly initialised reference of full size, saves it with the
reference's own code and says how the reference turns pixels and tokens into
embeddings. mohs then loads that very file: bench/model_case of BUILD gives
embeddings and gradients for the same inputs, `mohs embed` those of pictures
and texts, when the case can preprocess and tokenize.

A family is a file models_<family>.py beside this one with functions marked
@case(name, family): each takes a directory and returns a Reference.

Needs torch, numpy, safetensors, pillow, and what the cases import.
"""
import argparse
import gc
import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BARS = {"embed": 1e-4, "logits": 1e-3, "grad": 1e-3}
TEXTS = ["a photo of a dog", "two red boats beside a house, at night",
         "Ünïcode & <b>markup</b>; it's 12,345.67!",
         "a very long text " * 40]

CASES = {}


class Reference:
    """What a case returns.

    what       reference and version, "open_clip 3.3.0"
    path       the file or directory that mohs opens; file: what the table
               calls it, when it is not that
    size       (height, width) of its pixels; mean, std of three channels
    image      normalised pixels [n, 3, h, w] -> embeddings, differentiable
    text       (tokens, hook) -> embeddings; hook(x) must be called on the
               token embeddings with positions and its result used. None: no
               text tower
    context, vocab     of the tokens
    ends       tokens -> index of the token that the text is read at; the
               inputs are made by fill(rng, n) -> tokens [n, context]
    scale, bias        of the logits, as numbers
    preprocess PIL image -> normalised pixels, tokenize [str] -> tokens, or
               None: pictures or texts are not compared end to end
    n          pictures in the batch
    plugin     the plugin's id, when it is not the one that mohs chooses
    grad       whether to compare gradients
    image_float        `image` in float where it is in double: how far the
               reference's own gradient is from itself, which is what the bar
               for ours is then (networks with kinks)
    classifier whether the outputs are logits, which are not normalised
    pairs      (normalised pixels, tokens) -> [images, texts, scores] of a
               matching head, or None
    """

    def __init__(self, **k):
        self.text = self.preprocess = self.tokenize = self.plugin = None
        self.file = None
        self.mean, self.std = (0, 0, 0), (1, 1, 1)
        self.scale, self.bias, self.n, self.grad = 1.0, 0.0, 2, True
        self.image_float = self.pairs = None
        self.classifier = False
        self.__dict__.update(k)


def case(name, family):
    def mark(f):
        CASES[name] = (family, f)
        return f
    return mark


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def run_reference(ref, inputs):
    """Embeddings and the gradients of sum(embedding * seed)."""
    import torch
    out = {}
    mean = torch.tensor(ref.mean).view(1, 3, 1, 1)
    std = torch.tensor(ref.std).view(1, 3, 1, 1)
    px = torch.from_numpy(inputs["pixels"]).requires_grad_(ref.grad)
    with torch.set_grad_enabled(ref.grad):
        raw = ref.image((px - mean) / std)
    rng = np.random.default_rng(5)

    def finish(side, raw, leaf):
        seed = rng.standard_normal(tuple(raw.shape)).astype(np.float32)
        if ref.grad:
            inputs[side + ".seed"] = seed
        y = raw if ref.classifier else unit(raw)
        out[side + ".raw"] = raw.detach().numpy()
        out[side] = y.detach().numpy()
        if ref.grad:
            out[side + ".grad"] = torch.autograd.grad(
                (y * torch.from_numpy(seed)).sum(), leaf)[0].numpy()

    finish("image", raw, px)
    if ref.image_float and ref.grad:
        y = ref.image_float((px - mean) / std)
        y = y if ref.classifier else unit(y)
        own = torch.autograd.grad(
            (y * torch.from_numpy(inputs["image.seed"])).sum(), px)[0].numpy()
        out["own"] = gap(own, out["image.grad"]) / float(
            np.abs(out["image.grad"]).max())
    if ref.text:
        tokens = torch.from_numpy(inputs["tokens"]).long()
        leaf = []

        def hook(x):
            leaf.append(x.detach().requires_grad_(ref.grad))
            return leaf[0]

        with torch.set_grad_enabled(ref.grad):
            raw = ref.text(tokens, hook)
        finish("text", raw, leaf[0] if leaf else None)
    if ref.pairs:
        rgb = torch.from_numpy(inputs["pair.rgb"]).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            out["pairs"] = ref.pairs((rgb - mean) / std, tokens).numpy()
    return out


def make_inputs(ref):
    rng = np.random.default_rng(1)
    inputs = {"pixels": rng.random((ref.n, 3, *ref.size), np.float32)}
    if ref.text:
        tokens = np.asarray(ref.fill(rng, 3), np.int32)
        inputs["tokens"] = tokens
        inputs["last"] = np.asarray(ref.ends(tokens), np.int32)
    if ref.pairs:
        inputs["pair.rgb"] = rng.integers(
            0, 256, (ref.n, *ref.size, 3)).astype(np.float32)
    return inputs


def mohs_env(build):
    env = dict(os.environ, MOHS_PLUGIN_PATH=str(build / "plugins"),
               MOHS_DATA_DIR=str(ROOT))
    return env


def end_to_end(ref, build, where):
    """Pictures and texts through `mohs embed` and through the reference."""
    import torch
    from PIL import Image
    rng = np.random.default_rng(3)
    args, want, worst = [], {}, 0.0
    if ref.preprocess:
        px = []
        for i, (w, h) in enumerate([(301, 197), (480, 640)]):
            small = rng.integers(0, 256, (h // 8, w // 8, 3), np.uint8)
            name = where / f"{i}.{('png', 'jpg')[i]}"
            Image.fromarray(small).resize((w, h), Image.BICUBIC).save(name)
            px.append(ref.preprocess(Image.open(name).convert("RGB")))
            args += ["--images", str(name)]
        with torch.no_grad():
            y = ref.image(torch.stack(px))
            want["image"] = (y if ref.classifier else unit(y)).numpy()
    if ref.text and ref.tokenize:
        (where / "texts.txt").write_text("".join(t + "\n" for t in TEXTS))
        args += ["--texts", str(where / "texts.txt")]
        with torch.no_grad():
            tokens = torch.as_tensor(ref.tokenize(TEXTS)).long()
            want["text"] = unit(ref.text(tokens, lambda x: x)).numpy()
    if not args:
        return None
    plugin = ["--plugin", ref.plugin] if ref.plugin else []
    subprocess.run([build / "core/mohs", "embed", "--model", ref.path, *args,
                    *plugin, "--out", where / "mohs"], check=True,
                   env=mohs_env(build), stdout=subprocess.DEVNULL)
    for side, x in want.items():
        top = float(np.abs(x).max()) if ref.classifier else 1.0
        worst = max(worst, gap(np.load(where / f"mohs.{side}.npy"), x) / top)
    return worst


def gap(a, b):
    if a.shape != b.shape:
        raise SystemExit(f"shapes {a.shape} and {b.shape}")
    d = float(np.abs(a - b).max())
    return d if np.isfinite(d) else float("inf")


def compare(ref, got, want):
    """Largest differences: of normalised embeddings, of logits (for two
    towers, and of a matching head; else raw outputs relative to the largest),
    of gradients relative to the largest."""
    sides = [s for s in ("image", "text") if s in want]
    res = {"embed": max(gap(got[s], want[s]) for s in sides)}
    if ref.classifier:
        res["embed"] = None
    if len(sides) == 2:
        a = ref.scale * got["image"] @ got["text"].T + ref.bias
        b = ref.scale * want["image"] @ want["text"].T + ref.bias
        res["logits"] = gap(a, b)
        if "pairs" in want:
            res["logits"] = max(res["logits"], gap(got["pairs"], want["pairs"]))
    else:
        top = float(np.abs(want["image.raw"]).max())
        res["logits"] = gap(got["image.raw"], want["image.raw"]) / top
    if ref.grad:
        res["grad"] = max(gap(got[s + ".grad"], want[s + ".grad"])
                          / float(np.abs(want[s + ".grad"]).max())
                          for s in sides)
        res["own"] = want.get("own")
    return res


def run_case(name, build, where):
    from safetensors.numpy import load_file, save_file
    family, make = CASES[name]
    ref = make(where)
    inputs = make_inputs(ref)
    want = run_reference(ref, inputs)
    if not ref.preprocess and not ref.tokenize:
        ref.image = None  # the reference is done with: room for the model
        ref.text = None
        gc.collect()
    save_file({k: np.ascontiguousarray(v) for k, v in inputs.items()},
              where / "case.safetensors")
    argv = [build / "bench/model_case", ref.path, where / "case.safetensors",
            where / "out.safetensors"]
    if ref.plugin:
        argv.append(ref.plugin)
    r = subprocess.run(argv, env=mohs_env(build), capture_output=True, text=True)
    if r.returncode:
        return {"name": name, "family": family, "what": ref.what,
                "file": describe_path(ref, where), "error": r.stderr.strip()}
    plugin, scale, bias, peak = r.stdout.split()
    res = compare(ref, load_file(where / "out.safetensors"), want)
    if abs(float(scale) - ref.scale) > 1e-4 * abs(ref.scale) or \
            abs(float(bias) - ref.bias) > 1e-4:
        res["logits"] = float("inf")
    res["files"] = end_to_end(ref, build, where)
    return {"name": name, "family": family, "what": ref.what, "plugin": plugin,
            "file": describe_path(ref, where), "peak": int(peak), **res}


def describe_path(ref, where):
    p = pathlib.Path(ref.path)
    if ref.file:
        return f"`{ref.file}`"
    return f"`{p.relative_to(where)}`" + ("/" if p.is_dir() else "")


def good(r):
    return "error" not in r and all(
        r.get(k) is None or r[k] <= bar or
        (k == "grad" and r[k] <= 2 * (r.get("own") or 0))
        for k, bar in BARS.items()) and (
        r.get("files") is None or r["files"] <= BARS["embed"])


def line(r):
    if "error" in r:
        return f"| {r['name']} | {r['what']} | {r['file']} | {r['error']} | | | |"

    def x(k):
        return "-" if r.get(k) is None else f"{r[k]:.1e}"
    own = f" ({x('own')})" if r.get("own") else ""
    return (f"| {r['name']} | {r['what']} | {r['file']} | {x('embed')} | "
            f"{x('logits')} | {x('grad')}{own} | {x('files')} |")


HEAD = ("| model | reference | file | embeddings | logits | gradients | files |\n"
        "|---|---|---|---|---|---|---|\n")
BEGIN, END = "<!-- models.py -->\n", "<!-- end -->\n"


def update_docs(rows):
    """Puts the rows into the table, in place of those of the same name."""
    path = ROOT / "docs/models.md"
    text = path.read_text()
    a, b = text.index(BEGIN) + len(BEGIN), text.index(END)
    old = [s for s in text[a:b].splitlines()[2:] if s]
    table = {s.split("|")[1].strip(): s for s in old}
    table.update({r["name"]: line(r) for r in rows})
    order = {n: i for i, n in enumerate(CASES)}
    body = "\n".join(table[n] for n in
                     sorted(table, key=lambda n: order.get(n, 1 << 30)))
    path.write_text(text[:a] + HEAD + body + "\n" + text[b:])


def main():
    sys.modules["models"] = sys.modules["__main__"]
    for f in sorted(HERE.glob("models_*.py")):
        importlib.import_module(f.stem)
    p = argparse.ArgumentParser()
    p.add_argument("--list", action="store_true")
    p.add_argument("--keep", help="leave the files in this directory")
    p.add_argument("--docs", action="store_true")
    p.add_argument("build", nargs="?", type=pathlib.Path)
    p.add_argument("case", nargs="*")
    o = p.parse_intermixed_args()
    if o.list or not o.build:
        for name, (family, _) in CASES.items():
            print(f"{family:12} {name}")
        return 0
    rows = []
    for name in CASES:
        if "all" not in o.case and not any(c in name for c in o.case):
            continue
        with tempfile.TemporaryDirectory() as tmp:
            where = pathlib.Path(o.keep or tmp)
            where.mkdir(parents=True, exist_ok=True)
            rows.append(run_case(name, o.build.resolve(), where))
        print(line(rows[-1]), "ok" if good(rows[-1]) else "TOO FAR", flush=True)
        if o.docs:
            update_docs(rows)
    print(json.dumps(rows), file=sys.stderr)
    return 0 if rows and all(map(good, rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
