# SPDX-License-Identifier: MIT
"""ViTamin, in the files that open_clip writes."""
import json

import torch

from models import Reference, case
from models_clip import fill, jitter, write_tokenizer


def open_clip_case(where, name):
    import open_clip
    from safetensors.torch import save_file
    torch.manual_seed(3)
    model = jitter(open_clip.create_model(name), 4)
    config = open_clip.get_model_config(name)
    (where / "model").mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()},
              where / "model/open_clip_model.safetensors")
    size = config["vision_cfg"]["image_size"]
    (where / "model/open_clip_config.json").write_text(json.dumps(dict(
        model_cfg=config, preprocess_cfg=dict(
            mean=open_clip.OPENAI_DATASET_MEAN,
            std=open_clip.OPENAI_DATASET_STD))))
    tok = write_tokenizer(where / "model")

    def text(tokens, hook):
        h = model.text.transformer.register_forward_pre_hook(
            lambda _m, a: (hook(a[0]), *a[1:]))
        try:
            return model.encode_text(tokens)
        finally:
            h.remove()

    return Reference(
        what=f"open_clip {open_clip.__version__}", path=where / "model",
        size=(size, size), mean=open_clip.OPENAI_DATASET_MEAN,
        std=open_clip.OPENAI_DATASET_STD, image=model.encode_image, text=text,
        context=77, vocab=49408, fill=fill(77, 49408, 49407),
        ends=lambda t: t.argmax(1), scale=model.logit_scale.exp().item(),
        preprocess=open_clip.image_transform(
            size, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN,
            std=open_clip.OPENAI_DATASET_STD),
        tokenize=lambda s: tok(s, 77))


@case("ViTamin-S, open_clip", "vitamin")
def small(where):
    return open_clip_case(where, "ViTamin-S")


@case("ViTamin-B, open_clip", "vitamin")
def base(where):
    return open_clip_case(where, "ViTamin-B")
