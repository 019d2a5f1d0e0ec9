# SPDX-License-Identifier: MIT
"""Writes train.h: losses, gradient norms and weight changes of a few training
steps of a tiny CLIP, done by PyTorch in double precision: CLIP and SigLIP
loss, AdamW with clipping and schedule, the averaged weights, and adversaries
at taps. tests/unit/test_train_golden.c trains the same with mohs, from the
same pictures, captions and weights (all from formulas both sides have).
Needs torch, transformers, numpy.
"""
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPConfig, CLIPModel

MASK64 = (1 << 64) - 1
SIZE, IMAGES, CAPTIONS, BATCH, STEPS, CONTEXT, VOCAB = 16, 24, 2, 8, 5, 12, 514
CONFIG = dict(
    projection_dim=8,
    text_config=dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                     num_attention_heads=2, max_position_embeddings=CONTEXT,
                     vocab_size=VOCAB, projection_dim=8, bos_token_id=VOCAB - 2,
                     eos_token_id=VOCAB - 1, pad_token_id=VOCAB - 1,
                     layer_norm_eps=1e-5, hidden_act="quick_gelu"),
    vision_config=dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                       num_attention_heads=2, image_size=SIZE, patch_size=4,
                       projection_dim=8, layer_norm_eps=1e-5,
                       hidden_act="quick_gelu"))
MEAN = torch.tensor([0.5, 0.4, 0.45]).double().view(3, 1, 1)
STD = torch.tensor([0.25, 0.3, 0.2]).double().view(3, 1, 1)


def words(seed, key, n):
    """The first n words of stream (seed, key), as mohs/rng.h makes them."""
    blocks = (n + 3) // 4
    i = np.arange(blocks, dtype=np.uint64)
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [i & mask, i >> half, np.full(blocks, key & 0xFFFFFFFF, np.uint64),
         np.full(blocks, key >> 32, np.uint64)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> half) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> half) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, 1).reshape(-1)[:n]


def uniform(seed, key, n):
    return ((words(seed, key, n) >> np.uint64(8)).astype(np.float64) + 0.5) * 2.0 ** -24


def below(seed, key, index, n):
    return int(words(seed, key, index + 1)[index]) * n >> 32


def fork(seed, what):
    z = (seed + 0x9E3779B97F4A7C15 * (what + 1)) & MASK64
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK64
    return z ^ z >> 31


def fnv(name):
    h = 0xCBF29CE484222325
    for c in name.encode():
        h = ((h ^ c) * 0x100000001B3) & MASK64
    return h


def signed(seed, name, shape):
    n = int(np.prod(shape, dtype=np.int64))
    return torch.from_numpy(2 * uniform(seed, fnv(name), n) - 1).reshape(shape)


def initial(name, shape):
    if name == "logit_scale":
        return torch.tensor(2.0).double()
    if name == "logit_bias":
        return torch.tensor(-3.0).double()
    offset = 1 if "norm" in name and name.endswith("weight") else 0
    scale = 0.125 if name.endswith("bias") else 0.25
    return (offset + scale * signed(21, name, shape)).float().double()


# ---- data ----

