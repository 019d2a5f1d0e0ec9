# SPDX-License-Identifier: MIT
"""The workloads of bench_graph.c in PyTorch: vit|train [batch [runs]]."""
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.h = h
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.q, self.k, self.v = (nn.Linear(d, d) for _ in range(3))
        self.o = nn.Linear(d, d)
        self.f1, self.f2 = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x, causal=False):
        n, t, d = x.shape
        y = self.ln1(x)
        q, k, v = (f(y).view(n, t, self.h, -1).transpose(1, 2)
                   for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x = x + self.o(y.transpose(1, 2).reshape(n, t, d))
        y = self.f1(self.ln2(x))
        return x + self.f2(y * torch.sigmoid(1.702 * y))


class Image(nn.Module):
    def __init__(self, size, patch, d, h, layers, embed):
        super().__init__()
        self.patch = nn.Conv2d(3, d, patch, patch, bias=False)
        self.cls = nn.Parameter(torch.randn(d) * 0.02)
        self.pos = nn.Parameter(torch.randn((size // patch) ** 2 + 1, d) * 0.02)
        self.pre, self.post = nn.LayerNorm(d), nn.LayerNorm(d)
        self.blocks = nn.ModuleList(Block(d, h) for _ in range(layers))
        self.proj = nn.Linear(d, embed, bias=False)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.pos
        x = self.pre(x)
        for b in self.blocks:
            x = b(x)
        return F.normalize(self.proj(self.post(x[:, 0])), dim=-1)


class Text(nn.Module):
    def __init__(self, vocab, tokens, d, h, layers, embed):
        super().__init__()
        self.words = nn.Embedding(vocab, d)
        self.pos = nn.Parameter(torch.randn(tokens, d) * 0.02)
        self.blocks = nn.ModuleList(Block(d, h) for _ in range(layers))
        self.ln = nn.LayerNorm(d)
        self.proj = nn.Linear(d, embed, bias=False)

    def forward(self, t, last):
        x = self.words(t) + self.pos
        for b in self.blocks:
            x = b(x, True)
        x = self.ln(x)[torch.arange(len(t)), last]
        return F.normalize(self.proj(x), dim=-1)


def median(fn, runs):
    fn()
    times = []
    for _ in range(runs):
        t0 = time.time()
        fn()
        times.append(time.time() - t0)
    return statistics.median(times)


def vit(batch, runs):
    m = Image(224, 32, 768, 12, 12, 512).eval()
    x = torch.rand(batch, 3, 224, 224) - 0.5
    seed = torch.rand(batch, 512) - 0.5

    def forward():
        with torch.inference_mode():
            m(x)
    t = median(forward, runs)
    print(f"vit-b/32 forward          batch {batch}: {batch / t:7.2f} images/s")
    for p in m.parameters():
        p.requires_grad_(False)

    def gradient():
        y = x.clone().requires_grad_(True)
        (m(y) * seed).sum().backward()
    t = median(gradient, runs)
    print(f"vit-b/32 forward+gradient batch {batch}: {batch / t:7.2f} images/s")


def train(batch, runs):
    im, tx = Image(64, 8, 192, 6, 4, 128), Text(600, 24, 192, 6, 3, 128)
    scale = nn.Parameter(torch.tensor(2.6))
    params = [*im.parameters(), *tx.parameters(), scale]
    opt = torch.optim.AdamW(params, lr=1e-3, weight_decay=0.1,
                            betas=(0.9, 0.98))
    x = torch.rand(batch, 3, 64, 64) - 0.5
    t = torch.randint(0, 600, (batch, 24))
    last = 8 + torch.arange(batch) % 12
    y = torch.arange(batch)

    def step():
        s = scale.exp() * im(x) @ tx(t, last).T
        loss = (F.cross_entropy(s, y) + F.cross_entropy(s.T, y)) / 2
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
    print(f"train step batch {batch}: {median(step, runs):.3f} s")


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "vit"
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    r = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    torch.set_num_threads(torch.get_num_threads())
    print("torch", torch.__version__, torch.get_num_threads(), "threads")
    train(n or 256, r) if what == "train" else vit(n or 32, r)
