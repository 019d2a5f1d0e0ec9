# SPDX-License-Identifier: MIT
"""CLIP with Vision Transformers, in the files that transformers, open_clip
and OpenAI's own code write."""
import gzip
import json
import pathlib

import numpy as np
import torch

from models import Reference, case


def jitter(model, seed):
    """Vectors away from 0 and 1, so that no gain or bias can be forgotten."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:
                p.add_(0.05 * torch.randn_like(p))
    return model.eval()


def fill(context, vocab, eot):
    """Tokens of random length: begin, words, end, padding with zeros."""
    def make(rng, n):
        t = np.zeros((n, context), np.int32)
        for i in range(n):
            k = context - 1 if i == 0 else int(rng.integers(2, context - 1))
            t[i, 0] = eot - 1
            t[i, 1:k] = rng.integers(1, vocab - 2, k - 1)
            t[i, k] = eot
        return t
    return make


def merges():
    """The lines of CLIP's merges, from the file that open_clip ships."""
    import open_clip
    f = pathlib.Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    return gzip.open(f).read().decode().split("\n")[1:49152 - 256 - 2 + 1]


def write_tokenizer(where):
    """vocab.json and merges.txt as Hugging Face repositories have them."""
    from open_clip.tokenizer import SimpleTokenizer
    tok = SimpleTokenizer()
    names = {"<start_of_text>": "<|startoftext|>",
             "<end_of_text>": "<|endoftext|>"}
    (where / "vocab.json").write_text(
        json.dumps({names.get(k, k): i for k, i in tok.encoder.items()}))
    (where / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(merges()) + "\n")
    return tok


# ---- transformers ----

def hf(where, config):
    import transformers
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel
    torch.manual_seed(3)
    c = CLIPConfig(**config)
    c.text_config.bos_token_id, c.text_config.eos_token_id = 49406, 49407
    model = jitter(CLIPModel(c), 4)
    model.save_pretrained(where / "model")
    size = c.vision_config.image_size
    pre = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size=size)
    pre.save_pretrained(where / "model")
    tok = write_tokenizer(where / "model")
    ctx = c.text_config.max_position_embeddings

    def text(tokens, hook):
        h = model.text_model.embeddings.register_forward_hook(
            lambda _m, _a, out: hook(out))
        try:
            return model.get_text_features(input_ids=tokens).pooler_output
        finally:
            h.remove()

    return Reference(
        what=f"transformers {transformers.__version__}", path=where / "model",
        size=(size, size), mean=pre.image_mean, std=pre.image_std,
        image=lambda x: model.get_image_features(pixel_values=x).pooler_output,
        text=text, context=ctx, vocab=49408, fill=fill(ctx, 49408, 49407),
        ends=lambda t: t.argmax(1), scale=model.logit_scale.exp().item(),
        preprocess=lambda im: torch.from_numpy(
            np.asarray(pre(images=im)["pixel_values"][0])),
        tokenize=lambda s: tok(s, ctx))


@case("CLIP ViT-B/32, Hugging Face", "clip")
def hf_b32(where):
    return hf(where, {})
