# SPDX-License-Identifier: MIT
"""Writes attacks.h: what fgsm, pgd, mi_fgsm, feature_pgd, apgd, feature_apgd, fab
and cw do to the model of tests/unit/attack_victim.c, step by step with PyTorch's
autograd in double precision. Needs torch, numpy.
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
        elif kind == "aimed":  # towards spec's target, as a difference
            out.append(z[i, victim.target[i]] - right)
        elif kind == "dlr_targeted":
            top = z[i].sort(descending=True).values
            gap = z[i, victim.target[i]] - right
            out.append(gap / (top[0] - (top[2] + top[3]) / 2 + 1e-12))
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
    if norm == "l1":
        lo, hi = (-clean, 1 - clean) if pixels else (-torch.inf, torch.inf)

        def soft(m):
            return (d.sign() * (d.abs() - m).clamp(min=0)).clamp(lo, hi)

        a, b = 0.0, float(d.abs().max())
        for _ in range(200 if float(soft(0).abs().sum()) > r else 0):
            m = (a + b) / 2
            a, b = (m, b) if float(soft(m).abs().sum()) > r else (a, m)
        return soft(b) if a else soft(0)
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
            elif spec["norm"] == "l1":
                k = -(-len(g) // 20)
                top = g.abs().topk(k).indices
                g = torch.zeros_like(g).index_put((top,), g[top].sign() / k)
            else:
                g = g.sign()
            delta[t][i, a:b] = project(delta[t][i, a:b] + move * g, r, spec["norm"],
                                       clean, t == "pixels")
    return kept, best


def fooled(e, i):
    z = e[i] @ C.T
    wrong = [j for j in range(CANDIDATES) if j not in POSITIVE[i]]
    return bool(wrong) and bool(z[wrong].max() > z[POSITIVE[i]].max())


def aim(victim, rank):
    """The rank-th best wrong candidate of each clean sample; -1 without."""
    z = victim.run({}) @ C.T
    victim.target = []
    for i in range(N):
        wrong = [j for j in z[i].argsort(descending=True).tolist() if j not in POSITIVE[i]]
        victim.target.append(wrong[rank] if rank < len(wrong) else -1)


def value_and_slope(victim, kind, i, delta):
    """Loss of sample i alone, its gradient by taps, and whether it is fooled."""
    x = {t: d.clone().requires_grad_(True) for t, d in delta.items()}
    e = victim.run(x)
    if kind in ("aimed", "dlr_targeted") and victim.target[i] < 0:
        return 0.0, {t: torch.zeros(d.shape[1]) for t, d in delta.items()}, fooled(e.detach(), i)
    value = losses(kind, e, victim, 3)[i]
    grad = torch.autograd.grad(value, list(x.values()))
    return float(value.detach()), {t: g[i] for t, g in zip(x, grad)}, fooled(e.detach(), i)


def apgd(spec):
    """Algorithm 1 of Croce and Hein 2020, one sample at a time."""
    victim, seed, taps = Victim(spec.get("masked", False)), 3, spec["taps"]
    steps, kept = spec["steps"], {t: torch.zeros_like(victim.clean[t]) for t in spec["taps"]}
    best = torch.full((N,), -torch.inf)
    strong = [False] * N
    for run in range(spec.get("targets", 1)):
        if spec["loss"] == "dlr_targeted":
            aim(victim, run)
        for i in range(N):
            group = {t: [(a, b, radius(spec, victim.clean[t][i, a:b]))
                         for a, b in victim.groups(t, i, spec.get("per_sample"))]
                     for t in taps}

            def inside(d):
                out = {t: torch.zeros_like(v) for t, v in d.items()}
                for t in taps:
                    for a, b, r in group[t]:
                        out[t][i, a:b] = project(d[t][i, a:b], r, spec["norm"],
                                                 victim.clean[t][i, a:b], t == "pixels")
                return out

            x = {t: torch.zeros_like(victim.clean[t]) for t in taps}
            for n, t in enumerate(taps):
                for a, b, r in group[t]:  # Linf: uniform, then out to the ball
                    u = torch.from_numpy(uniform(fork(fork(seed, run), n), 1000 + i, b)[a:])
                    x[t][i, a:b] = (2 * u - 1) / (2 * u - 1).abs().max() * r
            x = inside(x)
            value, slope, now = value_and_slope(victim, spec["loss"], i, x)
            found = [(now, value, x)]
            top, top_x, top_slope, checked = value, x, slope, value
            size, halved, old, trace = 2.0, True, x, []
            gap, since = max(int(.22 * steps), 1), 0
            for t in range(steps):
                share = 1 if t == 0 else .75
                z = {k: v.clone() for k, v in x.items()}
                for k in taps:
                    for a, b, r in group[k]:
                        g = slope[k][a:b]
                        g = g.sign() if spec["norm"] == "linf" else g / max(g.norm(), 1e-30)
                        z[k][i, a:b] += size * r * g
                z = inside(z)
                new = inside({k: x[k] + share * (z[k] - x[k]) + (1 - share) * (x[k] - old[k])
                              for k in taps})
                old, x = x, new
                value, slope, now = value_and_slope(victim, spec["loss"], i, x)
                found.append((now, value, x))
                trace.append(value)
                if value > top:
                    top, top_x, top_slope = value, x, slope
                since += 1
                if since == gap:
                    pairs = zip(trace[-gap:], ([0.0] + trace)[-gap - 1:])
                    rose = sum(b > a for b, a in pairs)
                    was, halved = halved, rose <= gap * .75 or (not halved and checked >= top)
                    checked = top
                    if halved:
                        size, x, slope = size / 2, top_x, top_slope
                    gap = max(gap - max(int(.03 * steps), 1), max(int(.06 * steps), 1))
                    since = 0
            for now, value, x in found:
                if (now, value) > (strong[i], float(best[i])):
                    strong[i], best[i] = now, value
                    for t in taps:
                        kept[t][i] = x[t][i]
    return kept, best


def nearest(norm, x, w, b):
    """To the plane w z = b in the box, by bisection of the multiplier."""
    down = float(w @ x) - b >= 0
    way = -torch.sign(w) if down else torch.sign(w)
    room = torch.where(way > 0, 1 - x, x).clamp(min=0) * (w != 0)
    c = w.abs() if norm == "l2" else torch.ones_like(w)

    def at(m):
        return x + way * torch.minimum(m * c, room)

    low, high = 0.0, 1e12
    for _ in range(400):
        middle = (low + high) / 2
        over = (float(w @ at(middle)) - b < 0) == down
        low, high = (low, middle) if over else (middle, high)
    return at(high)


def fab(spec):
    victim, norm = Victim(False), spec["norm"]
    kept = {"pixels": torch.zeros_like(X)}
    best, done = torch.zeros(N), [fooled(victim.run({}), i) for i in range(N)]

    least = [(np.inf, None)] * N

    def size_of(d):
        return float(d.abs().max() if norm == "linf" else d.norm())

    for run in range(spec["targets"]):
        aim(victim, run)
        for i in range(N):
            if done[i] or victim.target[i] < 0:
                continue
            point = X[i].clone()
            for _ in range(spec["steps"]):
                d = {"pixels": torch.zeros_like(X)}
                d["pixels"][i] = point - X[i]
                value, g, _ = value_and_slope(victim, "aimed", i, d)
                w = g["pixels"]
                b = float(w @ point) - value
                here, there = nearest(norm, point, w, b), nearest(norm, X[i], w, b)
                one, two = max(size_of(here - point), 1e-8), max(size_of(there - X[i]), 1e-8)
                a = min(one / (one + two), .1)
                point = ((point + 1.05 * (here - point)) * (1 - a) +
                         (X[i] + 1.05 * (there - X[i])) * a).clamp(0, 1)
                d["pixels"][i] = point - X[i]
                if fooled(victim.run(d), i):
                    if size_of(point - X[i]) < least[i][0]:
                        least[i] = size_of(point - X[i]), point - X[i]
                    point = X[i] + .9 * (point - X[i])
    for i in range(N):
        if least[i][0] <= spec["eps"]:
            kept["pixels"][i] = least[i][1]
    return kept, best


def cw(spec):
    """Carlini and Wagner's L2 attack with PyTorch's own Adam."""
    victim, kept, best = Victim(False), {"pixels": torch.zeros_like(X)}, torch.zeros(N)
    for i in range(N):
        if fooled(victim.run({}).detach(), i):
            continue
        c, low, high, least = spec["c"], 0.0, np.inf, np.inf
        for _ in range(spec["binary_steps"]):
            w = torch.atanh((2 * X[i] - 1).clamp(1e-6 - 1, 1 - 1e-6)).requires_grad_(True)
            adam, hit = torch.optim.Adam([w], lr=spec["lr"]), False
            for step in range(spec["steps"] + 1):
                d = torch.zeros_like(X)
                d[i] = (torch.tanh(w) + 1) / 2 - X[i]
                e = victim.run({"pixels": d})
                size = float(d[i].detach().norm())
                if fooled(e.detach(), i):
                    hit = True
                    if size < least:
                        least, kept["pixels"][i] = size, d[i].detach()
                if step == spec["steps"]:
                    break
                gap = -losses("margin", e, victim, 3)[i]
                adam.zero_grad()
                ((d[i] ** 2).sum() + c * gap.clamp(min=-spec["kappa"])).backward()
                adam.step()
            low, high = (low, c) if hit else (c, high)
            c = (low + high) / 2 if high < np.inf else 10 * c
        if least > spec["eps"]:
            kept["pixels"][i] = 0
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
    ("pgd", "eps=1.2 alpha=0.5 norm=l1 steps=7 random_start=0",
     dict(PIXEL, eps=1.2, alpha=0.5, steps=7, norm="l1")),
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
    ("apgd", "eps=0.04 steps=40 loss=dlr", dict(PIXEL, do=apgd, eps=.04, steps=40, loss="dlr")),
    ("apgd", "eps=0.05 steps=12 loss=margin",
     dict(PIXEL, do=apgd, eps=.05, steps=12, loss="margin")),
    ("apgd", "eps=0.02 steps=20 loss=dlr_targeted targets=3",
     dict(PIXEL, do=apgd, eps=.02, steps=20, loss="dlr_targeted", targets=3)),
    ("feature_apgd", "tap=image.patch,image.block.0 norm=linf eps=0.1 steps=25 loss=margin",
     dict(taps=["image.patch", "image.block.0"], do=apgd, eps=.1, steps=25, norm="linf",
          loss="margin", masked=True)),
    ("fab", "eps=0.3 steps=20 targets=2 loss=-",
     dict(PIXEL, do=fab, eps=.3, steps=20, targets=2)),
    ("fab", "eps=1.5 norm=l2 steps=15 targets=1 loss=-",
     dict(PIXEL, do=fab, eps=1.5, norm="l2", steps=15, targets=1)),
    ("cw", "eps=2 c=0.5 kappa=0.2 lr=0.02 steps=30 binary_steps=3 loss=-",
     dict(PIXEL, do=cw, eps=2, c=.5, kappa=.2, lr=.02, steps=30, binary_steps=3)),
]


def floats(x):
    return ", ".join(f"{float(v):.9g}" for v in x)


def main():
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Made by attacks.py: final deltas, site after site, and losses. */"]
    table = []
    for n, (item, text, spec) in enumerate(CASES):
        kept, best = spec.pop("do", attack)(spec)
        text = text.removesuffix(" loss=-")
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


if __name__ == "__main__":
    main()