def pictures():
    """Each of two colours in stripes of its own width, with noise."""
    out = np.zeros((IMAGES, SIZE, SIZE, 3))
    for i in range(IMAGES):
        w = words(41, i, SIZE * SIZE * 3 + 6)
        for p in range(SIZE * SIZE):
            side = (p % SIZE) // (1 + i % 5) % 2
            for c in range(3):
                base = int(w[side * 3 + c]) >> 24
                noise = int(w[6 + 3 * p + c]) >> 27
                out[i, p // SIZE, p % SIZE, c] = (base + noise) % 256
    return torch.from_numpy(out).permute(0, 3, 1, 2) / 255


def caption(i, k):
    n = 1 + below(43, i, k, 8)
    return [chr(97 + below(44, i, 16 * k + j, 26)) for j in range(n)]


def tokens(letters):
    """Letters that stand alone, in CLIP's order of bytes, ends of words."""
    return [VOCAB - 2] + [256 + ord(c) - 33 for c in letters] + [VOCAB - 1]


def batches(seed, steps):
    """(images, captions, keys) of every step, as core/train/batch.c has it."""
    out, per_epoch = [], IMAGES // BATCH
    for step in range(steps):
        order = list(range(IMAGES))
        for i in range(IMAGES - 1, 0, -1):
            j = below(fork(seed, 1), step // per_epoch, i, i + 1)
            order[i], order[j] = order[j], order[i]
        first = step % per_epoch * BATCH
        items = order[first:first + BATCH]
        out.append((items, [below(fork(seed, 2), 100 + i, step, CAPTIONS)
                            for i in items]))
    return out


# ---- the model with deltas ----

class Model:
    def __init__(self, sigmoid):
        self.net = CLIPModel(CLIPConfig(**CONFIG, attn_implementation="eager")).double()
        self.net.eval()
        self.named = dict(self.net.named_parameters())
        if sigmoid:
            self.named["logit_bias"] = torch.nn.Parameter(torch.tensor(0.0).double())
        with torch.no_grad():
            for name, p in self.named.items():
                p.copy_(initial(name, tuple(p.shape)))
        vision, text = self.net.vision_model, self.net.text_model
        self.place = {"image.patch": vision.embeddings, "text.token": text.embeddings,
                      "image.block.0": vision.encoder.layers[0],
                      "text.embed": self.net.text_projection}

    def embed(self, pixels, ids, last, delta, seen=None):
        hooks = []
        for tap, module in self.place.items():
            def hook(_m, _a, out, tap=tap):
                x = out[0] if isinstance(out, tuple) else out
                if seen is not None:
                    seen[tap] = x.detach()
                if tap in delta:
                    x = x + delta[tap].reshape(x.shape)
                return (x, *out[1:]) if isinstance(out, tuple) else x
            hooks.append(module.register_forward_hook(hook))
        try:
            out = self.net(input_ids=ids, pixel_values=(pixels - MEAN) / STD)
        finally:
            for h in hooks:
                h.remove()
        return F.normalize(out.image_embeds, dim=-1), F.normalize(out.text_embeds, dim=-1)

    def similarity(self, image, text):
        return self.named["logit_scale"].exp() * image @ text.T

    def loss(self, s, arm):
        n = len(s)
        if arm.get("sigmoid"):
            z = 2 * torch.eye(n).double() - 1
            return F.softplus(-z * (s + self.named["logit_bias"])).sum() / n
        y = torch.arange(n)
        return (F.cross_entropy(s, y) + F.cross_entropy(s.T, y)) / 2


def symmetric_kl(a, b):
    p, q = a.log_softmax(1), b.log_softmax(1)
    return ((p.exp() - q.exp()) * (p - q)).sum(1).mean()


# ---- adversaries ----

def groups(x, mask, tap, per_sample):
    """Boolean masks over x [n, tokens, width], one per ball."""
    n, t, _ = x.shape
    live = mask if tap.startswith("text.") and t == mask.shape[1] else torch.ones(n, t).bool()
    for i in range(n):
        for sel in ([live[i].nonzero().ravel()] if per_sample
                    else [live[i].nonzero().ravel()[j:j + 1]
                          for j in range(int(live[i].sum()))]):
            yield i, sel


def ascend(delta, grad, clean, mask, tap, arm, eps):
    alpha = 1.5 * eps / arm["inner"]
    for i, sel in groups(clean, mask, tap, arm.get("per_sample")):
        x, g, d = clean[i, sel], grad[i, sel], delta[i, sel]
        if arm["norm"] == "l2":
            unit = x.norm()
            d = d + alpha * unit * g / g.norm()
            d = d * min(1, float(eps * unit / d.norm()))
        else:
            unit = x.std(correction=0)
            d = (d + alpha * unit * g.sign()).clamp(-eps * unit, eps * unit)
        delta[i, sel] = d


def eps_at(arm, step):
    if not arm.get("taps") or step < arm["start"]:
        return 0
    if step - arm["start"] >= arm["ramp"]:
        return arm["eps"]
    return arm["eps"] * (step - arm["start"] + 1) / (arm["ramp"] + 1)


def objective(m, arm, pixels, ids, last, delta):
    clean = m.similarity(*m.embed(pixels, ids, last, {}))
    adv = m.similarity(*m.embed(pixels, ids, last, delta))
    la = m.loss(adv, arm)
    kl = (symmetric_kl(clean, adv) + symmetric_kl(clean.T, adv.T)) / 2
    return m.loss(clean, arm) + la + arm.get("kl", 0) * kl, la


# ---- fine-tuning the image tower, the adversary an attack plugin ----

def raw(m, pixels):
    return m.net.get_image_features((pixels - MEAN) / STD).pooler_output


def step_l2(delta, grad, pixels, eps, alpha):
    """One step of pgd: in the ball of each picture, then in the box."""
    flat = grad.flatten(1)
    delta = delta + alpha * (flat / flat.norm(dim=1, keepdim=True)).reshape(grad.shape)
    size = delta.flatten(1).norm(dim=1).clamp(min=eps)
    delta = delta * (eps / size)[:, None, None, None]
    return (pixels + delta).clamp(0, 1) - pixels


def attacked(m, pixels, candidates, target, scale, arm):
    """pgd: the point of the largest cross entropy of all that it saw."""
    delta, best = torch.zeros_like(pixels), torch.full((len(pixels),), -math.inf).double()
    kept = delta
    for k in range(arm["steps"] + 1):
        delta = delta.detach().requires_grad_(True)
        z = scale * F.normalize(raw(m, pixels + delta), dim=-1) @ candidates.T
        value = F.cross_entropy(z, target, reduction="none")
        better = (value.detach() > best)[:, None, None, None]
        kept = torch.where(better, delta.detach(), kept)
        best = torch.maximum(best, value.detach())
        if k < arm["steps"]:
            grad, = torch.autograd.grad(value.sum(), delta)
            delta = step_l2(delta.detach(), grad, pixels, arm["eps"],
                            2.5 / arm["steps"] * arm["eps"])
    return pixels + kept


def fine_tuning(m, arm, pixels, items):
    """As gradients(), of TeCoA and FARE."""
    params = list(m.named.values())
    if arm["loss"] == "tecoa":
        candidates, scale = arm["prompts"], arm["scale"]
        target = torch.tensor([i % len(CLASSES) for i in items])
    else:
        candidates = F.normalize(raw(m, pixels), dim=-1).detach()
        target, scale = torch.arange(len(items)), arm["scale"]

    def loss(x):
        y = raw(m, x)
        if arm["loss"] == "fare":
            return ((y - raw(arm["start"], pixels).detach()) ** 2).sum(1).mean()
        return F.cross_entropy(scale * F.normalize(y, dim=-1) @ candidates.T, target)
    la = loss(attacked(m, pixels, candidates, target, scale, arm))
    value = la + (arm["clean"] * loss(pixels) if arm["clean"] else 0)
    return value, la.detach(), torch.autograd.grad(value, params, allow_unused=True)


def hold_on(m, arm):
    """What fine-tuning compares with, from the weights at the start."""
    arm["scale"] = m.named["logit_scale"].exp().detach()
    arm["start"] = Model(False)
    rows = [tokens(["a", c]) for c in CLASSES]
    ids = torch.tensor([r + [VOCAB - 1] * (CONTEXT - len(r)) for r in rows])
    text = m.net.get_text_features(ids).pooler_output
    arm["prompts"] = F.normalize(text, dim=-1).detach()


def gradients(m, arm, step, pixels, ids, last, mask):
    """Objective, adversarial loss, parameter gradients of one step."""
    params, eps = list(m.named.values()), eps_at(arm, step)

    def of(value):
        return torch.autograd.grad(value, params, allow_unused=True)
    if not eps:
        value = m.loss(m.similarity(*m.embed(pixels, ids, last, {})), arm)
        return value, None, of(value)
    seen = {}
    m.embed(pixels, ids, last, {}, seen)
    taps = arm["taps"]
    clean = {t: seen[t].reshape(len(pixels), -1, seen[t].shape[-1]) for t in taps}
    delta = {t: torch.zeros_like(clean[t]) for t in taps}
    found = []
    for _ in range(arm["inner"]):
        for d in delta.values():
            d.requires_grad_(True)
        up = m.loss(m.similarity(*m.embed(pixels, ids, last, delta)), arm)
        grad = dict(zip(taps, torch.autograd.grad(up, list(delta.values()))))
        delta = {t: d.detach().clone() for t, d in delta.items()}
        for t in taps:
            if not arm.get("alternate") or t.startswith("text.") == (step % 2 == 1):
                ascend(delta[t], grad[t], clean[t], mask, t, arm, eps)
        value, la = objective(m, arm, pixels, ids, last, delta)
        found.append((value.detach(), la.detach(), of(value)))
    if not arm.get("average"):
        return found[-1]
    return (sum(f[0] for f in found) / len(found), sum(f[1] for f in found) / len(found),
            [None if g[0] is None else sum(g) / len(found)
             for g in zip(*(f[2] for f in found))])


# ---- training ----

def rate(arm, step):
    lr, warmup = arm["lr"], 2
    if step < warmup:
        return lr * (step + 1) / warmup
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup)))


