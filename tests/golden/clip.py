# SPDX-License-Identifier: MIT
"""Golden values of the clip plugin from transformers' CLIPModel.

  clip.py              writes clip_quick_gelu.safetensors and
                       clip_gelu.safetensors beside this file: inputs and, in
                       double precision, what a small model makes of them.
                       Its weights come from a formula that test_clip.c has too.
  clip.py --full DIR   makes DIR/model (ViT-B/32, random weights) and
                       DIR/case.safetensors in single precision, for
                       `tests/unit/test_clip DIR/model DIR/case.safetensors`.
  clip.py --embed DIR TOKENIZER.json   makes DIR/model (as above, with the
                       tokenizer and a preprocessor), DIR/images, DIR/texts.txt
                       and what transformers makes of them, for
                       `mohs embed --model DIR/model --images DIR/images
                       --texts DIR/texts.txt --out DIR/mohs`.
  clip.py --compare DIR       prints how far the two are apart.

Needs torch, transformers, safetensors, numpy, pillow.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

SMALL = dict(
    projection_dim=20,
    text_config=dict(hidden_size=24, intermediate_size=56, num_hidden_layers=2,
                     num_attention_heads=3, max_position_embeddings=9,
                     vocab_size=60, projection_dim=20, bos_token_id=58,
                     eos_token_id=59, layer_norm_eps=1e-5),
    vision_config=dict(hidden_size=32, intermediate_size=80,
                       num_hidden_layers=2, num_attention_heads=2,
                       image_size=24, patch_size=8, projection_dim=20,
                       layer_norm_eps=1e-6))


def philox(seed, key, n):
    """The first n words of stream (seed, key), as mohs/rng.h makes them."""
    blocks = (n + 3) // 4
    i = np.arange(blocks, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    c = [i & mask, i >> np.uint64(32),
         np.full(blocks, key & 0xFFFFFFFF, np.uint64),
         np.full(blocks, key >> 32, np.uint64)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c[0]
        p1 = np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, 1).reshape(-1)[:n].astype(np.uint32)


def weight(index, name, shape):
    """Weight `index` in order of names: uniform around 0 or, a gain, 1."""
    n = int(np.prod(shape, dtype=np.int64))
    offset, scale = 0.0, 0.25
    if name == "logit_scale":
        offset, scale = 2.0, 0.0
    elif name.endswith("bias"):
        scale = 0.125
    elif "norm" in name:
        offset = 1.0
    u = ((philox(7, index, n) >> np.uint32(8)).astype(np.float32)
         + np.float32(0.5)) * np.float32(2.0 ** -24)
    x = np.float32(offset) + np.float32(scale) * (
        np.float32(2) * u - np.float32(1))
    return torch.from_numpy(x.reshape(shape))


def run(model, pixels, tokens):
    """Normalised embeddings, the contrastive loss and its gradients."""
    kept = {}

    def keep(name):
        def hook(_module, _args, out):
            out = out[0] if isinstance(out, tuple) else out
            out.retain_grad()
            kept[name] = out
        return hook

    vision, text = model.vision_model, model.text_model
    vision.embeddings.register_forward_hook(keep("image.patch"))
    vision.encoder.layers[0].register_forward_hook(keep("image.block.0"))
    text.embeddings.register_forward_hook(keep("text.token"))
    text.encoder.layers[-1].register_forward_hook(keep("text.block.last"))
    pixels.requires_grad_(True)
    out = model(input_ids=tokens, pixel_values=pixels, return_loss=True)
    out.loss.backward()
    eos = model.config.text_config.eos_token_id
    last = (tokens == eos).int().argmax(1)
    res = {"pixels": pixels, "tokens": tokens.int(), "last": last.int(),
           "image": out.image_embeds, "text": out.text_embeds,
           "loss": out.loss, "grad.pixels": pixels.grad}
    for name, t in kept.items():
        res["grad." + name] = t.grad
    return {k: v.detach().contiguous() if v.dtype == torch.int32
            else v.detach().float().contiguous() for k, v in res.items()}


def make_tokens(rng, n, config):
    eos = config.eos_token_id
    t = np.full((n, config.max_position_embeddings), eos)
    t[:, 0] = config.bos_token_id
    for i in range(n):
        k = 1 if i == 0 else t.shape[1] - 1 if i == 1 else int(
            rng.integers(2, t.shape[1]))
        t[i, 1:k] = rng.integers(0, config.bos_token_id, k - 1)
    return torch.from_numpy(t)


def small(act):
    config = json.loads(json.dumps(SMALL))
    config["text_config"]["hidden_act"] = act
    config["vision_config"]["hidden_act"] = act
    model = CLIPModel(CLIPConfig(**config, attn_implementation="eager"))
    state = model.state_dict()
    names = sorted(k for k in state if not k.endswith("position_ids"))
    for i, name in enumerate(names):
        state[name].copy_(weight(i, name, tuple(state[name].shape)))
    model = model.double().eval()
    rng = np.random.default_rng(1)
    pixels = torch.from_numpy(
        rng.standard_normal((3, 3, 24, 24)).astype(np.float32)).double()
    res = run(model, pixels, make_tokens(rng, 3, model.config.text_config))
    config["model_type"] = "clip"
    path = pathlib.Path(__file__).parent / f"clip_{act}.safetensors"
    save_file(res, path, {"config": json.dumps(config, sort_keys=True)})
    print(path.name, path.stat().st_size, "bytes, loss", res["loss"].item())


def full(where):
    torch.manual_seed(3)
    model = CLIPModel(CLIPConfig(attn_implementation="eager")).eval()
    # Biases and gains start as zeros and ones: make them matter.
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:
                p.add_(0.1 * torch.randn_like(p))
    model.save_pretrained(where / "model")
    rng = np.random.default_rng(2)
    pixels = torch.from_numpy(
        rng.standard_normal((4, 3, 224, 224)).astype(np.float32))
    res = run(model, pixels, make_tokens(rng, 4, model.config.text_config))
    save_file(res, where / "case.safetensors")
    print("loss", res["loss"].item())


TEXTS = ["a photo of a cat", "The licence, its terms and don'ts.", "",
         "naïve café — 12 €", "你好 world 👩‍🚀", "x " * 100,
         "end <|endoftext|> and more"]


def embed(where, tokenizer):
    """The whole way: files to normalised embeddings."""
    from PIL import Image
    from transformers import CLIPImageProcessorPil, CLIPTokenizerFast
    tok = CLIPTokenizerFast(tokenizer_file=str(tokenizer))
    torch.manual_seed(4)
    model = CLIPModel(CLIPConfig(
        text_config=dict(vocab_size=len(tok), bos_token_id=tok.bos_token_id,
                         eos_token_id=tok.eos_token_id),
        attn_implementation="eager")).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:
                p.add_(0.1 * torch.randn_like(p))
    pre = CLIPImageProcessorPil()
    for part in (model, tok, pre):
        part.save_pretrained(where / "model")
    (where / "images").mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    pictures = []
    for i, (w, h) in enumerate([(224, 224), (301, 97), (640, 479), (33, 250),
                                (1023, 767), (225, 224)]):
        small = rng.integers(0, 256, (h // 8 + 1, w // 8 + 1, 3), np.uint8)
        im = Image.fromarray(small).resize((w, h), Image.BICUBIC)
        name = where / "images" / f"{i}.{('png', 'jpg', 'webp')[i % 3]}"
        im.save(name)
        pictures.append(Image.open(name).convert("RGB"))
    (where / "texts.txt").write_text("".join(t + "\n" for t in TEXTS))
    with torch.no_grad():
        px = pre(images=pictures, return_tensors="pt")["pixel_values"]
        tk = tok(TEXTS, padding="max_length", truncation=True, max_length=77,
                 return_tensors="pt")["input_ids"]
        out = model(input_ids=tk, pixel_values=px)
    np.save(where / "ref.image.npy", out.image_embeds.numpy())
    np.save(where / "ref.text.npy", out.text_embeds.numpy())


def compare(where):
    for side in ("image", "text"):
        a = np.load(where / f"ref.{side}.npy")
        b = np.load(where / f"mohs.{side}.npy")
        print(side, a.shape, "largest difference",
              np.abs(a - b).max() if a.shape == b.shape else b.shape)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--embed":
        embed(pathlib.Path(sys.argv[2]), sys.argv[3])
    elif len(sys.argv) == 3 and sys.argv[1] == "--compare":
        compare(pathlib.Path(sys.argv[2]))
    elif len(sys.argv) == 3 and sys.argv[1] == "--full":
        full(pathlib.Path(sys.argv[2]))
    else:
        small("quick_gelu")
        small("gelu")
