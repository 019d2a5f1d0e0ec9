# SPDX-License-Identifier: MIT
"""Texts that were read in a wrong encoding, and what ftfy makes of them.

  mojibake.py chars > ../../core/model/mojibake_chars.c
      the characters of the encodings that ftfy tries (from Python's codecs)
      and the kinds that it puts them in (asked of its patterns, character by
      character)
  mojibake.py golden     writes mojibake.json, what test_mojibake.c reads
  mojibake.py check [N] [SEED]
      compares ftfy.fix_text with `tests/unit/test_mojibake --fix` (or the
      program that $TEST_MOJIBAKE names) on N texts, most of them damaged on
      purpose

Needs ftfy 6.
"""
import json
import os
import pathlib
import random
import re
import subprocess
import sys

import ftfy
import ftfy.bad_codecs  # registers the sloppy codecs
from ftfy.badness import MOJIBAKE_CATEGORIES
from ftfy.chardata import CHARMAP_ENCODINGS, UTF8_CLUES

import tokenizer as T
from token_kinds import HERE, MORE

# In the order of the bits of enum sign in mojibake.h.
SIGNS = [MOJIBAKE_CATEGORIES[k] for k in (
    "common", "c1", "bad", "law", "currency", "start_punctuation",
    "end_punctuation", "numeric", "kaomoji", "upper_accented", "lower_accented",
    "upper_common", "lower_common", "box")]
SIGNS += [UTF8_CLUES["utf8_" + k] for k in (
    "first_of_2", "first_of_3", "first_of_4", "continuation",
    "continuation_strict")]
TABLES = CHARMAP_ENCODINGS[1:]  # latin-1 needs none

HEAD = """/* SPDX-License-Identifier: MIT */
/*
 * What is known of each character that text read in a wrong encoding is made
 * of: its byte in %s
 * (Python's codecs of these names; where they have none for a byte, latin-1's;
 * 0x1A for U+FFFD), and the kinds of enum sign that ftfy %s puts it in.
 * Sorted. Written by tests/golden/mojibake.py.
 */
#include "config.h"

#include "model/mojibake.h"

const struct mojibake_char mojibake_chars[] = {"""


def byte(c, encoding):
    try:
        return c.encode(encoding)[0]
    except UnicodeEncodeError:
        return 0


def chars():
    names = [n.replace("sloppy-", "") for n in TABLES]
    kinds = [re.compile("[" + s + "]") for s in SIGNS]
    print(HEAD % (", ".join(names[:4]) + ",\n * " + ", ".join(names[4:]),
                  ftfy.__version__))
    n = 0
    for code in range(0x110000):
        c = chr(code)
        signs = sum(1 << i for i, k in enumerate(kinds) if k.match(c))
        if 0xD800 <= code < 0xE000 or (code < 0x80 and not signs):
            continue
        row = [byte(c, e) for e in TABLES]
        if not signs and not any(row):
            continue
        assert code < 0x10000
        n += 1
        print("    { 0x%04X, { %s }, 0x%X }," % (
            code, ", ".join("0x%02X" % b if b else "0" for b in row), signs))
    print("};\nconst unsigned n_mojibake_chars =\n"
          "    sizeof mojibake_chars / sizeof *mojibake_chars;")
    print(n, "characters", file=sys.stderr)


# ---- texts ------------------------------------------------------------------

# Damaged texts as they are met, and what looks like one.
KNOWN = """âœ” No problems|schÃ¶n|sÃ³|voilÃ le travail|Ã la mode|Ã  la mode
Ã quele|Ã s|l’humanitÃ©|â€œ like this â€�|ä»¥å¤©åœ°|doesnÃ¢â‚¬â„¢t
P&EACUTE;REZ|&ATILDE;&SUP3;|IL Y MARQUÃ‰|RÃ‰SUMÃ‰|HÃ¼he|Â£5|5â‚¬|â†’|Ñ€ÑƒÑ�Ñ�ÐºÐ¸Ð¹
РїСЂРёРІРµС‚|вЂњРљР°РєвЂќ|ГўВЂВ™s|√©t√©|‚Äôs|≈°kola|‚Äú‚Äù|├⌐|Γçö|Ô£à|ΓÇÖ|β€™s|β€|ā€™
Ăˇ|Ä�|Å‚|Å�|Ă©|Ĺ‚|Äƒ|Ã…|Å|à²•|à¤¹|ð\u009f\u0098\u0081|ðŸ˜ƒ|ðŸ’©|í\xa0½í¸\x80|À\x80|À\n|í\xa0½í¸\n|í\xa0½í¸x Ã©|ð??€ Ã©
\x85|\x93quoted\x94|na\xefve \x81|Ã\x82Â°|Ã?|Ã? Ã\x1a|Ã�|â��|â?™|ð?˜€|�|��|œ1|Œuvre|œuf
ØŸØ|Ø§Ù„|(ò_ó)|┬─┬|╯°□°╯|°C|¿Qué?|×²|×³|Ü£|a Ã£ b|10 µ¼|¡no!|«a»|ÂÂÂ|Â |a Â b|À|É°|ß‡""".replace(
    "\n", "|").split("|")