def train(arm):
    torch.manual_seed(0)
    m, x = Model(arm.get("sigmoid")), pictures()
    start = {k: p.detach().clone() for k, p in m.named.items()}
    average = {k: p.clone() for k, p in start.items()}
    first, second = ({k: torch.zeros_like(p) for k, p in start.items()} for _ in range(2))
    decays = {k for k, p in start.items() if p.ndim >= 2}
    texts = {(i, k): tokens(caption(i, k)) for i in range(IMAGES) for k in range(CAPTIONS)}
    longest = max(map(len, texts.values()))
    losses, adversarial, norms = [], [], []
    if "loss" in arm:
        hold_on(m, arm)
    for step, (items, picks) in enumerate(batches(5, STEPS)):
        rows = [texts[i, k] for i, k in zip(items, picks)]
        last = torch.tensor([len(r) - 1 for r in rows])
        ids = torch.tensor([r + [VOCAB - 1] * (longest - len(r)) for r in rows])
        mask = torch.arange(longest)[None] <= last[:, None]
        value, la, grads = (fine_tuning(m, arm, x[items], items) if "loss" in arm else
                            gradients(m, arm, step, x[items], ids, last, mask))
        norm = math.sqrt(sum(float((g * g).sum()) for g in grads if g is not None))
        losses.append(float(value.detach()))
        adversarial.append(math.nan if la is None else float(la))
        norms.append(norm)
        clip = min(1, 0.5 / norm)
        lr, ema = rate(arm, step), min(arm.get("ema", 0), (1 + step) / (10 + step))
        with torch.no_grad():
            for (k, p), g in zip(m.named.items(), grads):
                if g is None:
                    continue
                g = g * clip
                first[k].mul_(0.8).add_(g, alpha=0.2)
                second[k].mul_(0.95).addcmul_(g, g, value=0.05)
                move = first[k] / (1 - 0.8 ** (step + 1)) / (
                    (second[k] / (1 - 0.95 ** (step + 1))).sqrt() + 1e-4)
                p.sub_(lr * (move + (0.1 if k in decays else 0) * p))
                average[k].mul_(ema).add_(p, alpha=1 - ema)
    final = average if arm.get("ema") else m.named
    change = {}
    for k, p in final.items():
        d = p.detach() - start[k]
        change[k] = (float(d.norm()), float((d * signed(31, k, tuple(d.shape))).sum()))
    return losses, adversarial, norms, change


