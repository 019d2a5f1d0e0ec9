# SPDX-License-Identifier: MIT
"""Golden values of zero-shot classification.

  zeroshot.py          writes zeroshot.h: scores with and without ties, and what
                       classification makes of them, by brute force.
  zeroshot.py --model  writes zeroshot/expected.txt: what transformers makes of
                       share/scenes-clean.safetensors on pictures of images/
                       with prompts of every kind. Also needs torch,
                       transformers, tokenizers, safetensors, pillow.

Balanced accuracy and top k are defined as in scikit-learn's
balanced_accuracy_score and top_k_accuracy_score, but a tie counts with the
probability that random tie-breaking lets the class win.
"""
import json
import pathlib
import sys
from fractions import Fraction

import numpy as np

HERE = pathlib.Path(__file__).parent
K = (1, 5)
SCALE = 7.5


# ---- the metric -----------------------------------------------------------

def hit(scores, label, k):
    """Share of the orders of tied classes that put `label` among the first k."""
    above = sum(s > scores[label] for s in scores)
    tied = sum(s == scores[label] for s in scores)
    places = [above + j for j in range(tied)]
    return Fraction(sum(p < k for p in places), tied)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def row(scores, label):
    """hit@1, hit@5, confidence, probability, margin; None: does not apply."""
    p = softmax(SCALE * scores.astype(float))
    n = len(scores)
    if label is None:
        return [None, None, p.max(), None, None]
    others = [s for j, s in enumerate(scores) if j != label]
    return [float(hit(scores, label, k)) if k < n else None for k in K] + \
        [p.max(), p[label], float(scores[label]) - float(max(others)) if others
         else None]


def mean(x):
    x = [v for v in x if v is not None]
    return sum(x) / len(x) if x else None


def values(rows, labels):
    recall = [mean([r[0] for r, l in zip(rows, labels) if l == k])
              for k in sorted({l for l in labels if l is not None})]
    m = [mean([r[c] for r in rows]) for c in range(5)]
    hundred = [None if v is None else 100 * v
               for v in (m[0], m[1], mean(recall), m[2])]
    return hundred + [m[4]]


def cases():
    rng = np.random.default_rng(11)
    yield "no ties", rng.normal(size=(40, 9)).astype(np.float32), \
        rng.integers(0, 9, 40)
    yield "ties", rng.integers(0, 3, (30, 12)).astype(np.float32), \
        rng.integers(0, 12, 30)
    yield "uneven classes", rng.normal(size=(25, 8)).astype(np.float32), \
        [0] * 20 + [3, 3, 5, 7, 7]
    yield "two classes", rng.normal(size=(10, 2)).astype(np.float32), \
        rng.integers(0, 2, 10)
    yield "one class", rng.normal(size=(4, 1)).astype(np.float32), [0] * 4
    yield "all equal", np.zeros((6, 7), np.float32), [0, 1, 2, 3, 4, 5]
    yield "some of no class", rng.normal(size=(12, 6)).astype(np.float32), \
        [None, 1, 2, None, 4, 5, 0, 1, None, 3, 3, 2]


def number(x):
    return "NAN" if x is None else repr(float(x))


def numbers(x):
    return ", ".join(number(v) for v in x)


def header():
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Made by zeroshot.py: scores, labels, rows and values. */"]
    table = []
    for n, (name, scores, labels) in enumerate(cases()):
        labels = [None if l is None else int(l) for l in labels]
        rows = [row(s, l) for s, l in zip(scores, labels)]
        listed = "\n".join(f"    {numbers(r)}," for r in rows)
        scores_text = ", ".join(f"{float(s)!r}f" for s in scores.ravel())
        labels_text = ", ".join("UINT32_MAX" if l is None else str(l)
                                for l in labels)
        out += [f"static const float scores{n}[] = {{ {scores_text} }};",
                f"static const uint32_t labels{n}[] = {{ {labels_text} }};",
                f"static const double rows{n}[] = {{\n{listed}\n}};",
                f"static const double values{n}[] = {{ "
                f"{numbers(values(rows, labels))} }};"]
        table.append(f'    {{ "{name}", {scores.shape[0]}, {scores.shape[1]}, '
                     f"scores{n}, labels{n}, rows{n}, values{n} }},")
    out += [f"enum {{ GOLDEN_SCALE_X2 = {int(2 * SCALE)} }};",
            "static const struct golden {", "    const char *name;",
            "    uint32_t n_images, n_classes;", "    const float *scores;",
            "    const uint32_t *labels;", "    const double *rows, *values;",
            "} golden[] = {", *table, "};"]
    (HERE / "zeroshot.h").write_text("\n".join(out) + "\n")


