/* SPDX-License-Identifier: MIT */
/* How many edits lie between two texts: what attacks on texts are held to. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

enum { CELLS_MAX = 1 << 24 }; /* of the table of distances */

struct symbols {
    uint64_t *v;
    size_t n;
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * Damerau (1964) and Levenshtein's distance by the algorithm of Lowrance and
 * Wagner (JACM 1975): h(i, j) for the first i and j symbols. With `swaps` an
 * exchange of neighbours, whatever was put between them later, is an edit.
 */
static size_t table_distance(struct symbols a, struct symbols b, bool swaps)
{
    size_t row = b.n + 1;
    uint32_t *h = xcalloc((a.n + 1) * row, sizeof *h);
    size_t *seen = xcalloc(b.n + 1, sizeof *seen); /* row of a's last b[j-1] */
    for (size_t i = 0; i <= a.n; i++)
        h[i * row] = (uint32_t)i;
    for (size_t j = 0; j <= b.n; j++)
        h[j] = (uint32_t)j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t match = 0; // column of b's last a[i-1]
        for (size_t j = 1; j <= b.n; j++) {
            bool same = a.v[i - 1] == b.v[j - 1];
            size_t d = h[(i - 1) * row + j - 1] + !same, k = seen[j];
            d = least(d, h[(i - 1) * row + j] + 1);
            d = least(d, h[i * row + j - 1] + 1);
            if (swaps && k && match)
                d = least(d, h[(k - 1) * row + match - 1] + (i - k - 1) + 1 +
                                 (j - match - 1));
            h[i * row + j] = (uint32_t)d;
            match = same ? j : match;
        }
        for (size_t j = 1; j <= b.n; j++)
            if (a.v[i - 1] == b.v[j - 1])
                seen[j] = i;
    }
    size_t out = h[a.n * row + b.n];
    free(h);
    free(seen);
    return out;
}

static size_t distance(struct symbols a, struct symbols b, bool swaps)
{
    while (a.n && b.n && a.v[a.n - 1] == b.v[b.n - 1]) {
        a.n--;
        b.n--;
    }
    while (a.n && b.n && *a.v == *b.v) {
        a.v++;
        b.v++;
        a.n--;
        b.n--;
    }
    if (!a.n || !b.n || a.n > CELLS_MAX / (b.n + 1) - 1)
        return a.n > b.n ? a.n : b.n;
    return table_distance(a, b, swaps);
}

size_t edits_ids(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    struct symbols x = { xcalloc(n_a + 1, sizeof *x.v), n_a };
    struct symbols y = { xcalloc(n_b + 1, sizeof *y.v), n_b };
    for (size_t i = 0; i < n_a; i++)
        x.v[i] = (uint32_t)a[i];
    for (size_t i = 0; i < n_b; i++)
        y.v[i] = (uint32_t)b[i];
    size_t d = distance(x, y, false);
    free(x.v);
    free(y.v);
    return d;
}

static struct symbols words_of(const char *s)
{
    static const char space[] = " \t\n\r\f\v";
    struct symbols w = { xcalloc(strlen(s) + 1, sizeof *w.v), 0 };
    while (*(s += strspn(s, space))) {
        size_t n = strcspn(s, space);
        w.v[w.n++] = hash_bytes(s, n).lo;
        s += n;
    }
    return w;
}

size_t edits_words(const char *a, const char *b)
{
    struct symbols x = words_of(a), y = words_of(b);
    size_t d = distance(x, y, false);
    free(x.v);
    free(y.v);
    return d;
}

/* A character is its bytes: one that leads and those that continue it. */
static struct symbols chars_of(const char *s)
{
    struct symbols c = { xcalloc(strlen(s) + 1, sizeof *c.v), 0 };
    for (; *s; s++) {
        uint8_t byte = (uint8_t)*s;
        if ((byte & 0xC0) == 0x80 && c.n && c.v[c.n - 1] < 1u << 24)
            c.v[c.n - 1] = c.v[c.n - 1] << 8 | byte;
        else
            c.v[c.n++] = byte;
    }
    return c;
}

size_t edits_chars(const char *a, const char *b)
{
    struct symbols x = chars_of(a), y = chars_of(b);
    size_t d = distance(x, y, true);
    free(x.v);
    free(y.v);
    return d;
}
