# SPDX-License-Identifier: MIT
"""Writes joint.h: what the image side of separate, co_attack and sga does to the
model of tests/unit/attack_victim.c when every caption is its candidate, and a
picture through views at other scales with the gradient back, all by PyTorch's
autograd in double precision. Needs torch, numpy.
"""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from attacks import C, N, POSITIVE, X, Victim, fork, numbers, uniform

SEED, HEIGHT, WIDTH = 3, 3, 4


def view(x, scale, h, w):
    """Resized, cut, resized back: planes of h x w."""
    size = (max(1, int(scale * h)), max(1, int(scale * w)))
    y = F.interpolate(x.reshape(-1, 3, h, w), size=size, mode="bicubic")
    return F.interpolate(y.clamp(0, 1), size=(h, w), mode="bicubic").reshape(x.shape)


def kl(ref, e):
    return (ref.softmax(-1) * (ref.log_softmax(-1) - e.log_softmax(-1))).sum(-1)


def climb(eps, alpha, steps, one_sided, scales, loss):
    victim = Victim(False)
    u = torch.stack([torch.from_numpy(uniform(fork(SEED, 0x57), 1000 + i, X.shape[1]))
                     for i in range(N)])
    delta = (X + eps * (u if one_sided else 2 * u - 1)).clamp(0, 1) - X
    for _ in range(steps):
        x = (X + delta).requires_grad_(True)
        seen = [x] + [view(x, s, HEIGHT, WIDTH) for s in scales]
        value = sum(loss(victim.run({"pixels": s - X}), victim).sum() for s in seen)
        g, = torch.autograd.grad(value, x)
        delta = (delta + alpha * g.sign()).clamp(-eps, eps)
        delta = (X + delta).clamp(0, 1) - X
    return delta


def away(e, victim):
    return kl(victim.embed.float().double(), e)


def pair(e, victim):
    first = C[[p[0] for p in POSITIVE]]
    return away(e, victim) + 3 * kl(first, e)


def set_level(e, _):
    return -torch.stack([(e[i] * C[POSITIVE[i]]).sum() for i in range(N)])


CASES = [
    ("separate", "eps=0.05 steps=5", climb(.05, 1.25 * .05 / 5, 5, True, [], away)),
    ("co_attack", "eps=0.05 steps=5", climb(.05, 1.25 * .05 / 5, 5, True, [], pair)),
    ("sga", "eps=0.05 steps=4 noise=0 scales=0.5,1.5",
     climb(.05, 2.5 * .05 / 4, 4, False, [.5, 1.5], set_level)),
    ("sga", "eps=0.05 steps=4 alpha=0.02 noise=0 scales=1",
     climb(.05, .02, 4, False, [1], set_level)),
]


def views():
    """A picture of 5 x 6, partly beyond the range, through each scale."""
    x = (numbers(8, 3, 5, 6) * .8 + .5).float().double().requires_grad_(True)
    d = numbers(9, 3, 5, 6).float().double()
    for scale in (.5, .75, 1.25, 1.5):
        y = view(x, scale, 5, 6)
        g, = torch.autograd.grad((y * d).sum(), x)
        yield scale, y.detach(), g


def row(values):
    return ", ".join(f"{float(v):.9g}" for v in np.asarray(values).reshape(-1))


def main():
    out = ["/* SPDX-License-Identifier: MIT */", "/* Written by joint.py. */",
           "static const struct joint_golden {", "    const char *item, *params;",
           f"    double delta[{X.numel()}];", "} joint_golden[] = {"]
    for item, params, delta in CASES:
        out.append(f'    {{ "{item}", "{params}", {{ {row(delta)} }} }},')
    out += ["};", "static const struct view_golden {", "    double scale;",
            "    double out[90], grad[90];", "} view_golden[] = {"]
    for scale, y, g in views():
        out.append(f"    {{ {scale}, {{ {row(y)} }},\n      {{ {row(g)} }} }},")
    out.append("};")
    path = pathlib.Path(__file__).with_name("joint.h")
    path.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
