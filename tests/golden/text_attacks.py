# SPDX-License-Identifier: MIT
"""Writes text_attacks.h: first-order gains of flipping tokens by autograd, and
what the searches of text_chars, text_hotflip and text_synonyms find, in double
precision on share/scenes-clean.safetensors with the dictionary wordnet/.

The searches are written down from their papers: Charmer (a space at every place
ranks the places, at the best ones every edit is tried), HotFlip (the flips of
the highest first-order gain are tried), BERT-Attack (leaving a word out ranks
the words, the best substitute of each is taken) with WordNet's synonyms.
Needs torch, transformers, tokenizers, safetensors.
"""
import json
import pathlib

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import CLIPConfig, CLIPModel

HERE = pathlib.Path(__file__).parent
WEIGHTS = HERE.parent.parent / "share" / "scenes-clean.safetensors"
CANDIDATES = ["a small dog", "grapes below a large fire on a red background", "candy", ""]
# (text, its right candidate)
FLIPS = [("a small tulip below a large leopard", 0), ("on red: a flame, grapes", 1),
         ("pasta and candy", 2)]
WORDS = [("a photo of a big dog", 0), ("Quick dogs run on red snow", 1),
         ("a BIG candy, and two puppies running quickly!", 2)]
SHOWN = 24  # ids of the vocabulary whose gains are written, and the best flip
TOP_K, POSITIONS, ALPHABET, ROUNDS, SENSES = 5, 4, "abcdefghij", 2, 9


class Texts:
    def __init__(self):
        meta = safe_open(WEIGHTS, "pt").metadata()
        self.tokenizer = Tokenizer.from_str(meta["tokenizer"])
        self.clip = CLIPModel(CLIPConfig(**json.loads(meta["config"])))
        self.clip.load_state_dict(load_file(WEIGHTS))
        self.clip = self.clip.double().eval()
        self.scale = self.clip.logit_scale.exp().item()
        self.leaf = None
        self.clip.text_model.embeddings.register_forward_hook(self.keep)
        with torch.no_grad():
            self.candidates = self.embed([self.ids(c) for c in CANDIDATES])

    def keep(self, _module, _args, out):
        self.leaf = out.detach().requires_grad_(True)
        return self.leaf

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def embed(self, many):
        n = max(map(len, many))
        x = torch.tensor([i + [i[-1]] * (n - len(i)) for i in many])
        y = self.clip.text_projection(self.clip.text_model(input_ids=x).pooler_output)
        return torch.nn.functional.normalize(y, dim=1)

    def losses(self, many, right):
        """Cross entropy of token lists towards candidate `right`."""
        scores = self.scale * self.embed(many) @ self.candidates.T
        return -torch.log_softmax(scores, 1)[:, right]

    def of_texts(self, texts, right):
        with torch.no_grad():
            return self.losses([self.ids(t) for t in texts], right).tolist()

    def gains(self, ids, right):
        """[token, id]: gradient at the token times the change of its row."""
        self.losses([ids], right).sum().backward()
        table = self.clip.text_model.embeddings.token_embedding.weight.detach()
        dot = self.leaf.grad[0] @ table.T
        return dot - dot[torch.arange(len(ids)), torch.tensor(ids)][:, None]


def ranked(values):
    return sorted(range(len(values)), key=lambda i: -values[i])


def best_of(model, now, loss, trials, right):
    """The trial of the highest loss where that is above `loss`, and which."""
    found = model.of_texts(trials, right) if trials else []
    k = max(range(len(found)), key=found.__getitem__, default=None)
    return (trials[k], found[k], k) if trials and found[k] > loss else (now, loss, None)