PAIRS = CHARMAP_ENCODINGS + ["sloppy-windows-1252"] * 6 + ["latin-1"] * 4
ALPHABET = sorted({bytes([b]).decode(e) for e in CHARMAP_ENCODINGS
                   for b in range(0x80, 0x100)} | {"\ufffd", "\u03c0"})


def cesu8(s):
    out = b""
    for c in s:
        if ord(c) > 0xFFFF:
            u = c.encode("utf-16-be")
            out += b"".join(chr(u[i] << 8 | u[i + 1]).encode(
                "utf-8", "surrogatepass") for i in (0, 2))
        else:
            out += c.encode() if c != "\0" else b"\xc0\x80"
    return out


def damaged(s, rnd):
    """s in UTF-8 or nearly, read as something else."""
    data = cesu8(s) if rnd.random() < 0.1 else s.encode()
    e = rnd.choice(PAIRS)
    how = rnd.random()
    if how < 0.15:  # bytes that are lost
        k = rnd.choice([b"?", b"\x1a"])
        data = b"".join(k if b >= 0x80 and rnd.random() < 0.2 else bytes([b])
                        for b in data)
    if how > 0.85:
        data = data.replace(b"\xa0", b" ")
    if 0.7 < how < 0.8 and data:
        i = rnd.randrange(len(data))
        data = data[:i] + data[i + 1:]
    if 0.6 < how < 0.65:
        return data.decode(e.replace("sloppy-", ""), "replace")
    return data.decode(e, "replace")


def a_text(rnd, frags):
    part = rnd.choice(frags)
    for _ in range(rnd.choice([0, 1, 1, 1, 2, 2, 3])):
        if len(part) < 400:
            part = damaged(part, rnd)
    return part


def random_text(rnd, frags):
    kind = rnd.random()
    if kind < 0.2:  # any characters of those that matter
        return "".join(rnd.choice(ALPHABET if rnd.random() < 0.75 else "aZ9 ?\n.")
                       for _ in range(rnd.randint(2, 12)))
    whole = "".join(a_text(rnd, frags) + rnd.choice(["", "", " ", " ", "\n", "\xa0"])
                    for _ in range(rnd.randint(1, 6)))
    if kind > 0.75 and len(whole) < 500:
        whole = damaged(whole, rnd)
    return whole


def strings(n, seed):
    frags = T.fragments() + MORE + KNOWN * 4
    rnd = random.Random(seed)
    return KNOWN + [random_text(rnd, frags) for _ in range(n)]


# ---- what is done with them ---------------------------------------------------

def check(n, seed):
    texts = strings(n, seed)
    exe = os.environ.get("TEST_MOJIBAKE",
                         HERE / "../../../build/tests/unit/test_mojibake")
    r = subprocess.run([exe, "--fix"], text=True, capture_output=True, check=True,
                       input="".join(json.dumps(t) + "\n" for t in texts))
    have = [json.loads(x) for x in r.stdout.split("\n")[:-1]]
    want = [ftfy.fix_text(t) for t in texts]
    bad = [i for i in range(len(texts)) if have[i] != want[i]]
    changed = sum(ftfy.fix_encoding(t) != t for t in texts)
    print(f"{len(bad)} of {len(texts)} differ; the encoding of {changed} was mended")
    for i in bad[:int(os.environ.get("SHOW", "5"))]:
        print("  ", ascii(texts[i]), ascii(want[i]), ascii(have[i]))
    return bool(bad)


def golden():
    texts = list(KNOWN)
    for t in strings(4000, 1)[len(KNOWN):]:
        if len(t) < 40 and len(texts) < len(KNOWN) + 120 and ftfy.fix_encoding(t) != t:
            texts.append(t)
    path = HERE / "mojibake.json"
    path.write_text("[\n" + ",\n".join(
        json.dumps([t, ftfy.fix_text(t)]) for t in texts) + "\n]\n")
    print(len(texts), "texts,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    what, args = sys.argv[1], [int(x) for x in sys.argv[2:]]
    if what == "check":
        sys.exit(check(*(args + [100000, 1][len(args):])))
    golden() if what == "golden" else chars()
