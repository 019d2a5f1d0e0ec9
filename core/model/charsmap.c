/* SPDX-License-Identifier: MIT */
/* Reading and searching SentencePiece's precompiled_charsmap. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "model/charsmap.h"
#include "model/tokenizer.h"

enum {
    BLOCK = 256,       /* units; an array holds whole blocks */
    REPLACEMENT_MAX = 256, /* bytes; the longest of NFKC has 33 */
    KEYS_MAX = 32,     /* of one text, as the reference */
    CLUSTER_BYTES = 6  /* below: looked up as a whole */
};

struct charsmap {
    uint32_t *unit;
    size_t n_units;
    char *text; /* replacements, each with its NUL */
    size_t n_text;
};

static bool has_leaf(uint32_t u)
{
    return u >> 8 & 1;
}

static uint32_t value_of(uint32_t u)
{
    return u & 0x7FFFFFFF;
}

/* Above 255 for a leaf. */
static uint32_t label_of(uint32_t u)
{
    return u & 0x800000FF;
}

static uint32_t offset_of(uint32_t u)
{
    return u >> 10 << ((u & 1u << 9) >> 6);
}

void charsmap_free(struct charsmap *m)
{
    if (!m)
        return;
    free(m->unit);
    free(m->text);
    free(m);
}

/* ---- reading ------------------------------------------------------------ */

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static bool units_good(const struct charsmap *m)
{
    uint32_t root = m->unit[0];
    if (label_of(root) || has_leaf(root) || !offset_of(root) ||
        (offset_of(root) | 0xFF) >= m->n_units)
        return false;
    for (size_t i = 1; i < m->n_units; i++) {
        uint32_t u = m->unit[i];
        size_t to = i ^ offset_of(u);
        if (label_of(u) > 0xFF) { // a leaf: where a replacement begins
            if (value_of(u) >= m->n_text ||
                (m->text[value_of(u)] & 0xC0) == 0x80)
                return false;
        } else if ((to | 0xFF) >= m->n_units ||
                   (has_leaf(u) && label_of(m->unit[to]) <= 0xFF)) {
            return false;
        }
    }
    return true;
}

static bool texts_good(const struct charsmap *m)
{
    if (!m->n_text || m->text[m->n_text - 1])
        return false;
    for (size_t i = 0, n; i < m->n_text; i += n + 1) {
        n = strlen(m->text + i);
        if (n > REPLACEMENT_MAX || !utf8_valid(m->text + i, n))
            return false;
    }
    return true;
}

mohs_status charsmap_new(const void *blob, size_t n, const char *name,
                         struct charsmap **out, struct mohs_error *err)
{
    const uint8_t *p = blob;
    size_t bytes = n > 4 ? le32(p) : 0;
    if (bytes < BLOCK * 4 || bytes % (BLOCK * 4) || bytes >= n - 4)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: precompiled_charsmap of %zu bytes holds no array "
                         "of %zu", name, n, bytes);
    struct charsmap *m = xcalloc(1, sizeof *m);
    m->n_units = bytes / 4;
    m->n_text = n - 4 - bytes;
    m->unit = xmalloc(bytes);
    m->text = xmalloc(m->n_text);
    for (size_t i = 0; i < m->n_units; i++)
        m->unit[i] = le32(p + 4 + 4 * i);
    memcpy(m->text, p + 4 + bytes, m->n_text);
    if (!texts_good(m) || !units_good(m)) {
        charsmap_free(m);
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: precompiled_charsmap is damaged: a node or a "
                         "replacement lies outside", name);
    }
    *out = m;
    return MOHS_OK;
}

mohs_status charsmap_parse(const char *base64, const char *name,
                           struct charsmap **out, struct mohs_error *err)
{
    uint8_t *blob;
    size_t n;
    if (!base64 || !base64_decode(base64, &blob, &n))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: precompiled_charsmap is not base64", name);
    mohs_status st = charsmap_new(blob, n, name, out, err);
    free(blob);
    return st;
}

/* ---- searching ---------------------------------------------------------- */

const char *charsmap_find(const struct charsmap *m, const char *s, size_t n,
                          bool longest, size_t *bytes)
{
    const char *found = NULL;
    size_t at = offset_of(m->unit[0]), keys = 0;
    for (size_t i = 0; i < n && keys < KEYS_MAX; i++) {
        at ^= (unsigned char)s[i];
        uint32_t u = m->unit[at];
        if (label_of(u) != (unsigned char)s[i])
            break;
        at ^= offset_of(u);
        if (!has_leaf(u))
            continue;
        found = m->text + value_of(m->unit[at]);
        *bytes = i + 1;
        if (!longest)
            break;
        keys++;
    }
    return found;
}

static void add_mapped(const struct charsmap *m, const char *s, size_t n,
                       struct str *out)
{
    size_t bytes;
    const char *to = charsmap_find(m, s, n, false, &bytes);
    if (to)
        str_add(out, to);
    else
        str_addn(out, s, n);
}

static void add_cluster(const struct charsmap *m, const char *s, size_t n,
                        struct str *out)
{
    uint32_t c;
    size_t bytes;
    const char *to = n < CLUSTER_BYTES ? charsmap_find(m, s, n, false, &bytes)
                                       : NULL;
    if (to) {
        str_add(out, to);
        return;
    }
    for (size_t i = 0, k; i < n; i += k) {
        k = utf8_get(s + i, &c);
        add_mapped(m, s + i, k, out);
    }
}

void charsmap_clusters(const struct charsmap *m, struct str *text)
{
    struct str out = { 0 };
    utf8proc_int32_t state = 0;
    uint32_t before = 0, c;
    size_t from = 0;
    str_add(&out, "");
    for (size_t i = 0, k; i < text->n; i += k) {
        k = utf8_get(text->s + i, &c);
        if (i && utf8proc_grapheme_break_stateful((utf8proc_int32_t)before,
                                                  (utf8proc_int32_t)c, &state)) {
            add_cluster(m, text->s + from, i - from, &out);
            from = i;
        }
        before = c;
    }
    add_cluster(m, text->s + from, text->n - from, &out);
    str_free(text);
    *text = out;
}
