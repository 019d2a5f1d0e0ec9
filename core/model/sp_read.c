/* SPDX-License-Identifier: MIT */
/*
 * The protocol buffers of a SentencePiece model: just the wire format (varint,
 * 64-bit, length-delimited, 32-bit) and the fields that encoding depends on;
 * others are skipped.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/sentencepiece.h"

enum { PIECES_MAX = 1 << 22, PIECE_BYTES_MAX = 8000 };

struct wire {
    const uint8_t *p, *end;
    bool bad;
};

struct field {
    uint32_t number, type;
    uint64_t value;      /* of a varint or a fixed number */
    const uint8_t *data; /* length-delimited */
    size_t n;
};

static uint64_t varint(struct wire *w)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && w->p < w->end; shift += 7) {
        uint8_t b = *w->p++;
        v |= (uint64_t)(b & 0x7F) << shift;
        if (b < 0x80)
            return v;
    }
    w->bad = true;
    return 0;
}

static uint64_t fixed(struct wire *w, size_t bytes)
{
    uint64_t v = 0;
    if ((size_t)(w->end - w->p) < bytes) {
        w->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)*w->p++ << 8 * i;
    return v;
}

/* False at the end, or with w->bad set. */
static bool next(struct wire *w, struct field *f)
{
    if (w->p == w->end || w->bad)
        return false;
    uint64_t key = varint(w);
    *f = (struct field) { (uint32_t)(key >> 3), key & 7, 0, NULL, 0 };
    switch (f->type) {
    case 0: f->value = varint(w); break;
    case 1: f->value = fixed(w, 8); break;
    case 5: f->value = fixed(w, 4); break;
    case 2:
        f->value = varint(w);
        if (!w->bad && f->value <= (uint64_t)(w->end - w->p)) {
            f->data = w->p;
            f->n = (size_t)f->value;
            w->p += f->n;
            break;
        }
        w->bad = true;
        break;
    default: w->bad = true;
    }
    return !w->bad;
}

static struct wire inside(const struct field *f)
{
    return (struct wire) { f->data, f->data + f->n, f->type != 2 };
}

static bool read_piece(struct sp_model *m, const struct field *in)
{
    struct wire w = inside(in);
    struct field f;
    struct sp_piece p = { "", 0, 0, PIECE_NORMAL };
    while (next(&w, &f)) {
        if (f.number == 1 && f.type == 2) {
            p.text = (const char *)f.data;
            p.n = f.n;
        } else if (f.number == 2 && f.type == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&p.score, &bits, sizeof p.score);
        } else if (f.number == 3 && f.type == 0) {
            p.type = f.value <= PIECE_BYTE ? (enum piece_type)f.value : 0;
        }
    }
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 1024;
        m->piece = xrealloc(m->piece, m->cap * sizeof *m->piece);
    }
    m->piece[m->n++] = p;
    return !w.bad;
}

static bool read_trainer(struct sp_model *m, const struct field *in)
{
    struct wire w = inside(in);
    struct field f;
    while (next(&w, &f)) {
        if (f.type != 0)
            continue;
        switch (f.number) {
        case 3: m->kind = f.value <= 4 ? (int)f.value : 0; break;
        case 24: m->space_is_suffix = f.value; break;
        case 35: m->byte_fallback = f.value; break;
        case 41: m->bos = (int32_t)f.value; break;
        case 42: m->eos = (int32_t)f.value; break;
        case 43: m->pad = (int32_t)f.value; break;
        default: break;
        }
    }
    return !w.bad;
}

static bool read_normalizer(struct sp_model *m, const struct field *in)
{
    struct wire w = inside(in);
    struct field f;
    while (next(&w, &f)) {
        if (f.number == 2 && f.type == 2) {
            m->charsmap = f.data;
            m->n_charsmap = f.n;
        } else if (f.number == 3 && f.type == 0) {
            m->dummy_prefix = f.value;
        } else if (f.number == 4 && f.type == 0) {
            m->remove_extra_spaces = f.value;
        } else if (f.number == 5 && f.type == 0) {
            m->escape_spaces = f.value;
        }
    }
    return !w.bad;
}

