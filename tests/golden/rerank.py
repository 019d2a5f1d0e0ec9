# SPDX-License-Identifier: MIT
"""Golden values of re-ranking by BLIP's matching head.

  rerank.py   writes rerank/: a tiny BLIP with random weights as transformers
              saves it, captions of pictures of images/, and expected.txt: what
              transformers makes of them, ranked by brute force.

The first k candidates of a query by cosine are ranked by the head, all others
stay below them, as in the evaluation of BLIP and ALBEF. Needs torch,
transformers, tokenizers, safetensors, pillow, numpy.
"""
import json
import pathlib

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BlipConfig, BlipForImageTextRetrieval, BlipImageProcessor

from families import half, randomise, state, unit
from retrieval import median, query

HERE = pathlib.Path(__file__).parent
OUT = HERE / "rerank"
PICTURES = ["rgb.png", "adam7_rgb.png", "grey.png", "p8.png", "p4.png",
            "bits.png", "p2.png"]
WORDS = ("a of the picture photo red green blue dark light small large cat dog "
         "house tree boat sea sky street two three with under beside old new").split()
CONTEXT, SIZE = 24, 16


def tokenizer():
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + WORDS + ["##s", "[DEC]", "[ENC]"]
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocab)},
                                   unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


def captions():
    rng = np.random.default_rng(12)
    return [(p, " ".join(rng.choice(WORDS, rng.integers(1, 19))))
            for p in PICTURES for _ in range(2)]


def make_model(vocab):
    tower = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                 num_attention_heads=2)
    config = dict(
        text_config=dict(tower, vocab_size=vocab, max_position_embeddings=CONTEXT,
                         encoder_hidden_size=16, layer_norm_eps=1e-12,
                         bos_token_id=vocab - 2, sep_token_id=3),
        vision_config=dict(tower, image_size=SIZE, patch_size=4),
        image_text_hidden_size=8)
    model = BlipForImageTextRetrieval(
        BlipConfig(**config, attn_implementation="eager"))
    return randomise(model, 31), dict(config, model_type="blip")


def rank(sims, scores, owner, k):
    """Rows of expected outcomes of both directions."""
    def key(s, r):
        kth = np.sort(s)[::-1][min(k, len(s)) - 1] if k else np.inf
        return [(1, b) if a >= kth else (0, a) for a, b in zip(s, r)]

    images = [query(key(sims[i], scores[i]), [o == i for o in owner])
              for i in range(len(sims))]
    texts = [query(key(sims[:, t], scores[:, t]), [i == o for i in range(len(sims))])
             for t, o in enumerate(owner)]
    mean = [[float(sum(q[c] for q in side) / len(side)) for c in range(5)]
            for side in (images, texts)]
    return [100 * r for side in mean for r in side[2:]] + \
        [mean[0][1], mean[1][1], float(median([q[0] for q in images])),
         float(median([q[0] for q in texts]))]


def main():
    OUT.mkdir(exist_ok=True)
    tok, rows = tokenizer(), captions()
    model, config = make_model(tok.get_vocab_size())
    save_file(half(state(model)), OUT / "model.safetensors", {"format": "pt"})
    (OUT / "config.json").write_text(json.dumps(config, sort_keys=True) + "\n")
    tok.save(str(OUT / "tokenizer.json"))
    pre = BlipImageProcessor(size={"height": SIZE, "width": SIZE})
    pre.save_pretrained(OUT)
    (OUT / "captions.csv").write_text(
        "filepath,title\n" + "".join(f"{p},{c}\n" for p, c in rows))

    px = torch.stack([pre(Image.open(HERE / "images" / p).convert("RGB"),
                          return_tensors="pt").pixel_values[0] for p in PICTURES])
    tk = torch.zeros(len(rows), CONTEXT, dtype=torch.long)
    for i, (_, c) in enumerate(rows):
        ids = tok.encode(c).ids
        tk[i, :len(ids)] = torch.tensor(ids)
    mask = (tk != 0).long()
    px = px.double()
    owner = [PICTURES.index(p) for p, _ in rows]
    with torch.no_grad():
        image = unit(model.vision_proj(model.vision_model(px).last_hidden_state[:, 0]))
        y = model.text_encoder(input_ids=tk, attention_mask=mask).last_hidden_state
        sims = (image @ unit(model.text_proj(y[:, 0])).T).numpy()
        lines = []
        for first in ("cls", "enc"):
            t = tk.clone()
            if first == "enc":
                t[:, 0] = tok.get_vocab_size() - 1
            z = torch.stack([model(t, x.expand(len(rows), -1, -1, -1),
                                   attention_mask=mask).itm_score for x in px]).numpy()
            by = {"sum": z[..., 1] + sims, "match": z[..., 1],
                  "probability": z[..., 1] - z[..., 0]}
            for k in (0, 1, 4, 100):
                for name, scores in by.items():
                    v = rank(sims, scores, owner, k)
                    lines.append(f"{first} {k} {name}: " + " ".join(f"{x:.9g}" for x in v))
    (OUT / "expected.txt").write_text("".join(s + "\n" for s in lines))


if __name__ == "__main__":
    main()
