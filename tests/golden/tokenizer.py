# SPDX-License-Identifier: MIT
"""Golden tokens from the tokenizers library and transformers' CLIPTokenizer.

  tokenizer.py         writes beside this file: clip_bpe/vocab.json and
                       clip_bpe/merges.txt, a small BPE with CLIP's settings
                       (there once, it is kept), and tokenizer_golden.json:
                       fragments, 10,000 texts made of them by a formula that
                       test_tokenizer.c has too (a checksum of each one's
                       tokens), texts with their tokens, and variants of
                       tokenizer.json.
  tokenizer.py --check FILE   loads a tokenizer.json in CLIPTokenizerFast and
                       prints a sum over the tokens of 1,000 texts, as
                       `tests/unit/test_tokenizer --check FILE` does.

Needs tokenizers, transformers.
"""
import copy
import glob
import json
import os
import pathlib
import random
import sys
import unicodedata

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizerFast

from clip import philox

HERE = pathlib.Path(__file__).parent
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
TEXTS = 10000

WORDS = """a the of cat dog photo picture painting large small red blue hello
world it's don't we're I've I'm you'll he'd THEY'RE O'Brien 'tis rock'n'roll
don’t naïve café CAFÉ Ångström STRASSE straße ﬁnance Ⅷ ½ x² 3.14 1,000,000
2024-01-31 e-mail foo_bar __init__ C++ #hashtag @user https://example.org/a?b=c
مرحبا بالعالم שלום עולם Привет МИР Γειά ΣΟΦΟΣ σοφός नमस्ते दुनिया สวัสดีชาวโลก 你好世界
漢字かなカナ 안녕하세요 세계 տարբեր გამარჯობა ሰላም ខ្មែរ မြန်မာ བོད་ සිංහල தமிழ் తెలుగు ಕನ್ನಡ മലയാളം
İstanbul ıspanak ǅ Ǆ ẞ Ω K Å ſt ŉ ǰ ΐ և ﬃ Ａｂｃ １２３ ① ㍿ ｶﾞ ガ ガ が
👍 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☺︎ 🧑🏿‍🚀 ©️ ™ … — “quoted” «guillemets» ¿qué? ¡hola!
e\u0301 n\u0303 A\u030A o\u0308\u0304 a\u0323\u0307 a\u0307\u0323 \u1100\u1161\u11A8
\uAC00\u11A8 \u0958 \u0344 \u2126 \u212B \uFB1D \u0F73 \U0001D15E \U0002F800 \u2ADC
<|startoftext|> <|endoftext|> <|STARTOFTEXT|> <|EndOfText|> <|startoftext |>
<|endoftext|><|endoftext|> <w> </w> a</w> <| |> |endoftext| <|startoftext|>!! !!!
's 't 're 've 'm 'll 'd 'S 'T 'RE 'x '' ''s 's's ’s `s ´ve ...'s !'ll 9's s's
""".split()
EXTRA = ["", " ", "  ", "\t", "\n", "\r\n", "\x0b", "\x0c", "\x00", "\x01", "\x1c",
         "\x1f", "\x7f", "\x80", "\x85", "\xa0", "\xad", "\u034f", "\u0600",
         "\u061c", "\u1680", "\u180e", "\u2000", "\u2009", "\u200a", "\u200b",
         "\u200c", "\u200d", "\u200e", "\u2028", "\u2029", "\u202e", "\u202f",
         "\u205f", "\u2060", "\u2066", "\u3000", "\ufe0f", "\ufeff", "\ufff9",
         "\ufffc", "\ufffd", "\ufffe", "\uffff", "\U000e0001", "\U000e007f",
         "\U000f0000", "\U0010ffff", "\ue000", "_", "-", "'", '"', "\\", "/",
         "z" * 40, "ab" * 30, "\u0301" * 20, "!" * 50, "9" * 30, " " * 20,
         "\u0e33" * 10, "👨‍👩‍👧" * 5, "ſ", "\u1e9b\u0323", "\u0345", "\u03b1\u0345"]


def newer(c):
    """Whether the library's normalizers are older than this character."""
    marked = "a" + c + "\u0334"
    return (normalizers.NFC().normalize_str(marked)
            != unicodedata.normalize("NFC", marked)
            or (unicodedata.category(c)[0] == "M")
            != (normalizers.StripAccents().normalize_str("a" + c) == "a"))


def fragments():
    """Words, oddities, and characters of every range that Unicode 14 knows."""
    rnd = random.Random(5)
    vocab = json.loads((HERE / "clip_bpe" / "vocab.json").read_text())
    common = [t[:-4] for t in vocab if t.endswith("</w>") and t[:-4].isascii()
              and t[:-4].isalpha() and len(t) > 6]
    common = rnd.sample(common, 500)
    common += [w.upper() for w in common[:60]] + [
        a + b for a, b in zip(common[:200], common[200:])]
    known = [c for c in range(0x20, 0x110000)
             if not 0xD800 <= c < 0xE000
             and unicodedata.category(chr(c)) not in ("Cn", "Co")
             and not newer(chr(c))]
    low = [c for c in known if c < 0x3000]
    one = [chr(c) for c in rnd.sample(low, 500) + rnd.sample(known, 400)]
    return WORDS + EXTRA + one + common


