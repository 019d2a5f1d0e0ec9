# SPDX-License-Identifier: MIT
"""Small vocabularies of every kind, and the ids of their reference programs.

  token_kinds.py DIR [NAME..]  makes DIR/<name>/ for each kind below (once) and
                               compares the ids of 10,000 texts (tokenizer.py's
                               and some more) with those of
                               `tests/unit/test_tokenizers --ids`, or of the
                               program that $TEST_TOKENIZERS names.

The golden files are made by token_golden.py.
Needs tokenizers, transformers, sentencepiece, open_clip_torch.
"""
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import sentencepiece as spm
from tokenizers import (Tokenizer, models, normalizers, pre_tokenizers,
                        trainers)

import tokenizer as T

HERE = pathlib.Path(__file__).parent
MORE = ["<unk>", "</s>", " </s> ", "<pad>", "<eos>", "<bos>", "[CLS]", "[SEP]",
        "[MASK]", "[PAD]", "<start_of_text>", "<END_OF_TEXT>", "<ſtart_of_text>",
        "▁", "▁▁a", "<0x41>", "sym<a>", "<user>", "&amp;", "&amp;lt;", "&NTILDE;",
        "&eacute", "&#233;", "&#x80;", "&#0;", "&notit;", "&notin;", "&#xD800;",
        "&#128512;", "&ampamp;", "&AMP;", "&frac12;", "&SZLIG;", "a&b", "&;",
        "\033[1;31mred\033[0m", "“x”", "it’s", "ﬁﬂ", "Ĳ", "ŉ", "ＡＢ", "ﾊﾝ", "\r\r\n",
        "\u0085", "\x92", "ΑΣ", "ΣΑΣ.", "Σ", "Α'Σ", "ʰΣ", "x_y_z", "a.b,c!", "--",
        "©", "一二三", "a一b", "e\u0323\u0302", "\u00ad", "\u200b", "\u2028",
        "ｶﾞ", "㌀", "ﷺ", "①②", "½", "ά", "ﬗ", "x\u20dd", "\U0001d538", "$^`|~+<=>"]