def chars(model, text, right):
    loss = model.of_texts([text], right)[0]
    for _ in range(ROUNDS):
        places = [(k // 2, k // 2 + k % 2) for k in range(2 * len(text) + 1)]
        spaced = model.of_texts([text[:a] + " " + text[b:] for a, b in places], right)
        trials = []
        for a, b in [places[i] for i in ranked(spaced)[:POSITIONS]]:
            trials += [text[:a] + c + text[b:] for c in ALPHABET if text[a:b] != c]
            if a < b:
                trials.append(text[:a] + text[b:])
                if b < len(text) and text[b] != text[a]:
                    trials.append(text[:a] + text[b] + text[a] + text[b + 1:])
        text, loss, took = best_of(model, text, loss, trials, right)
        if took is None:
            break
    return text, loss


def hotflip(model, text, right):
    loss, flipped = model.of_texts([text], right)[0], set()
    for _ in range(ROUNDS):
        ids = model.ids(text)
        gain, ends = model.gains(ids, right), {ids[0], ids[-1]}
        flips = [(t, i) for t in range(1, len(ids) - 1) if t not in flipped
                 for i in range(gain.shape[1]) if i not in ends and i != ids[t]]
        order = ranked([gain[f].item() for f in flips])[:16 * TOP_K]
        trials, at = [], []
        for t, i in (flips[k] for k in order):
            other = ids[:t] + [i] + ids[t + 1:]
            spelled = model.tokenizer.decode(other).replace("</w>", " ").strip()
            if len(trials) < TOP_K and model.ids(spelled) == other:
                trials.append(spelled)
                at.append(t)
        text, loss, took = best_of(model, text, loss, trials, right)
        if took is None:
            break
        flipped.add(at[took])
    return text, loss


class Dictionary:
    PARTS = "noun", "verb", "adj", "adv"
    ENDINGS = {"noun": "s: ses:s xes:x zes:z ches:ch shes:sh men:man ies:y",
               "verb": "s: ies:y es:e es: ed:e ed: ing:e ing:", "adj": "er: est: er:e est:e"}
    GRAMMAR = "a an the of on in and two below"  # those of the texts

    def __init__(self, where):
        self.index, self.forms = {}, {}
        for part in self.PARTS:
            data = (where / f"data.{part}").read_text()
            for line in (where / f"index.{part}").read_text().splitlines():
                f = line.split(" ")
                if not f[0]:
                    continue
                sets = [data[int(o):].split("\n", 1)[0].split(" ")
                        for o in f[4 + int(f[3]) + 2:]]
                words = [[s[4 + 2 * k].split("(")[0] for k in range(int(s[3], 16))]
                         for s in sets]
                self.index[part, f[0]] = int(f[4 + int(f[3]) + 1]), words
            for line in (where / f"{part}.exc").read_text().splitlines():
                self.forms.setdefault((part, line.split()[0]), []).extend(line.split()[1:])

    def meanings(self, parts, lemma, but):
        out = []
        for part in parts:
            for words in self.index.get((part, lemma), (0, []))[1][:SENSES]:
                out += [w.replace("_", " ") for w in words if w.lower() != but]
        return list(dict.fromkeys(out))

    def synonyms(self, word):
        known = [p for p in self.PARTS if (p, word) in self.index]
        likely = max(known, key=lambda p: self.index[p, word][0], default=None)
        out = self.meanings([likely], word, word) or self.meanings(self.PARTS, word, word)
        if not out:
            for p in self.PARTS:
                for base in self.forms.get((p, word), []):
                    out += self.meanings([p], base, base)
                if out:
                    break
        for part, rules in self.ENDINGS.items():
            for end, to in (r.split(":") for r in rules.split(" ")):
                if not out and word.endswith(end) and len(word) > len(end) + 1:
                    lemma = word[:-len(end)] + to
                    out = self.meanings([part], lemma, lemma)
        return list(dict.fromkeys(out))


def synonyms(model, text, right, words):
    parts = text.split(" ")
    loss = model.of_texts([text], right)[0]

    def letters(w):
        a = next((i for i, c in enumerate(w) if c.isalpha()), len(w))
        b = max((i + 1 for i, c in enumerate(w) if c.isalpha()), default=a)
        return a, b

    def candidates(w):
        a, b = letters(w)
        if w[a:b].lower() in words.GRAMMAR.split():
            return []
        found = [s for s in words.synonyms(w[a:b].lower())][:TOP_K]
        put = [s[:1].upper() + s[1:] if w[a:a + 1].isupper() else s for s in found]
        return [w[:a] + s + w[b:] for s in put if " " not in s]

    options = [candidates(w) for w in parts]
    some = [k for k, o in enumerate(options) if o]
    without = model.of_texts([" ".join(parts[:k] + parts[k + 1:]) for k in some], right)
    changed = 0
    for k in [some[i] for i in ranked(without)]:
        trials = [" ".join(parts[:k] + [o] + parts[k + 1:]) for o in options[k]]
        text, loss, took = best_of(model, text, loss, trials, right)
        if took is not None:
            parts[k], changed = options[k][took], changed + 1
        if changed == ROUNDS:
            break
    return text, loss


def quoted(text):
    return json.dumps(text)


def gain_rows(model, out):
    out.append("static const struct gain_golden gain_golden[] = {")
    for text, right in FLIPS:
        ids = model.ids(text)
        gain = model.gains(ids, right)
        scale = gain.abs().max().item()
        for t in range(1, len(ids) - 1):
            shown = list(range(t, gain.shape[1], gain.shape[1] // SHOWN))
            shown.append(gain[t].argmax().item())
            out += [f"    {{ {FLIPS.index((text, right))}, {t}, {i}, {gain[t, i].item():.7g}, "
                    f"{scale:.7g} }}," for i in shown]
    out.append("};")


def main():
    torch.set_num_threads(1)
    model, words = Texts(), Dictionary(HERE / "wordnet")
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Made by text_attacks.py from share/scenes-clean.safetensors. */",
           f"enum {{ TA_TEXTS = {len(FLIPS)}, TA_CANDIDATES = {len(CANDIDATES)} }};",
           "static const char *const ta_candidates[] = {",
           *(f"    {quoted(c)}," for c in CANDIDATES), "};",
           "/* right: the candidate of each text. */",
           "static const char *const flip_texts[] = {",
           *(f"    {quoted(t)}," for t, _ in FLIPS), "};",
           "static const char *const word_texts[] = {",
           *(f"    {quoted(t)}," for t, _ in WORDS), "};",
           f"static const unsigned ta_right[] = {{ {', '.join(str(r) for _, r in FLIPS)} }};",
           "/* Of a flip of token `at` of a text to `id`; scale: the largest gain of the",
           " * text. */",
           "struct gain_golden { int text, at, id; double gain, scale; };"]
    assert [r for _, r in FLIPS] == [r for _, r in WORDS]
    gain_rows(model, out)
    out += ["/* What an attack leaves of text `text` (of word_texts where words), and the",
            " * cross entropy before and after. */",
            "struct search_golden {",
            "    const char *attack, *params;",
            "    int words, text;",
            "    const char *result;",
            "    double before, after;",
            "};",
            "static const struct search_golden search_golden[] = {"]
    k = f"top_k={TOP_K}"
    kinds = [("text_chars", f"max_chars={ROUNDS} positions={POSITIONS} alphabet={ALPHABET}",
              FLIPS, chars),
             ("text_hotflip", f"max_tokens={ROUNDS} {k}", FLIPS, hotflip),
             ("text_synonyms", f"max_words={ROUNDS} {k} senses={SENSES}", WORDS,
              lambda m, t, r: synonyms(m, t, r, words))]
    for name, params, texts, search in kinds:
        for i, (text, right) in enumerate(texts):
            before = model.of_texts([text], right)[0]
            after, loss = search(model, text, right)
            print(f"{name}: {text!r} -> {after!r} ({before:.4f} -> {loss:.4f})")
            out.append(f"    {{ \"{name}\", \"{params}\", {int(texts is WORDS)}, {i}, "
                       f"{quoted(after)}, {before:.7g}, {loss:.7g} }},")
    out.append("};")
    (HERE / "text_attacks.h").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
