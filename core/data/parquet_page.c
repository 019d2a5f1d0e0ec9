/* SPDX-License-Identifier: MIT */
/* Parquet's pages: headers, compression, levels and values. */
#include "config.h"

#include "data/parquet.h"

#include <stdlib.h>
#include <string.h>

#include <brotli/decode.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum {
    PAGE_MAX = 1 << 30,
    HEADER_FIRST = 1 << 14, /* bytes tried first for a page's header */
    HEADER_MAX = 1 << 24,
    VALUES_MAX = 1 << 24, /* of a page: a run of nulls takes hardly a byte */
};
enum { DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 };
enum { PLAIN = 0, PLAIN_DICTIONARY = 2, RLE = 3, RLE_DICTIONARY = 8 };
enum { UNCOMPRESSED, SNAPPY, GZIP, BROTLI = 4, LZ4, ZSTD, LZ4_RAW };

MOHS_PRINTF(4, 5)
static mohs_status bad(const struct parquet *p, size_t leaf, struct mohs_error *err,
                       const char *fmt, ...)
{
    char what[120];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return mohs_fail(err, MOHS_E_FORMAT, "%s: column %.60s: %s", p->path,
                     p->leaf[leaf].path, what);
}

/* ---- headers ---- */

static void read_data_header(struct thrift *t, struct parquet_page *g, bool v2)
{
    int32_t id = 0;
    uint8_t type;
    int64_t values = -1, def = 0, rep = 0;
    g->v2 = v2;
    while (thrift_field(t, &id, &type))
        if (id == 1)
            values = thrift_int(t, type);
        else if (id == (v2 ? 4 : 2))
            g->encoding = (int32_t)thrift_int(t, type);
        else if (v2 && id == 5)
            def = thrift_int(t, type);
        else if (v2 && id == 6)
            rep = thrift_int(t, type);
        else if (v2 && id == 7)
            g->compressed = thrift_bool(t, type);
        else
            thrift_skip(t, type);
    if (values < 0 || values > VALUES_MAX || def < 0 || rep < 0 || def > PAGE_MAX ||
        rep > PAGE_MAX)
        t->bad = true;
    g->values = (uint32_t)values;
    g->def_bytes = (uint32_t)def;
    g->rep_bytes = (uint32_t)rep;
}

/* *kind: of enum above. */
static void read_header(struct thrift *t, struct parquet_page *g, int32_t *kind)
{
    int32_t id = 0;
    uint8_t type;
    int64_t plain = -1, stored = -1;
    *g = (struct parquet_page) { .compressed = true, .encoding = -1 };
    *kind = -1;
    while (thrift_field(t, &id, &type))
        if (id == 1)
            *kind = (int32_t)thrift_int(t, type);
        else if (id == 2)
            plain = thrift_int(t, type);
        else if (id == 3)
            stored = thrift_int(t, type);
        else if ((id == 5 || id == 7 || id == 8) && type == THRIFT_STRUCT)
            read_data_header(t, g, id == 8); // a dictionary's begins alike
        else
            thrift_skip(t, type);
    if (plain < 0 || stored < 0 || plain > PAGE_MAX || stored > PAGE_MAX)
        t->bad = true;
    g->plain_bytes = (uint32_t)plain;
    g->bytes = (uint32_t)stored;
    g->dictionary = *kind == DICTIONARY_PAGE;
}

/* The header at `at`; how long it is, is not known before. */
static mohs_status header_at(const struct parquet *p, size_t leaf, uint64_t at, uint64_t end,
                             struct parquet_page *g, int32_t *kind, struct mohs_error *err)
{
    for (size_t n = HEADER_FIRST;; n *= 4) {
        char *s = NULL;
        size_t m = n < end - at ? n : (size_t)(end - at);
        RET_IF_ERR(parquet_fetch(p, at, m, &s, err));
        struct thrift t = { (const uint8_t *)s, (const uint8_t *)s + m, false };
        read_header(&t, g, kind);
        g->offset = at + (uint64_t)(t.at - (const uint8_t *)s);
        bool good = !t.bad;
        free(s);
        if (good)
            return MOHS_OK;
        if (m < n || n >= HEADER_MAX)
            return bad(p, leaf, err, "a damaged page header at byte %llu",
                       (unsigned long long)at);
    }
}

