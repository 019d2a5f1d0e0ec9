# SPDX-License-Identifier: MIT
"""Writes wordnet/, a dictionary of a few words in the format of wndb(5WN), and
the fuzz corpus of it. The words are ours; offsets and counts are right."""
import pathlib

IRREGULAR = {"noun": "mice mouse\n", "verb": "ran run\nrunning run\n", "adj": "", "adv": ""}

HERE = pathlib.Path(__file__).parent
# part: [(words of a meaning, tagged)]
MEANINGS = {
    "noun": [("photo photograph", 1), ("dog hound", 1), ("snow", 1), ("puppy whelp", 1),
             ("run streak", 0), ("big_cheese honcho", 0)],
    "verb": [("run sprint dash", 1), ("play frolic", 1), ("dog chase", 0)],
    "adj": [("big large(a)", 1), ("quick fast(p) speedy", 1)],
    "adv": [("quickly rapidly", 1)],
}


def main():
    out = HERE / "wordnet"
    out.mkdir(exist_ok=True)
    for part, meanings in MEANINGS.items():
        data = "  1 Written by wordnet.py; lines of two spaces are a header.\n"
        index = {}
        for words, tagged in meanings:
            names = words.split()
            at = len(data)
            list_ = " ".join(f"{n} 0" for n in names)
            data += f"{at:08d} 03 {part[0]} {len(names):02x} {list_} 000 | a meaning\n"
            for n in names:
                lemma = n.split("(")[0].lower()
                index.setdefault(lemma, []).append((at, tagged))
        lines = "  1 Written by wordnet.py; lines of two spaces are a header.\n"
        for lemma in sorted(index):
            sets = index[lemma]
            tagged = sum(t for _, t in sets)
            offsets = " ".join(f"{a:08d}" for a, _ in sets)
            lines += f"{lemma} {part[0]} {len(sets)} 1 ! {len(sets)} {tagged} {offsets}\n"
        (out / f"index.{part}").write_text(lines)
        (out / f"data.{part}").write_text(data)
        (out / f"{part}.exc").write_text(IRREGULAR[part])
    corpus = HERE.parent / "fuzz" / "corpus" / "wordnet"
    corpus.mkdir(parents=True, exist_ok=True)
    for part in MEANINGS:
        (corpus / part).write_bytes(b"\0".join((out / name).read_bytes() for name in (
            f"index.{part}", f"data.{part}", f"{part}.exc")))


if __name__ == "__main__":
    main()
