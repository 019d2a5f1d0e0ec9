# SPDX-License-Identifier: MIT
"""The steps of bench/train_step.c in PyTorch: train_step.py [BATCH [RUNS
[clean | adversarial]]]. Batches are tensors that are already there, which
spares PyTorch the decoding and cropping. Needs torch."""
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from bench_graph import Image, Text

TOKENS, VOCAB = 22, 600


def features(tower, x, last, delta):
    """bench_graph's towers with delta added to patches or token embeddings."""
    hook = None
    if delta is not None:
        layer = tower.words if last is not None else tower.patch
        move = delta if last is not None else delta.transpose(1, 2)
        hook = layer.register_forward_hook(
            lambda m, i, y: y + move.reshape(y.shape))
    try:
        return tower(x) if last is None else tower(x, last)
    finally:
        if hook:
            hook.remove()


def objective(im, tx, scale, x, t, last, di=None, dt=None):
    s = scale.exp() * features(im, x, None, di) @ features(tx, t, last, dt).T
    y = torch.arange(len(x))
    return (F.cross_entropy(s, y) + F.cross_entropy(s.T, y)) / 2


def main():
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    kind = sys.argv[3] if len(sys.argv) > 3 else "clean"
    im, tx = Image(64, 8, 192, 3, 4, 128), Text(VOCAB, TOKENS, 192, 3, 3, 128)
    scale = nn.Parameter(torch.tensor(2.6))
    params = [*im.parameters(), *tx.parameters(), scale]
    opt = torch.optim.AdamW(params, lr=1e-3, weight_decay=0.1, betas=(0.9, 0.98))
    average = [p.detach().clone() for p in params]
    x = torch.rand(batch, 3, 64, 64) - 0.5
    t = torch.randint(0, VOCAB, (batch, TOKENS))
    last = 8 + torch.arange(batch) % 12

    def perturbation():
        di = torch.zeros(batch, 64, 192, requires_grad=True)
        dt = torch.zeros(batch, TOKENS, 192, requires_grad=True)
        loss = objective(im, tx, scale, x, t, last, di, dt)
        return [0.1 * g / g.norm(dim=2, keepdim=True).clamp_min(1e-12)
                for g in torch.autograd.grad(loss, [di, dt])]

    def step():
        opt.zero_grad()
        loss = objective(im, tx, scale, x, t, last)
        if kind == "adversarial":
            loss = loss + objective(im, tx, scale, x, t, last, *perturbation())
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        torch._foreach_lerp_(average, [p.detach() for p in params], 0.005)

    step()
    times = []
    for _ in range(runs):
        t0 = time.time()
        step()
        times.append(time.time() - t0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads: train step "
          f"{kind}, batch {batch}: {statistics.median(times):.3f} s")


main()