mohs_status parquet_pages(const struct parquet *p, size_t group, size_t leaf,
                          struct parquet_page **out, size_t *n, struct mohs_error *err)
{
    const struct parquet_chunk *c = &p->group[group].chunk[leaf];
    uint64_t at = c->offset, end = c->offset + c->bytes, left = c->values;
    struct parquet_page *v = NULL, g;
    size_t cap = 0;
    mohs_status st = MOHS_OK;
    *n = 0;
    while (left && st >= 0) {
        int32_t kind;
        if (at >= end) {
            st = bad(p, leaf, err, "pages with fewer values than the footer says");
            break;
        }
        st = header_at(p, leaf, at, end, &g, &kind, err);
        if (st < 0)
            break;
        at = g.offset + g.bytes;
        if (kind == INDEX_PAGE && at <= end)
            continue;
        if (at > end || kind < 0 || kind > DATA_PAGE_V2 || (g.dictionary && *n) ||
            (!g.dictionary && g.values > left) || (uint64_t)g.def_bytes + g.rep_bytes > g.bytes) {
            st = bad(p, leaf, err, "a damaged page header at byte %llu",
                     (unsigned long long)g.offset);
            break;
        }
        left -= g.dictionary ? 0 : g.values;
        if (*n == cap) {
            cap = cap ? 2 * cap : 8;
            v = xrealloc(v, cap * sizeof *v);
        }
        v[(*n)++] = g;
    }
    if (st < 0) {
        free(v);
        *n = 0;
        return st;
    }
    *out = v;
    return MOHS_OK;
}

/* ---- compression ---- */

static bool gunzip(const char *in, size_t n, char *out, size_t n_out)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n,
                   .next_out = (Bytef *)out, .avail_out = (uInt)n_out };
    if (inflateInit2(&z, 15 + 32) != Z_OK) // gzip or zlib
        return false;
    int r = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return r == Z_STREAM_END && z.total_out == n_out;
}

static bool unbrotli(const char *in, size_t n, char *out, size_t n_out)
{
    size_t have = n_out;
    return BrotliDecoderDecompress(n, (const uint8_t *)in, &have, (uint8_t *)out) ==
               BROTLI_DECODER_RESULT_SUCCESS &&
           have == n_out;
}

static bool unlz4(const char *in, size_t n, char *out, size_t n_out)
{
    return LZ4_decompress_safe(in, out, (int)n, (int)n_out) == (int)n_out;
}

static bool big_endian(const char *in, size_t n, size_t *at, size_t *out)
{
    const uint8_t *p = (const uint8_t *)in + *at;
    if (n - *at < 4)
        return false;
    *out = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    *at += 4;
    return true;
}

/* Hadoop's way, which "LZ4" meant: the size of a block, then the parts that make
 * it, each behind its own size. */
static bool unhadoop(const char *in, size_t n, char *out, size_t n_out)
{
    size_t at = 0, made = 0, block, part;
    while (at < n) {
        if (!big_endian(in, n, &at, &block) || block > n_out - made)
            return false;
        for (size_t end = made + block; made < end; at += part) {
            if (!big_endian(in, n, &at, &part) || part > n - at)
                return false;
            int k = LZ4_decompress_safe(in + at, out + made, (int)part, (int)(end - made));
            if (k <= 0)
                return false;
            made += (size_t)k;
        }
    }
    return made == n_out;
}

mohs_status parquet_unpack(const struct parquet *p, int32_t codec, const char *in, size_t n,
                           char *out, size_t n_out, struct mohs_error *err)
{
    size_t have = n_out;
    bool good;
    switch (codec) {
    case UNCOMPRESSED:
        good = n == n_out;
        if (good)
            memcpy(out, in, n);
        break;
    case SNAPPY:
        good = snappy_uncompressed_length(in, n, &have) == SNAPPY_OK && have == n_out &&
               snappy_uncompress(in, n, out, &have) == SNAPPY_OK;
        break;
    case GZIP: good = gunzip(in, n, out, n_out); break;
    case BROTLI: good = unbrotli(in, n, out, n_out); break;
    case LZ4: // some writers meant a plain block
        good = unhadoop(in, n, out, n_out) || unlz4(in, n, out, n_out);
        break;
    case LZ4_RAW: good = unlz4(in, n, out, n_out); break;
    case ZSTD: good = ZSTD_decompress(out, n_out, in, n) == n_out; break;
    default:
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: compressed with %s; what is read is none, SNAPPY, GZIP, BROTLI, "
                         "LZ4, ZSTD, LZ4_RAW",
                         p->path, codec == 3 ? "LZO" : "something unknown");
    }
    if (!good)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: a page does not decompress to its %zu bytes",
                         p->path, n_out);
    return MOHS_OK;
}