def texts(n=10000):
    frags = T.fragments()
    rnd = random.Random(3)
    out = [T.text_of(frags, k) for k in range(n * 6 // 10)]
    mixed = frags + MORE * 8
    while len(out) < n - 20:
        sep = rnd.choice(["", " ", " ", "  ", "\t"])
        out.append(sep.join(rnd.choice(mixed) for _ in range(rnd.randint(1, 12))))
    out += ["", " ", "   ", "\n", "▁", "</s>", "<unk>", "a" * 3000, "ab " * 4000,
            "z" * 101, "z" * 100, "é" * 101, "ｶﾞ" * 2000, "👍🏽" * 3000, "一" * 3000,
            "</s>" * 50, "\u0301" * 2000, "hello world " * 9000, "x" * 40000,
            "the cat sat on the mat"]
    return out


def lines():
    for text in T.corpus():
        for line in text.split("\n"):
            if 0 < len(line.strip()) < 1000:
                yield line.strip().replace("\0", "")


def train_sp(path, size, **kw):
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(list(lines())[:20000]), model_prefix=str(path)[:-6],
        vocab_size=size, minloglevel=2, num_threads=1,
        **{"character_coverage": 0.985, **kw})
    os.remove(str(path)[:-6] + ".vocab")


T5 = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
SP = {
    "sp_unigram": dict(size=1500, **T5),
    "sp_bytes": dict(size=1800, byte_fallback=True, character_coverage=0.98,
                     user_defined_symbols=["<user>", "sym<a>", "  "], **T5),
    "sp_plain": dict(size=1200, normalization_rule_name="identity",
                     add_dummy_prefix=False, remove_extra_whitespaces=False, **T5),
    "sp_suffix": dict(size=1200, normalization_rule_name="nfkc_cf",
                      treat_whitespace_as_suffix=True, **T5),
    "sp_bpe": dict(size=1500, model_type="bpe", **T5),
    "sp_gemma": dict(size=2200, model_type="bpe", byte_fallback=True,
                     normalization_rule_name="identity", add_dummy_prefix=False,
                     remove_extra_whitespaces=False, pad_id=0, eos_id=1, bos_id=2,
                     unk_id=3, character_coverage=0.98,
                     user_defined_symbols=["<mask>", "<user>"]),
}


class Sp:
    def __init__(self, d):
        self.sp = spm.SentencePieceProcessor(str(d / "spiece.model"))

    def ids(self, t):
        return self.sp.encode(t)


class Hf:
    """context: rows are cut and padded to it; else plain ids."""
    def __init__(self, tok, context=0):
        self.tok, self.context = tok, context

    def ids(self, t):
        if not self.context:
            return self.tok(t, add_special_tokens=False)["input_ids"]
        return self.tok(t, padding="max_length", truncation=True,
                        max_length=self.context)["input_ids"]


class Clip:
    def __init__(self, tok, context=0):
        self.tok, self.context = tok, context

    def ids(self, t):
        return (self.tok([t], self.context)[0].tolist() if self.context
                else self.tok.encode(t))


def dump(path, obj):
    path.write_text(json.dumps(obj, ensure_ascii=False))


def make(root, name):
    d = root / name
    d.mkdir(parents=True, exist_ok=True)
    new = not any(d.iterdir())
    if name in SP:
        if new:
            train_sp(d / "spiece.model", **SP[name])
        return Sp(d)
    if name == "siglip" or name.startswith("siglip_"):
        from transformers import SiglipTokenizer
        src = root / ("sp_bytes" if name == "siglip_bytes" else "sp_unigram")
        if new:
            (d / "spiece.model").write_bytes((src / "spiece.model").read_bytes())
            dump(d / "tokenizer_config.json",
                 dict(tokenizer_class="SiglipTokenizer", model_max_length=64,
                      pad_token="</s>", do_lower_case=name != "siglip_case"))
        tok = SiglipTokenizer(str(d / "spiece.model"),
                              do_lower_case=name != "siglip_case")
        return Hf(tok, 64 if name == "siglip_64" else 0)
    if name.startswith("t5"):
        from transformers import T5TokenizerFast
        if new:
            T5TokenizerFast.from_pretrained(str(root / "sp_unigram"),
                                            extra_ids=0).save_pretrained(d)
        return Hf(T5TokenizerFast.from_pretrained(d), 20 if name == "t5_20" else 0)
    if name.startswith("unigram"):
        if new and name == "unigram_first":
            t = Tokenizer.from_file(str(root / "unigram_hf" / "tokenizer.json"))
            t.normalizer = normalizers.NFKC()
            t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
            t.save(str(d / "tokenizer.json"))
        elif new:
            t = Tokenizer(models.Unigram())
            t.normalizer = normalizers.Sequence([
                normalizers.Nmt(), normalizers.NFKC(),
                normalizers.Replace("  ", " ")])
            t.pre_tokenizer = pre_tokenizers.Metaspace()
            t.train_from_iterator(lines(), trainers.UnigramTrainer(
                vocab_size=8000, unk_token="<unk>",
                special_tokens=["<unk>", "</s>"], show_progress=False))
            t.save(str(d / "tokenizer.json"))
        return Raw(Tokenizer.from_file(str(d / "tokenizer.json")))
    if name.startswith("bert"):
        from transformers import BertTokenizer
        cased = name == "bert_cased"
        if new:
            t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
            t.normalizer = normalizers.BertNormalizer(lowercase=not cased)
            t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
            t.train_from_iterator(lines(), trainers.WordPieceTrainer(
                vocab_size=2000, show_progress=False, limit_alphabet=600,
                special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
            vocab = sorted(t.get_vocab().items(), key=lambda x: x[1])
            (d / "vocab.txt").write_text("".join(w + "\n" for w, _ in vocab))
            dump(d / "tokenizer_config.json",
                 dict(tokenizer_class="BertTokenizer", do_lower_case=not cased,
                      model_max_length=512))
        tok = BertTokenizer.from_pretrained(d, do_lower_case=not cased)
        if name == "bert_json" and not (d / "tokenizer.json").exists():
            tok.save_pretrained(d)
        return Hf(tok, 35 if name == "bert_35" else 0)
    if name.startswith("siglip2"):
        from transformers import GemmaTokenizer, Siglip2Tokenizer
        if new:
            (d / "tokenizer.model").write_bytes(
                (root / "sp_gemma" / "spiece.model").read_bytes())
            tok = GemmaTokenizer.from_pretrained(d, add_bos_token=False,
                                                 add_eos_token=True)
            tok.save_pretrained(d)
            c = json.loads((d / "tokenizer_config.json").read_text())
            c.update(tokenizer_class="Siglip2Tokenizer", padding_side="right",
                     model_max_length=64)
            dump(d / "tokenizer_config.json", c)
        return Hf(Siglip2Tokenizer.from_pretrained(d),
                  64 if name == "siglip2_64" else 0)
    if name.startswith("open_clip"):
        from open_clip.tokenizer import HFTokenizer, SimpleTokenizer, default_bpe
        if name == "open_clip_t5":
            if new:
                for f in (root / "t5").iterdir():
                    (d / f.name).write_bytes(f.read_bytes())
                dump(d / "open_clip_config.json", dict(model_cfg=dict(text_cfg=dict(
                    hf_tokenizer_name="x", context_length=64,
                    tokenizer_kwargs=dict(clean="canonicalize")))))
            return Clip2(HFTokenizer(str(d), context_length=64,
                                     clean="canonicalize"))
        small = name == "open_clip_small"
        bpe = d / ("merges.txt" if small else "bpe_simple_vocab_16e6.txt")
        if new:
            data = (HERE / "clip_bpe" / "merges.txt").read_bytes() if small \
                else gzip.open(default_bpe()).read()
            bpe.write_bytes(data.rstrip(b"\n") if small else data)
            dump(d / "open_clip_config.json", dict(model_cfg=dict(text_cfg={})))
        packed = root / (name + ".gz")
        packed.write_bytes(gzip.compress(bpe.read_bytes()))
        return Clip(SimpleTokenizer(str(packed)),
                    77 if name == "open_clip_77" else 0)
    raise KeyError(name)


class Raw:
    context = 0

    def __init__(self, tok):
        self.tok = tok

    def ids(self, t):
        return self.tok.encode(t, add_special_tokens=False).ids


class Clip2(Clip):
    def __init__(self, tok):
        super().__init__(tok, 64)


KINDS = [*SP, "siglip", "siglip_64", "siglip_case", "siglip_bytes", "t5", "t5_20",
         "unigram_hf", "unigram_first", "bert", "bert_35", "bert_cased", "bert_json", "siglip2",
         "siglip2_64", "open_clip", "open_clip_77", "open_clip_small",
         "open_clip_t5"]


def ours(path, context, strings):
    exe = os.environ.get("TEST_TOKENIZERS",
                         HERE / "../../../build/tests/unit/test_tokenizers")
    data = "\n".join(json.dumps(s) for s in strings) + "\n"
    r = subprocess.run([exe, "--ids", str(path), str(context)], text=True,
                       input=data, capture_output=True)
    if r.returncode:
        sys.exit(r.stderr)
    return [list(map(int, x.split())) for x in r.stdout.split("\n")[:-1]]


def compare(root, only):
    strings = texts()
    for name in KINDS:
        if only and name not in only:
            continue
        ref = make(root, name)
        want = [ref.ids(s) for s in strings]
        have = ours(root / name, getattr(ref, "context", 0), strings)
        bad = [i for i in range(len(strings)) if want[i] != have[i]]
        print(f"{name}: {len(bad)} of {len(strings)} differ, "
              f"{sum(map(len, want))} ids, {len({x for w in want for x in w})} "
              "different", flush=True)
        for i in bad[:int(os.environ.get("SHOW", "3"))]:
            print("  ", ascii(strings[i])[:200], want[i][:40], have[i][:40])


if __name__ == "__main__":
    compare(pathlib.Path(sys.argv[1]), sys.argv[2:])