static mohs_status check_piece(struct sp_model *m, size_t i, bool byte[256],
                               const char *name, struct mohs_error *err)
{
    const struct sp_piece *p = &m->piece[i];
    char hex[8];
    if (!p->n || p->n >= PIECE_BYTES_MAX || memchr(p->text, 0, p->n) ||
        !utf8_valid(p->text, p->n) || !p->type || !isfinite(p->score))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: piece %zu is empty, too long, not UTF-8, of no "
                         "known type or without a finite score", name, i);
    if (p->type == PIECE_UNKNOWN && m->unk >= 0)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: pieces %d and %zu are both the unknown one", name,
                         m->unk, i);
    if (p->type == PIECE_UNKNOWN)
        m->unk = (int32_t)i;
    if (p->type != PIECE_BYTE)
        return MOHS_OK;
    for (int b = 0; b < 256; b++) {
        snprintf(hex, sizeof hex, "<0x%02X>", b);
        if (p->n == 6 && !memcmp(p->text, hex, 6)) {
            byte[b] = true;
            return MOHS_OK;
        }
    }
    return mohs_fail(err, MOHS_E_FORMAT, "%s: byte piece %zu, \"%.*s\", is none",
                     name, i, p->n < 40 ? (int)p->n : 40, p->text);
}

static mohs_status check(struct sp_model *m, const char *name,
                         struct mohs_error *err)
{
    bool byte[256] = { false };
    size_t bytes = 0;
    if (m->kind != SP_UNIGRAM && m->kind != SP_BPE)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: a SentencePiece model of kind %d, not unigram (1) "
                         "or BPE (2)", name, (int)m->kind);
    if (!m->n || m->n > PIECES_MAX)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: a SentencePiece model of %zu pieces, not 1..%d",
                         name, m->n, PIECES_MAX);
    for (size_t i = 0; i < m->n; i++)
        RET_IF_ERR(check_piece(m, i, byte, name, err));
    for (int b = 0; b < 256; b++)
        bytes += byte[b];
    if (m->unk < 0 || bytes != (m->byte_fallback ? 256 : 0))
        return mohs_fail(err, MOHS_E_FORMAT,
                         "%s: %s and %zu of %d byte pieces", name,
                         m->unk < 0 ? "no unknown piece" : "an unknown piece",
                         bytes, m->byte_fallback ? 256 : 0);
    return MOHS_OK;
}

mohs_status sp_read(struct sp_model *m, const void *data, size_t n,
                    const char *name, struct mohs_error *err)
{
    struct wire w = { data, (const uint8_t *)data + n, false };
    struct field f;
    bool good = true;
    *m = (struct sp_model) {
        .kind = SP_UNIGRAM, .dummy_prefix = true, .remove_extra_spaces = true,
        .escape_spaces = true, .unk = -1, .bos = 1, .eos = 2, .pad = -1,
    };
    while (good && m->n <= PIECES_MAX && next(&w, &f)) {
        if (f.number == 1)
            good = read_piece(m, &f);
        else if (f.number == 2)
            good = read_trainer(m, &f);
        else if (f.number == 3)
            good = read_normalizer(m, &f);
    }
    mohs_status st = good && !w.bad
                         ? check(m, name, err)
                         : mohs_fail(err, MOHS_E_FORMAT,
                                     "%s: not a SentencePiece model: broken off "
                                     "or damaged after %zu pieces", name, m->n);
    if (st < 0)
        sp_clear(m);
    return st;
}

void sp_clear(struct sp_model *m)
{
    free(m->piece);
    *m = (struct sp_model) { 0 };
}

int32_t sp_control(const struct sp_model *m, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < m->n; i++)
        if (m->piece[i].type == PIECE_CONTROL && m->piece[i].n == n &&
            !memcmp(m->piece[i].text, text, n))
            return (int32_t)i;
    return -1;
}