CLASSES = "qxz"
BOTH = ["image.patch", "text.token"]
ARMS = {
    "clean": dict(lr=0.02, ema=0.9),
    "sigmoid": dict(lr=0.02, sigmoid=True),
    "villa": dict(lr=0.02, taps=BOTH, norm="l2", inner=2, eps=0.2, kl=1.5, start=1,
                  ramp=2),
    "freelb": dict(lr=0.01, taps=BOTH, norm="linf", inner=2, eps=0.3, start=0, ramp=0,
                   per_sample=True, average=True),
    "average": dict(lr=0.01, taps=BOTH, norm="l2", inner=2, eps=0.15, kl=0.7, start=2,
                    ramp=0, average=True),
    "sample": dict(lr=0.01, taps=["image.block.0", "text.embed"], norm="l2", inner=1,
                   eps=0.15, start=0, ramp=0, per_sample=True, sigmoid=True),
    "alternate": dict(lr=0.01, taps=BOTH, norm="l2", inner=3, eps=0.1, start=1, ramp=1,
                      alternate=True),
    "tecoa": dict(lr=0.02, loss="tecoa", eps=0.8, steps=3, clean=0.5),
    "fare": dict(lr=0.02, loss="fare", eps=0.8, steps=3, clean=0),
}


def numbers(x):
    return ", ".join("NAN" if math.isnan(v) else f"{v:.10g}" for v in x)


def main():
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Made by train.py: what each arm's steps and weights become. */"]
    table = []
    for arm, spec in ARMS.items():
        losses, adversarial, norms, change = train(spec)
        print(arm, losses)
        out.append(f"static const struct change {arm}_change[] = {{")
        out += [f'    {{ "{k}", {d:.8g}, {r:.8g} }},' for k, (d, r) in change.items()]
        out.append("};")
        table.append(f'    {{ "{arm}", {{ {numbers(losses)} }},\n      '
                     f"{{ {numbers(adversarial)} }},\n      {{ {numbers(norms)} }}, "
                     f"{len(change)}, {arm}_change }},")
    head = [f"enum {{ G_STEPS = {STEPS} }};",
            "/* L2 norm of a weight's change, and its product with a fixed vector. */",
            "struct change {", "    const char *name;", "    double norm, product;", "};"]
    out = out[:2] + head + out[2:]
    out += ["static const struct arm {", "    const char *name;",
            "    double loss[G_STEPS], adversarial[G_STEPS], norm[G_STEPS];",
            "    int n_changes;", "    const struct change *change;", "} arms[] = {",
            *table, "};"]
    pathlib.Path(__file__).with_suffix(".h").write_text("\n".join(out) + "\n")


main()