# ---- a model --------------------------------------------------------------

DIR = HERE / "zeroshot"


def wordify(name):
    return name.replace("_", " ")


def descriptor(name, d):
    if d.startswith("a") or d.startswith("used"):
        verb = "is "
    elif d.startswith(("has", "often", "typically", "may", "can")):
        verb = ""
    else:
        verb = "has "
    return f"A photo of a {wordify(name)}, which {verb}{d}."


def fill(template, name):
    return template.replace("{}", wordify(name)).replace("{c}", wordify(name))


def prompt_sets(names):
    templates = [t for t in (DIR / "templates.txt").read_text().splitlines()
                 if t and not t.startswith("#")]
    sentences = json.loads((DIR / "sentences.json").read_text())
    told = json.loads((DIR / "descriptors.json").read_text())
    described = [[descriptor(n, d) for d in told[n]] or
                 [f"A photo of a {wordify(n)}."] for n in names]
    yield "name", "embed", [[wordify(n)] for n in names]
    yield "templates", "embed", [[fill(t, n) for t in templates] for n in names]
    yield "sentences", "embed", [sentences[n] for n in names]
    yield "descriptors", "mean", described
    yield "descriptors max", "max", described


def load(path):
    from safetensors import safe_open
    from tokenizers import Tokenizer
    from transformers import CLIPConfig, CLIPModel
    with safe_open(path, "pt") as f:
        meta = f.metadata()
        state = {k: f.get_tensor(k) for k in f.keys()}
    model = CLIPModel(CLIPConfig(**json.loads(meta["config"])))
    model.load_state_dict(state, strict=False)
    return model.eval(), Tokenizer.from_str(meta["tokenizer"]), \
        json.loads(meta["preprocessor"])


def pixels(path, pre):
    from PIL import Image
    im = Image.open(path).convert("RGB")
    side = pre["size"]["shortest_edge"]
    w, h = im.size
    size = (side, int(side * h / w)) if w < h else (int(side * w / h), side)
    im = im.resize(size, Image.BICUBIC)
    x0, y0 = (size[0] - side) // 2, (size[1] - side) // 2
    x = np.asarray(im.crop((x0, y0, x0 + side, y0 + side)), np.float32) / 255
    x = (x - pre["image_mean"]) / pre["image_std"]
    return x.transpose(2, 0, 1).astype(np.float32)


def expected():
    import torch
    model, tokenizer, pre = load(HERE.parent.parent / "share" /
                                 "scenes-clean.safetensors")
    context = model.config.text_config.max_position_embeddings
    eos = model.config.text_config.eos_token_id
    pictures = [line.split() for line in
                (DIR / "pictures.txt").read_text().splitlines()]
    names = (DIR / "classnames.txt").read_text().splitlines()
    folders = sorted({p[0] for p in pictures})
    labels = [folders.index(p[0]) for p in pictures]

    def unit(x):
        return x / x.norm(dim=-1, keepdim=True)

    def texts(list_of):
        ids = torch.full((len(list_of), context), eos)
        for i, t in enumerate(list_of):
            e = tokenizer.encode(t).ids[:context]
            e[-1] = eos
            ids[i, :len(e)] = torch.tensor(e)
        out = model.get_text_features(input_ids=ids)
        return unit(out if torch.is_tensor(out) else out.pooler_output)

    lines = []
    with torch.no_grad():
        x = torch.from_numpy(np.stack([pixels(HERE / "images" / p[1], pre)
                                       for p in pictures]))
        out = model.get_image_features(pixel_values=x)
        image = unit(out if torch.is_tensor(out) else out.pooler_output)
        scale = model.logit_scale.exp().item()
        for name, merge, prompts in prompt_sets(names):
            rows = [texts(p) for p in prompts]
            if merge == "embed":
                s = image @ torch.stack([unit(r.mean(0)) for r in rows]).T
            elif merge == "mean":
                s = torch.stack([(image @ r.T).mean(1) for r in rows], 1)
            else:
                s = torch.stack([(image @ r.T).max(1).values for r in rows], 1)
            s = s.numpy()
            globals()["SCALE"] = scale
            r = [row(a, l) for a, l in zip(s, labels)]
            lines.append(f"{name}: " + " ".join(
                f"{v:.7g}" for v in values(r, labels)))
    (DIR / "expected.txt").write_text("\n".join(lines) + "\n")


if sys.argv[1:] == ["--model"]:
    expected()
else:
    header()