def text_of(frags, k):
    """Text k: a few fragments, some next to each other, some spaced."""
    r = [int(x) for x in philox(11, k, 64)]
    n = r[0] % 12 + 1
    out = []
    for i in range(n):
        x = r[1 + 2 * i]
        out.append(frags[(x >> 4) % len(frags)])
        if x & 15 < 9:
            out.append(" ")
        if x & 15 == 9:
            out.append(out[-1] * (r[2 + 2 * i] % 40))
    return "".join(out)


def checksum(ids):
    h = 0x811C9DC5
    for i in ids:
        for b in int(i).to_bytes(4, "little"):
            h = (h ^ b) * 0x01000193 & 0xFFFFFFFF
    return h


def corpus():
    pats = ["/usr/share/common-licenses/*", "/usr/share/doc/*/README*",
            "/usr/share/perl/5*/unicore/Name.pl"]
    for p in pats:
        for f in sorted(glob.glob(p))[:300]:
            if os.path.isfile(f):
                with open(f, errors="ignore") as fh:
                    yield fh.read(200000)
    yield from WORDS * 3


def make_bpe(size):
    tok = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=EOS))
    ref = CLIPTokenizerFast(vocab={BOS: 0, EOS: 1}, merges=[]).backend_tokenizer
    tok.normalizer, tok.pre_tokenizer = ref.normalizer, ref.pre_tokenizer
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=2 * size, end_of_word_suffix="</w>", min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[BOS, EOS]))
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars = [chr(c) for c in plain]
    chars += [chr(256 + i) for i in range(256 - len(plain))]
    merges = json.loads(tok.to_str())["model"]["merges"][:size - 514]
    tokens = chars + [c + "</w>" for c in chars]
    tokens += [a + b for a, b in merges] + [BOS, EOS]
    out = HERE / "clip_bpe"
    out.mkdir(exist_ok=True)
    (out / "vocab.json").write_text(json.dumps(
        {t: i for i, t in enumerate(tokens)}, ensure_ascii=False,
        separators=(",", ":")))
    (out / "merges.txt").write_text("#version: 0.2\n" + "".join(
        f"{a} {b}\n" for a, b in merges))


def added(i, content, **kw):
    d = dict(id=i, content=content, single_word=False, lstrip=False,
             rstrip=False, normalized=False, special=True)
    d.update(kw)
    return d


def split(regex, behavior, invert=False):
    kind = "String" if regex.startswith("=") else "Regex"
    return dict(type="Split", pattern={kind: regex.lstrip("=")},
                behavior=behavior, invert=invert)


def byte_level(prefix=False, use=True):
    return dict(type="ByteLevel", add_prefix_space=prefix, trim_offsets=True,
                use_regex=use)


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def replace(regex, content):
    kind = "String" if regex.startswith("=") else "Regex"
    return dict(type="Replace", pattern={kind: regex.lstrip("=")},
                content=content)


GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def variants(size):
    """Patches of the top of tokenizer.json, each a feature or two."""
    special = {t: dict(id=t, ids=[size - 2 + i], tokens=[t])
               for i, t in enumerate((BOS, EOS))}

    def template(*names):
        return dict(type="TemplateProcessing", pair=[], single=[
            {"Sequence": {"id": "A", "type_id": 0}} if n == "$A" else
            {"SpecialToken": {"id": n, "type_id": 0}} for n in names],
            special_tokens=special)
    pre = lambda *s: {"pre_tokenizer": sequence("pretokenizers", *s)}
    yield "gpt2", dict(normalizer=None, pre_tokenizer=byte_level(),
                       post_processor=byte_level())
    yield "prefix", dict(normalizer=None, pre_tokenizer=byte_level(True),
                         post_processor=template(BOS, "$A", EOS))
    yield "gpt4", dict(normalizer={"type": "NFC"},
                       **pre(split(GPT4, "Isolated"), byte_level(use=False)))
    for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
              "Contiguous"):
        for inv in (False, True):
            yield f"{b} {inv}", pre(split(r"[\s\p{P}]", b, inv),
                                    byte_level(use=False))
    yield "string split", pre(split("=a", "Isolated"), split("=. ", "Removed"),
                              byte_level(use=False))
    yield "word class", pre(split(r"\w+|[^\w\s]+", "Removed", True),
                            split(r"\d", "Isolated"), byte_level(use=False))
    yield "not space", pre(split(r"\S+\s?", "Isolated"), byte_level(use=False))
    yield "lines", pre(split(r"^.{3}|.$", "Isolated"), byte_level(use=False))
    yield "empty", pre(split(r"x*", "Isolated"), byte_level(use=False))
    yield "whitespace", pre(dict(type="Whitespace"), byte_level(use=False))
    yield "whitespace split", pre(dict(type="WhitespaceSplit"),
                                  byte_level(use=False))
    yield "digits", pre(dict(type="Digits", individual_digits=True),
                        byte_level(use=False))
    yield "digits together", pre(dict(type="Digits", individual_digits=False),
                                 byte_level(use=False))
    yield "no bytes", dict(pre_tokenizer=None)
    for n in ("NFD", "NFKC", "NFKD"):
        yield n, dict(normalizer={"type": n})
    yield "strip", dict(normalizer=sequence(
        "normalizers", dict(type="Strip", strip_left=True, strip_right=True),
        dict(type="Prepend", prepend="_"), {"type": "NFD"},
        {"type": "StripAccents"}))
    yield "replace", dict(normalizer=sequence(
        "normalizers", replace("=a", "bb"), replace(r"\p{Lu}", "U"),
        replace(r"\d|o", "0"), replace("=.", "")))
    yield "nested", dict(normalizer=sequence(
        "normalizers", sequence("normalizers", {"type": "Lowercase"})),
        **pre(sequence("pretokenizers", byte_level())))
    yield "added", dict(added_tokens=[
        added(size - 2, BOS), added(size - 1, EOS),
        added(size, "cat", special=False, normalized=True),
        added(size + 1, "CAT", special=False),
        added(size + 2, "cat dog", lstrip=True),
        added(size + 3, "photo", rstrip=True),
        added(size + 4, "red", single_word=True, normalized=True),
        added(size + 5, "Ω", special=False, normalized=True),
        added(size + 6, "<w>", lstrip=True, rstrip=True)])
    yield "lower special", dict(added_tokens=[
        added(size - 2, BOS, normalized=True), added(size - 1, EOS)])
    yield "fuse", dict(model=dict(fuse_unk=True), pre_tokenizer=None)
    yield "no unk", dict(model=dict(unk_token=None), pre_tokenizer=None)
    yield "ignore merges", dict(model=dict(ignore_merges=True,
                                           end_of_word_suffix=None))
    yield "continuing", dict(model=dict(continuing_subword_prefix=""))
    yield "template", dict(post_processor=template(BOS, BOS, "$A", EOS, BOS))
    yield "bert", dict(post_processor=dict(
        type="BertProcessing", sep=[EOS, size - 1], cls=[BOS, size - 2]))
    yield "post sequence", dict(post_processor=sequence(
        "processors", byte_level(), template("$A", EOS)))
    yield "no post", dict(post_processor=None)


def patched(base, patch):
    j = copy.deepcopy(base)
    patch = copy.deepcopy(patch)
    j["model"].update(patch.pop("model", {}))
    j.update(patch)
    return j


def golden():
    if not (HERE / "clip_bpe" / "vocab.json").exists():
        make_bpe(3000)
    tok = CLIPTokenizerFast.from_pretrained(HERE / "clip_bpe")
    frags = fragments()
    texts = [text_of(frags, k) for k in range(TEXTS)]
    ids = [tok(t, add_special_tokens=False)["input_ids"] for t in texts]
    short = WORDS + texts[:40]
    out = dict(fragments=frags, sums=[checksum(i) for i in ids],
               texts=[dict(text=t, ids=tok(t)["input_ids"]) for t in short])
    base = json.loads(tok.backend_tokenizer.to_str())
    mixed = [text_of(frags, TEXTS + k) for k in range(150)]
    mixed += ["cat CAT Cat cat dog  cat dog photo  x photo\u3000y", "redred red.",
              "a red cat, bored", "_red red_ red1 [red]", "  cat dog", "Ω\u2126ω",
              "a <w> b <w>c", "catcat doCAT", "CAT dog", "photos\n\nphoto\n\n"]
    out["mixed"] = mixed[150:]
    out["variants"] = []
    for name, patch in variants(len(base["model"]["vocab"])):
        t = Tokenizer.from_str(json.dumps(patched(base, patch)))
        out["variants"].append(dict(
            name=name, patch=patch,
            sums=[checksum(t.encode(x).ids) for x in mixed]))
    path = HERE / "tokenizer_golden.json"
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")))
    print(path.stat().st_size, "bytes;", len({x for i in ids for x in i}),
          "different tokens in", sum(map(len, ids)))
    return texts, ids


def check(path):
    tok = CLIPTokenizerFast(tokenizer_file=str(path))
    print(type(tok).__name__, len(tok), tok.bos_token_id, tok.eos_token_id,
          file=sys.stderr)
    frags = fragments()
    h = 0
    for k in range(1000):
        h = h * 31 + checksum(tok(text_of(frags, k))["input_ids"]) & 0xFFFFFFFF
    print(h)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        check(sys.argv[2])
    else:
        golden()
