# SPDX-License-Identifier: MIT
"""Writes token_kinds/, directories of small tokenizers as users have them (kept
once they are there), and token_kinds.json: texts, and for every kind a
checksum of each text's ids as its reference program gives them.

Needs what token_kinds.py needs.
"""
import gzip
import json
import os
import random
import tempfile

import ftfy
import sentencepiece as spm
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from tokenizers import (Tokenizer, models, normalizers, pre_tokenizers,
                        trainers)
from transformers import (BertTokenizer, GemmaTokenizer, Siglip2Tokenizer,
                          SiglipTokenizer, T5TokenizerFast)

import tokenizer as T
from token_kinds import HERE, MORE, T5, Clip, Hf, Sp, dump, lines, texts

RULES = [("ﬁ", "fi"), ("Ａ", "A"), ("é", "e"), ("e\u0301", "e"), ("\u00a0", " "),
         ("…", "..."), ("\u200b", ""), ("Σ", "σ"), ("\t", " "), ("\n", " "),
         ("½", "1 2"), ("か\u3099", "が"), ("ﾊ", "ハ")]


def small_sp(path, **kw):
    rules = path.with_suffix(".tsv")
    rules.write_text("".join(
        " ".join("%X" % ord(c) for c in a) + "\t" +
        " ".join("%X" % ord(c) for c in b) + "\n" for a, b in RULES))
    text = [x for x in lines() if x.isascii()][:3000] + ["the cat and a dog on the red table"] * 20
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_prefix=str(path)[:-6], minloglevel=2,
        num_threads=1, character_coverage=0.98, normalization_rule_tsv=str(rules),
        **kw)
    os.remove(str(path)[:-6] + ".vocab")
    rules.unlink()


def make_siglip(root):
    d = root / "siglip"
    small_sp(d / "spiece.model", vocab_size=380,
             user_defined_symbols=["<user>", "sym<a>"], **T5)
    dump(d / "tokenizer_config.json",
         dict(tokenizer_class="SiglipTokenizer", model_max_length=64,
              pad_token="</s>", do_lower_case=True))
    T5TokenizerFast.from_pretrained(str(d), extra_ids=0).save_pretrained(
        root / "t5")


def make_siglip2(d):
    small_sp(d / "tokenizer.model", vocab_size=620, pad_id=0, eos_id=1, bos_id=2,
             unk_id=3, model_type="bpe", byte_fallback=True,
             add_dummy_prefix=False, remove_extra_whitespaces=False,
             user_defined_symbols=["<mask>", "<user>"])
    GemmaTokenizer.from_pretrained(d, add_bos_token=False, add_eos_token=True
                                   ).save_pretrained(d)
    c = json.loads((d / "tokenizer_config.json").read_text())
    c.update(tokenizer_class="Siglip2Tokenizer", padding_side="right",
             model_max_length=64)
    dump(d / "tokenizer_config.json", c)


def make_bert(d):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(list(lines())[:3000], trainers.WordPieceTrainer(
        vocab_size=600, show_progress=False, limit_alphabet=60,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    vocab = sorted(t.get_vocab().items(), key=lambda x: x[1])
    (d / "vocab.txt").write_text("".join(w + "\n" for w, _ in vocab))
    dump(d / "tokenizer_config.json",
         dict(tokenizer_class="BertTokenizer", do_lower_case=True))


def make_open_clip(d):
    merges = (HERE / "clip_bpe" / "merges.txt").read_text().split("\n")[:600]
    (d / "merges.txt").write_text("\n".join(merges))
    dump(d / "open_clip_config.json",
         dict(model_cfg=dict(text_cfg=dict(context_length=77))))


def make(root):
    if root.exists():
        return
    for d in ("siglip", "t5", "bert", "siglip2", "open_clip"):
        (root / d).mkdir(parents=True)
    make_siglip(root)
    make_siglip2(root / "siglip2")
    make_bert(root / "bert")
    make_open_clip(root / "open_clip")
    for f in root.glob("*/tokenizer.json"):
        dump(f, json.loads(f.read_text()))


class SpFile(Sp):
    def __init__(self, path):
        self.sp = spm.SentencePieceProcessor(str(path))


def references(root):
    """Name, path under root, reference, open_clip's `clean` or None."""
    yield ("sentencepiece", "siglip/spiece.model",
           SpFile(root / "siglip/spiece.model"), None)
    yield ("sentencepiece bpe", "siglip2/tokenizer.model",
           SpFile(root / "siglip2/tokenizer.model"), None)
    for name, tok, context in (
            ("siglip", SiglipTokenizer(str(root / "siglip/spiece.model")), 64),
            ("t5", T5TokenizerFast.from_pretrained(root / "t5"), 12),
            ("bert", BertTokenizer.from_pretrained(root / "bert"), 20),
            ("siglip2", Siglip2Tokenizer.from_pretrained(root / "siglip2"), 64)):
        yield name, name, Hf(tok), None
        yield f"{name} {context}", name, Hf(tok, context), None
    with tempfile.NamedTemporaryFile(suffix=".gz") as f:
        f.write(gzip.compress((root / "open_clip/merges.txt").read_bytes()))
        f.flush()
        tok = SimpleTokenizer(f.name)
    yield "open_clip", "open_clip", Clip(tok), None
    yield "open_clip 77", "open_clip", Clip(tok, 77), None
    for clean in ("canonicalize", "whitespace", "lower"):
        tok = HFTokenizer(str(root / "t5"), context_length=64, clean=clean)
        yield f"open_clip {clean}", "t5", Clip(tok, 64), clean


def golden():
    root = HERE / "token_kinds"
    make(root)
    rnd = random.Random(7)
    strings = [t for t in rnd.sample(texts(2000)[:-20], 330)
               if ftfy.fix_encoding(t) == t and len(t) < 300]
    strings += MORE + ["", " ", "the cat sat on the mat", "</s> a </s>b</s>",
                       "a <unk> b", "[SEP] a [CLS]", "<eos>x<eos>",
                       "<user>sym<a> <user>"]
    out = dict(texts=strings, kinds=[])
    for name, path, ref, clean in references(root):
        rows = [ref.ids(t) for t in strings]
        out["kinds"].append(dict(
            name=name, path=path, context=getattr(ref, "context", 0), clean=clean,
            sums=[T.checksum(r) for r in rows]))
        print(name, len({x for r in rows for x in r}), "different ids")
    path = HERE / "token_kinds.json"
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")))
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    golden()
