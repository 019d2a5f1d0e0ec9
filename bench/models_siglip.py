# SPDX-License-Identifier: MIT
"""SigLIP and SigLIP 2, in the files that transformers and open_clip write."""
import json

import numpy as np
import torch

from models import Reference, case
from models_clip import jitter, pixels_of
from models_tokens import write as write_tokens


def fill(context, vocab):
    """Texts of all lengths, padded with one token; no end is marked."""
    def make(rng, n):
        t = np.full((n, context), 1, np.int32)
        for i in range(n):
            k = context if i == 0 else int(rng.integers(2, context))
            t[i, :k] = rng.integers(2, vocab, k)
        return t
    return make


def last(tokens):
    return np.full(len(tokens), tokens.shape[1] - 1)


def scalars(model):
    """A scale and a bias that are not what a missing one would be."""
    with torch.no_grad():
        model.logit_scale.fill_(2.1)
        model.logit_bias.fill_(-4.5)


def transformers_case(where, vision, text, kind="siglip_64"):
    import transformers
    from transformers import (SiglipConfig, SiglipImageProcessorPil,
                              SiglipModel)
    torch.manual_seed(3)
    c = SiglipConfig(vision_config=vision, text_config=text)
    model = jitter(SiglipModel(c), 4)
    scalars(model)
    model.save_pretrained(where / "model")
    size, vocab = c.vision_config.image_size, c.text_config.vocab_size
    pre = SiglipImageProcessorPil(size=dict(height=size, width=size))
    pre.save_pretrained(where / "model")
    tokenize = write_tokens(where, where / "model", kind)

    def run_text(tokens, hook):
        h = model.text_model.embeddings.register_forward_hook(
            lambda _m, _a, out: hook(out))
        try:
            return model.get_text_features(input_ids=tokens).pooler_output
        finally:
            h.remove()

    return Reference(
        what=f"transformers {transformers.__version__}", path=where / "model",
        size=(size, size), mean=(0.5,) * 3, std=(0.5,) * 3,
        image=lambda x: model.get_image_features(pixel_values=x).pooler_output,
        text=run_text, context=64, vocab=vocab, fill=fill(64, vocab), ends=last,
        scale=model.logit_scale.exp().item(), bias=model.logit_bias.item(),
        preprocess=pixels_of(pre), tokenize=tokenize)


def open_clip_case(where, name, kind):
    import open_clip.tokenizer
    from safetensors.torch import save_file
    torch.manual_seed(3)
    model = jitter(open_clip.create_model(name), 4)
    scalars(model)
    config = open_clip.get_model_config(name)
    (where / "model").mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()},
              where / "model/open_clip_model.safetensors")
    (where / "model/open_clip_config.json").write_text(json.dumps(dict(
        model_cfg=config, preprocess_cfg=dict(
            mean=[0.5] * 3, std=[0.5] * 3, interpolation="bicubic",
            resize_mode="squash"))))
    write_tokens(where, where / "model", kind)
    tokenize = open_clip.tokenizer.HFTokenizer(
        str(where / "model"), context_length=64,
        **config["text_cfg"]["tokenizer_kwargs"])
    size, vocab = config["vision_cfg"]["image_size"], config["text_cfg"]["vocab_size"]

    def run_text(tokens, hook):
        # with positions: what the first block takes
        h = model.text.transformer.register_forward_pre_hook(
            lambda _m, a: (hook(a[0]), *a[1:]))
        try:
            return model.encode_text(tokens)
        finally:
            h.remove()

    return Reference(
        what=f"open_clip {open_clip.__version__}", path=where / "model",
        size=(size, size), mean=(0.5,) * 3, std=(0.5,) * 3,
        image=model.encode_image, text=run_text, context=64, vocab=vocab,
        fill=fill(64, vocab), ends=last,
        scale=model.logit_scale.exp().item(), bias=model.logit_bias.item(),
        preprocess=open_clip.image_transform(
            size, is_train=False, mean=(0.5,) * 3, std=(0.5,) * 3,
            resize_mode="squash", interpolation="bicubic"),
        tokenize=tokenize)


@case("SigLIP B/16, Hugging Face", "siglip")
def base(where):
    return transformers_case(where, {}, {})


@case("SigLIP SO400M/14@384, Hugging Face", "siglip")
def so400m(where):
    """Four blocks of it: 384 is no multiple of 14, 72 values a head."""
    tower = dict(hidden_size=1152, intermediate_size=4304,
                 num_attention_heads=16, num_hidden_layers=4)
    return transformers_case(where, dict(tower, image_size=384, patch_size=14),
                             tower)


@case("SigLIP 2 B/16, Hugging Face", "siglip")
def second(where):
    return transformers_case(where, {}, dict(vocab_size=256000),
                             "siglip2_64")


@case("SigLIP B/16, open_clip", "siglip")
def base_open_clip(where):
    return open_clip_case(where, "ViT-B-16-SigLIP", "open_clip_t5")


@case("SigLIP 2 B/16, open_clip", "siglip")
def second_open_clip(where):
    return open_clip_case(where, "ViT-B-16-SigLIP2", "siglip2_64")
