# SPDX-License-Identifier: MIT
"""BLIP for retrieval, in the files that transformers writes."""

import numpy as np
import torch

from models import Reference, case
from models_clip import jitter, pixels_of
from models_tokens import write as write_tokens


def fill(rng, n, context=35, vocab=30522):
    """BERT's: [CLS], words, [SEP], padding with zeros."""
    t = np.zeros((n, context), np.int32)
    for i in range(n):
        k = context - 1 if i == 0 else int(rng.integers(2, context - 1))
        t[i, 0], t[i, k] = 101, 102
        t[i, 1:k] = rng.integers(1000, vocab, k - 1)
    return t


def base_model():
    from transformers import BlipConfig, BlipForImageTextRetrieval
    torch.manual_seed(3)
    # its default deviation is 1e-10: nothing but biases would be left
    c = BlipConfig(vision_config=dict(initializer_range=0.02),
                   image_text_hidden_size=256)
    return jitter(BlipForImageTextRetrieval(c), 4)


@case("BLIP base retrieval, Hugging Face", "blip")
def base(where):
    import transformers
    from transformers import BlipImageProcessorPil
    model = base_model()
    model.save_pretrained(where / "model")
    tokenize = write_tokens(where, where / "model", "bert_35")
    pre = BlipImageProcessorPil()
    pre.save_pretrained(where / "model")
    size = model.config.vision_config.image_size

    def text(tokens, hook):
        h = model.text_encoder.embeddings.register_forward_hook(
            lambda _m, _a, out: hook(out))
        try:
            y = model.text_encoder(input_ids=tokens, attention_mask=tokens != 0)
            return model.text_proj(y.last_hidden_state[:, 0])
        finally:
            h.remove()

    def pairs(x, tokens):
        """As BlipForImageTextRetrieval with use_itm_head."""
        side = model.vision_model(x).last_hidden_state
        return torch.stack([model.itm_head(model.text_encoder(
            input_ids=tokens, attention_mask=tokens != 0,
            encoder_hidden_states=one.expand(len(tokens), -1, -1),
        ).last_hidden_state[:, 0]) for one in side[:, None]])

    return Reference(
        what=f"transformers {transformers.__version__}", path=where / "model",
        size=(size, size), mean=pre.image_mean, std=pre.image_std,
        image=lambda x: model.vision_proj(
            model.vision_model(x).last_hidden_state[:, 0]),
        text=text, pairs=pairs, context=35, vocab=30524, fill=fill,
        ends=lambda t: (t == 102).argmax(1), scale=float(np.exp(2.6592)),
        preprocess=pixels_of(pre), tokenize=tokenize)
