# SPDX-License-Identifier: MIT
"""Writes attacks.h: what fgsm, pgd, mi_fgsm and feature_pgd do to the model
of tests/unit/attack_victim.c, step by step with PyTorch's autograd in double
precision. Needs torch, numpy.
"""
import pathlib

import numpy as np
import torch

MASK64 = (1 << 64) - 1
N, PIXELS, TOKENS, WIDTH, DIM, CANDIDATES = 5, 36, 4, 5, 6, 7
HIDDEN = TOKENS * WIDTH
POSITIVE = [[2], [0, 5], [0, 1, 2, 4, 5, 6], [6], [3, 1]]


def words(seed, key, n):
    """32-bit words of stream (seed, key), as mohs/rng.h makes them."""
    out = []
    for index in range((n + 3) // 4):
        k0, k1 = seed & 0xFFFFFFFF, seed >> 32
        c = [index & 0xFFFFFFFF, index >> 32, key & 0xFFFFFFFF, key >> 32]
        for _ in range(10):
            p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xFFFFFFFF,
                 (p0 >> 32) ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
            k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
        out += c
    return out[:n]


def uniform(seed, key, n):
    return np.array([((w >> 8) + 0.5) * 2.0 ** -24 for w in words(seed, key, n)])


def fork(seed, what):
    z = (seed + 0x9E3779B97F4A7C15 * (what + 1)) & MASK64
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK64
    return z ^ z >> 31


def numbers(key, *shape):
    n = int(np.prod(shape))
    return torch.from_numpy(2 * uniform(11, key, n) - 1).reshape(shape)


A = 0.8 * numbers(1, HIDDEN, PIXELS)
B = numbers(2, DIM, HIDDEN)
C = torch.nn.functional.normalize(numbers(3, CANDIDATES, DIM), dim=1)
X = (0.5 + 0.6 * numbers(4, N, PIXELS)).clamp(0, 1).float().double()


class Victim:
    def __init__(self, masked):
        live = [2 + i % 3 if masked else TOKENS for i in range(N)]
        self.mask = torch.tensor([[t < n for t in range(TOKENS)] for n in live])
        self.clean = {"pixels": X, "image.patch": (X @ A.T).float().double()}
        self.clean["image.block.0"] = (X @ A.T).tanh().float().double()
        self.embed = self.run({})

    def run(self, delta):
        h = (X + delta.get("pixels", 0)) @ A.T + delta.get("image.patch", 0)
        u = h.tanh() + delta.get("image.block.0", 0)
        u = u * self.mask.repeat_interleave(WIDTH, 1)
        return torch.nn.functional.normalize(u @ B.T, dim=1)

    def groups(self, tap, i, per_sample):
        """Index ranges of a sample's balls at a tap."""
        if tap == "pixels":
            return [(0, PIXELS)]
        live = int(self.mask[i].sum())
        if per_sample:
            return [(0, live * WIDTH)]
        return [(t * WIDTH, (t + 1) * WIDTH) for t in range(live)]


def losses(kind, e, victim, seed):
    z, out = 8 * e @ C.T, []
    for i in range(N):
        own = POSITIVE[i]
        wrong = [j for j in range(CANDIDATES) if j not in own]
        right = z[i, own].max()
        if kind == "cross_entropy":
            out.append(z[i].logsumexp(0) - z[i, own].logsumexp(0))
        elif kind == "margin":
            out.append(z[i, wrong].max() - right)
        elif kind == "dlr":
            top = z[i].sort(descending=True).values
            out.append((z[i, wrong].max() - right) / (top[0] - top[2] + 1e-12))
        elif kind == "targeted":
            draw = words(fork(seed, 0x7A), 1000 + i, 1)[0] * len(wrong) >> 32
            out.append(z[i, wrong[draw]] - right)
        else:
            out.append(((e[i] - victim.embed[i].float().double()) ** 2).sum())
    return torch.stack(out)


def radius(spec, clean):
    if spec.get("absolute"):
        return spec["eps"]
    size = clean.norm() if spec["norm"] == "l2" else clean.std(correction=0)
    return spec["eps"] * float(size)


def project(d, r, norm, clean, pixels):
    if norm == "l2":
        d = d * min(1, r / max(float(d.norm()), 1e-30))
    else:
        d = d.clamp(-r, r)
    return (clean + d).clamp(0, 1) - clean if pixels else d


def attack(spec):
    victim, seed = Victim(spec.get("masked", False)), 3
    taps = spec["taps"]
    delta = {t: torch.zeros_like(victim.clean[t]) for t in taps}
    momentum = {t: torch.zeros_like(victim.clean[t]) for t in taps}
    ball = [(t, i, g) for t in taps for i in range(N)
            for g in victim.groups(t, i, spec.get("per_sample"))]
    if spec.get("random_start"):  # Linf only
        for t, i, (a, b) in ball:
            s = fork(fork(seed, 0), taps.index(t))
            u = torch.from_numpy(uniform(s, 1000 + i, b)[a:])
            r = radius(spec, victim.clean[t][i, a:b])
            delta[t][i, a:b] = project(r * (2 * u - 1), r, "linf",
                                       victim.clean[t][i, a:b], t == "pixels")
    best, kept = torch.full((N,), -torch.inf), {t: d.clone() for t, d in delta.items()}
    for step in range(spec["steps"] + 1):
        for d in delta.values():
            d.requires_grad_(True)
        value = losses(spec["loss"], victim.run(delta), victim, seed)
        grad = dict(zip(taps, torch.autograd.grad(value.sum(), list(delta.values()))))
        delta = {t: d.detach().clone() for t, d in delta.items()}
        for i in range(N):
            if value[i] > best[i]:
                best[i] = value[i].detach()
                for t in taps:
                    kept[t][i] = delta[t][i]
        if step == spec["steps"]:
            break
        for t in taps:
            mean = grad[t].abs().mean(1, keepdim=True)
            scaled = torch.where(mean > 0, grad[t] / mean, 0)
            momentum[t] = spec.get("decay", 0) * momentum[t] + scaled
            if "decay" in spec:
                grad[t] = momentum[t]
        for t, i, (a, b) in ball:
            clean, g = victim.clean[t][i, a:b], grad[t][i, a:b]
            r = radius(spec, clean)
            move = spec["alpha"] / spec["eps"] * r
            if spec["norm"] == "l2":
                g = g / g.norm() if g.norm() > 0 else g
            else:
                g = g.sign()
            delta[t][i, a:b] = project(delta[t][i, a:b] + move * g, r, spec["norm"],
                                       clean, t == "pixels")
    return kept, best


PIXEL = dict(taps=["pixels"], absolute=True, loss="cross_entropy", norm="linf")
CASES = [
    ("fgsm", "eps=8/255", dict(PIXEL, eps=8 / 255, alpha=8 / 255, steps=1)),
    ("fgsm", "eps=0.25 norm=l2 loss=dlr",
     dict(PIXEL, eps=0.25, alpha=0.25, steps=1, norm="l2", loss="dlr")),
    ("pgd", "eps=8/255 steps=5 random_start=0",
     dict(PIXEL, eps=8 / 255, alpha=4 / 255, steps=5)),
    ("pgd", "eps=0.5 alpha=0.2 norm=l2 steps=4 random_start=0 loss=margin",
     dict(PIXEL, eps=0.5, alpha=0.2, steps=4, norm="l2", loss="margin")),
    ("pgd", "eps=0.1 steps=3 random_start=0 loss=targeted",
     dict(PIXEL, eps=0.1, alpha=0.25 / 3, steps=3, loss="targeted")),
    ("pgd", "eps=0.05 steps=6 loss=embedding",
     dict(PIXEL, eps=0.05, alpha=0.125 / 6, steps=6, loss="embedding",
          random_start=True)),
    ("mi_fgsm", "eps=16/255 steps=6 decay=0.9",
     dict(PIXEL, eps=16 / 255, alpha=16 / 255 / 6, steps=6, decay=0.9)),
    ("feature_pgd", "eps=0.2 steps=4 random_start=0",
     dict(taps=["image.patch"], eps=0.2, alpha=0.075, steps=4, norm="l2",
          loss="cross_entropy")),
    ("feature_pgd", "tap=image.patch,image.block.0 eps=0.15 alpha=0.05 steps=5 "
     "random_start=0 loss=margin",
     dict(taps=["image.patch", "image.block.0"], eps=0.15, alpha=0.05, steps=5,
          norm="l2", loss="margin", masked=True)),
    ("feature_pgd", "tap=image.block.0 eps=0.3 norm=linf per_sample=1 steps=3 "
     "random_start=0",
     dict(taps=["image.block.0"], eps=0.3, alpha=0.15, steps=3, norm="linf",
          per_sample=True, loss="cross_entropy", masked=True)),
    ("feature_pgd", "eps=0.2 norm=linf steps=2",
     dict(taps=["image.patch"], eps=0.2, alpha=0.15, steps=2, norm="linf",
          loss="cross_entropy", random_start=True, masked=True)),
    ("feature_pgd", "eps=0.1 per_sample=1 steps=3 random_start=0 loss=dlr",
     dict(taps=["image.patch"], eps=0.1, alpha=0.05, steps=3, norm="l2",
          per_sample=True, loss="dlr")),
]


def floats(x):
    return ", ".join(f"{float(v):.9g}" for v in x)


def main():
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Made by attacks.py: final deltas, site after site, and losses. */"]
    table = []
    for n, (item, text, spec) in enumerate(CASES):
        kept, best = attack(spec)
        out.append(f"static const double delta{n}[] = {{")
        for tap in spec["taps"]:
            out += [f"    {floats(row)}," for row in kept[tap]]
        out += ["};", f"static const double loss{n}[] = {{ {floats(best)} }};"]
        table.append(f'    {{ "{item}", "{text}", "{",".join(spec["taps"])}", '
                     f"{int(spec.get('masked', False))}, delta{n}, loss{n} }},")
    out += ["static const struct golden {",
            "    const char *item, *params, *taps;", "    int masked;",
            "    const double *delta, *loss;", "} golden[] = {", *table, "};"]
    pathlib.Path(__file__).with_suffix(".h").write_text("\n".join(out) + "\n")


main()