/* ---- levels and indices ---- */

/* n numbers of `bits` bits in the hybrid of runs and packed groups of eight. */
static bool read_hybrid(const uint8_t *at, const uint8_t *end, unsigned bits, uint32_t *out,
                        size_t n)
{
    struct thrift t = { at, end, false }; // for its numbers
    size_t bytes = (bits + 7) / 8;
    while (n) {
        uint64_t head = 0;
        for (unsigned shift = 0; shift < 35; shift += 7) {
            if (t.at == end)
                return false;
            head |= (uint64_t)(*t.at & 0x7f) << shift;
            if (!(*t.at++ & 0x80))
                break;
        }
        uint64_t count = head >> 1;
        if (!count)
            return false;
        if (head & 1) {
            uint64_t want = count * bits, have = (uint64_t)(end - t.at);
            size_t m = count * 8 < n ? (size_t)count * 8 : n;
            if (((uint64_t)m * bits + 7) / 8 > have)
                return false;
            for (size_t i = 0; i < m; i++) {
                uint64_t bit = (uint64_t)i * bits;
                const uint8_t *q = t.at + bit / 8;
                uint64_t v = 0;
                for (unsigned k = 0; k < 5 && q + k < end; k++)
                    v |= (uint64_t)q[k] << 8 * k;
                out[i] = (uint32_t)(v >> bit % 8 & ((UINT64_C(1) << bits) - 1));
            }
            t.at += want < have ? want : have;
            out += m;
            n -= m;
        } else {
            uint32_t v = 0;
            if ((size_t)(end - t.at) < bytes)
                return false;
            for (size_t k = 0; k < bytes; k++)
                v |= (uint32_t)*t.at++ << 8 * k;
            for (; count && n; count--, n--)
                *out++ = v;
        }
    }
    return true;
}

static unsigned bits_for(uint32_t most)
{
    unsigned bits = 0;
    for (; most; most >>= 1)
        bits++;
    return bits;
}

/* Levels of a page: from *at on, with their length in front in version 1. */
static bool read_levels(const uint8_t **at, const uint8_t *end, const struct parquet_page *g,
                        uint32_t v2_bytes, uint32_t most, uint32_t **out)
{
    if (!most && !g->v2)
        return true;
    uint64_t n = v2_bytes;
    if (!g->v2) {
        if (end - *at < 4)
            return false;
        n = (uint64_t)(*at)[0] | (uint64_t)(*at)[1] << 8 | (uint64_t)(*at)[2] << 16 |
            (uint64_t)(*at)[3] << 24;
        *at += 4;
    }
    if (n > (uint64_t)(end - *at))
        return false;
    const uint8_t *from = *at;
    *at += n;
    if (!most)
        return true;
    *out = calloc((size_t)g->values + 1, sizeof **out);
    if (!*out || !read_hybrid(from, *at, bits_for(most), *out, g->values))
        return false;
    for (uint32_t i = 0; i < g->values; i++)
        if ((*out)[i] > most)
            return false;
    return true;
}

/* ---- values ---- */

