# SPDX-License-Identifier: MIT
"""Writes retrieval.h: score matrices with and without ties, and what
retrieval makes of them by brute force.

The expectation over random tie-breaking is taken by going through every set
of places that a query's positives can have among the candidates they tie
with, in exact fractions. Needs numpy.
"""
import itertools
import pathlib
from fractions import Fraction

import numpy as np

K = (1, 5, 10)


def query(scores, positive):
    """Expected rank, reciprocal rank and hits of the first positive."""
    best = max(s for s, p in zip(scores, positive) if p)
    above = sum(s > best for s in scores)
    tied = [p for s, p in zip(scores, positive) if s == best]
    ways = [above + 1 + min(places)
            for places in itertools.combinations(range(len(tied)), sum(tied))]
    n = len(ways)
    return [Fraction(sum(ways), n), sum(Fraction(1, r) for r in ways) / n] + \
        [Fraction(sum(r <= k for r in ways), n) for k in K]


def median(x):
    x = sorted(x)
    return (x[(len(x) - 1) // 2] + x[len(x) // 2]) / 2


def measure(scores, owner):
    n = scores.shape[0]
    images = [query(list(scores[i]), [o == i for o in owner])
              for i in range(n) if i in owner]
    texts = [query(list(scores[:, t]), [i == o for i in range(n)])
             for t, o in enumerate(owner)]
    mean = [[sum(q[c] for q in side) / len(side) for c in range(5)]
            for side in (images, texts)]
    recalls = [100 * r for side in mean for r in side[2:]]
    values = recalls + [sum(recalls) / 6, mean[0][1], mean[1][1],
                        median([q[0] for q in images]),
                        median([q[0] for q in texts])]
    return images, texts, values


def cases():
    rng = np.random.default_rng(7)
    own = [i for i in range(6) for _ in range(5)]
    yield "no ties", rng.permutation(180).reshape(6, 30), own
    yield "ties", rng.integers(0, 4, (7, 17)), sorted(rng.integers(0, 6, 17))
    rows = rng.integers(0, 9, (8, 16))
    rows[5] = rows[2]
    rows[6] = rows[2]
    rows[:, 9] = rows[:, 4]
    yield "duplicates", rows, [t // 2 for t in range(16)]
    yield "one image", np.array([[3, 1, 2]]), [0, 0, 0]
    yield "one caption", np.array([[5], [5], [4]]), [1]
    yield "all equal", np.zeros((6, 18), int), [t % 6 for t in range(18)]
    yield "collapsed rows", np.repeat(rng.integers(0, 5, (5, 1)), 10, 1), \
        [t // 2 for t in range(10)]


def numbers(x):
    return ", ".join(repr(float(v)) for v in x)


def main():
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Made by retrieval.py: scores, owners, rows and values. */"]
    table = []
    for n, (name, scores, owner) in enumerate(cases()):
        images, texts, values = measure(scores, [int(o) for o in owner])
        rows = "\n".join(f"    {numbers(q)}," for q in images + texts)
        out += [f"static const float scores{n}[] = {{ {numbers(scores.ravel())} }};",
                f"static const uint32_t owner{n}[] = {{ "
                f"{', '.join(str(int(o)) for o in owner)} }};",
                f"static const double rows{n}[] = {{\n{rows}\n}};",
                f"static const double values{n}[] = {{ {numbers(values)} }};"]
        table.append(f'    {{ "{name}", {scores.shape[0]}, {scores.shape[1]}, '
                     f"{len(images)}, scores{n}, owner{n}, rows{n}, values{n} }},")
    out += ["static const struct golden {", "    const char *name;",
            "    uint32_t n_images, n_texts, queries; /* images with captions */",
            "    const float *scores;", "    const uint32_t *owner;",
            "    const double *rows, *values;", "} golden[] = {", *table, "};"]
    pathlib.Path(__file__).with_suffix(".h").write_text("\n".join(out) + "\n")


main()