static uint64_t little(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static bool read_plain(int32_t type, const uint8_t *at, const uint8_t *end,
                       struct parquet_value *out, size_t n)
{
    unsigned width = type == PARQUET_INT64 ? 8 : 4;
    for (size_t i = 0; i < n; i++) {
        if ((size_t)(end - at) < width)
            return false;
        uint64_t x = little(at, width);
        at += width;
        out[i] = (struct parquet_value) { NULL, type == PARQUET_INT32 ? (int32_t)x
                                                                      : (int64_t)x };
        if (type != PARQUET_BYTES)
            continue;
        if (x > (size_t)(end - at))
            return false;
        out[i].s = (const char *)at;
        at += x;
    }
    return true;
}

static bool read_indices(const uint8_t *at, const uint8_t *end,
                         const struct parquet_values *d, struct parquet_value *out, size_t n)
{
    if (!n)
        return true;
    if (at == end || *at > 32)
        return false;
    uint32_t *index = calloc(n, sizeof *index);
    bool good = index && read_hybrid(at + 1, end, *at, index, n);
    for (size_t i = 0; good && i < n; i++) {
        good = index[i] < d->n_values;
        if (good)
            out[i] = d->value[index[i]];
    }
    free(index);
    return good;
}

static mohs_status read_values(const struct parquet *p, size_t leaf,
                               const struct parquet_page *g, const uint8_t *at,
                               const uint8_t *end, const struct parquet_values *dictionary,
                               struct parquet_values *v, struct mohs_error *err)
{
    const struct parquet_leaf *f = &p->leaf[leaf];
    bool indices = !g->dictionary &&
                   (g->encoding == PLAIN_DICTIONARY || g->encoding == RLE_DICTIONARY);
    v->n_values = v->n_levels;
    if (v->def) {
        v->n_values = 0;
        for (size_t i = 0; i < v->n_levels; i++)
            v->n_values += v->def[i] == f->max_def;
    }
    if (f->type != PARQUET_BYTES && f->type != PARQUET_INT32 && f->type != PARQUET_INT64)
        return bad(p, leaf, err, "neither bytes nor integers");
    if (indices && !dictionary)
        return bad(p, leaf, err, "indices without a dictionary");
    if (!indices && g->encoding != PLAIN && !(g->dictionary && g->encoding == PLAIN_DICTIONARY))
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: column %.60s: encoding %d; what is read is plain (0) and "
                         "dictionary (2, 8)", p->path, f->path, g->encoding);
    // an integer or a length takes four bytes, so lies about numbers end here
    if (!indices && v->n_values > (size_t)(end - at) / 4)
        return bad(p, leaf, err, "a page shorter than its %zu values", v->n_values);
    v->value = try_calloc(v->n_values, sizeof *v->value, p->path, err);
    if (!v->value)
        return MOHS_E_NOMEM;
    if (indices ? !read_indices(at, end, dictionary, v->value, v->n_values)
                : !read_plain(f->type, at, end, v->value, v->n_values))
        return bad(p, leaf, err, "a damaged page at byte %llu", (unsigned long long)g->offset);
    return MOHS_OK;
}

static mohs_status read_page(const struct parquet *p, size_t group, size_t leaf,
                             const struct parquet_page *g, const char *stored,
                             const struct parquet_values *dictionary,
                             struct parquet_values *v, struct mohs_error *err)
{
    const struct parquet_leaf *f = &p->leaf[leaf];
    // version 2 keeps its levels outside of the compression
    uint32_t levels = g->v2 ? g->def_bytes + g->rep_bytes : 0;
    if (levels > g->plain_bytes)
        return bad(p, leaf, err, "a damaged page at byte %llu", (unsigned long long)g->offset);
    v->bytes = malloc((size_t)g->plain_bytes + 1);
    if (!v->bytes)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for a page of %u bytes", p->path,
                         g->plain_bytes);
    memcpy(v->bytes, stored, levels);
    RET_IF_ERR(parquet_unpack(p, g->compressed ? p->group[group].chunk[leaf].codec : UNCOMPRESSED,
                              stored + levels, g->bytes - levels, v->bytes + levels,
                              g->plain_bytes - levels, err));
    const uint8_t *at = (const uint8_t *)v->bytes, *end = at + g->plain_bytes;
    v->n_levels = g->values;
    if (!g->dictionary && (!read_levels(&at, end, g, g->rep_bytes, f->max_rep, &v->rep) ||
                           !read_levels(&at, end, g, g->def_bytes, f->max_def, &v->def)))
        return bad(p, leaf, err, "damaged levels at byte %llu", (unsigned long long)g->offset);
    return read_values(p, leaf, g, at, end, dictionary, v, err);
}

mohs_status parquet_read(const struct parquet *p, size_t group, size_t leaf,
                         const struct parquet_page *page,
                         const struct parquet_values *dictionary,
                         struct parquet_values *out, struct mohs_error *err)
{
    char *stored = NULL;
    *out = (struct parquet_values) { 0 };
    mohs_status st = parquet_fetch(p, page->offset, page->bytes, &stored, err);
    if (st >= 0)
        st = read_page(p, group, leaf, page, stored, dictionary, out, err);
    free(stored);
    if (st < 0)
        parquet_values_free(out);
    return st;
}

void parquet_values_free(struct parquet_values *v)
{
    free(v->def);
    free(v->rep);
    free(v->value);
    free(v->bytes);
    *v = (struct parquet_values) { 0 };
}
