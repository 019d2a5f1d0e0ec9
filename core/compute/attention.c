/* SPDX-License-Identifier: MIT */
/*
 * Fused attention: checks the description and launches the device's kernels,
 * blocks of rows in vector lanes on CPUs, one row per work-item elsewhere.
 * MOHS_ATTENTION overrides: rows; lanes, for registers of 256 bits; wide, for
 * those of 512.
 */
#include "config.h"

#include "compute/compute_impl.h"

#include <stdlib.h>
#include <string.h>

#include <mohs/ext/graph.h>

#define D_MAX 256
#define GROUP 16 /* rows per work-group of attention.cl */

static mohs_status check_rows(const char *what, const struct attention *a,
                              const struct attention_rows *r, uint32_t t,
                              struct mohs_error *err)
{
    uint64_t width = (uint64_t)a->heads * a->d, tokens = (uint64_t)a->n * t;
    if (!r->buf)
        return mohs_fail(err, MOHS_E_ARG, "attention: %s is missing", what);
    if (r->ld < width)
        return mohs_fail(err, MOHS_E_ARG,
                         "attention: %s: row stride %u is below %llu", what,
                         r->ld, (unsigned long long)width);
    uint64_t need = tokens ? r->off + (tokens - 1) * r->ld + width : 0;
    if (need * sizeof(float) > r->buf->bytes)
        return mohs_fail(err, MOHS_E_ARG,
                         "attention: %s: needs %llu floats, the buffer has %zu",
                         what, (unsigned long long)need,
                         r->buf->bytes / sizeof(float));
    return MOHS_OK;
}

static mohs_status check(const struct attention *a, struct mohs_error *err)
{
    if (!a->d || a->d > D_MAX)
        return mohs_fail(err, MOHS_E_ARG,
                         "attention: head width %u is outside 1..%d", a->d,
                         D_MAX);
    RET_IF_ERR(check_rows("q", a, &a->q, a->tq, err));
    RET_IF_ERR(check_rows("k", a, &a->k, a->tk, err));
    RET_IF_ERR(check_rows("v", a, &a->v, a->tk, err));
    RET_IF_ERR(check_rows("out", a, &a->out, a->tq, err));
    uint64_t rows = (uint64_t)a->n * a->heads * a->tq;
    if (a->lse && (a->lse_off + rows) * sizeof(float) > a->lse->bytes)
        return mohs_fail(err, MOHS_E_ARG,
                         "attention: lse: needs %llu floats, the buffer has %zu",
                         (unsigned long long)(a->lse_off + rows),
                         a->lse->bytes / sizeof(float));
    if (a->mask != MOHS_MASK_LENGTH && a->mask != MOHS_MASK_LAST)
        return MOHS_OK;
    if (!a->lengths || (a->lengths_off + a->n) * 4 > a->lengths->bytes)
        return mohs_fail(err, MOHS_E_ARG,
                         "attention: lengths: needs %u numbers", a->n);
    return MOHS_OK;
}

/* The kernels to use for one call: their program and the vectors of a block
 * of rows, 0 for one row per work-item. */
struct choice {
    struct mohs_program *p;
    uint32_t nv;
};

enum form { ROWS, LANES, WIDE };

static enum form form_of(const struct compute *c)
{
    static const char *const names[] = { "rows", "lanes", "wide" };
    const char *s = getenv("MOHS_ATTENTION");
    for (int i = 0; s && i < 3; i++)
        if (!strcmp(s, names[i]))
            return (enum form)i;
    if (c->info.type != MOHS_DEVICE_CPU)
        return ROWS;
    return device_is_wide(c) ? WIDE : LANES;
}

static mohs_status choose(struct compute *c, const struct attention *a,
                          uint32_t t, bool backward, struct choice *out,
                          struct mohs_error *err)
{
    char options[64];
    enum form form = form_of(c);
    out->nv = 0;
    snprintf(options, sizeof options, "-DD=%u", a->d);
    if (form == ROWS)
        return program_core(c, "attention", options, &out->p, err);
    // what the registers hold; blocks of 32 rows need fewer loads, of 16
    // less padding
    uint32_t pad16 = (t + 15) / 16 * 16, pad32 = (t + 31) / 32 * 32;
    out->nv = form == LANES || pad32 * 8ull > pad16 * 9ull ? 1 : 2;
    snprintf(options, sizeof options, "-DD=%u -DNV=%u -DGROUP=%d%s", a->d,
             out->nv, form == WIDE ? 8 : 6, backward ? " -DBACKWARD" : "");
    return program_core(c, "attention_cpu", options, &out->p, err);
}

/* Appends buffer, offset, row stride. */
static void add_rows(struct mohs_arg *args, uint32_t *n,
                     const struct attention_rows *r)
{
    args[(*n)++] = mohs_arg_buffer(r->buf);
    args[(*n)++] = mohs_arg_u64(r->off);
    args[(*n)++] = mohs_arg_u32(r->ld);
}

/* The arguments that every kernel ends with. */
static void add_shape(struct mohs_arg *args, uint32_t *n,
                      const struct attention *a)
{
    // without a length mask the pointer is not read
    args[(*n)++] = mohs_arg_buffer(a->lengths ? a->lengths : a->q.buf);
    args[(*n)++] = mohs_arg_u64(a->lengths ? a->lengths_off : 0);
    args[(*n)++] = mohs_arg_i32(a->mask);
    args[(*n)++] = mohs_arg_f32(a->scale);
    args[(*n)++] = mohs_arg_u32(a->tq);
    args[(*n)++] = mohs_arg_u32(a->tk);
}

static mohs_status run_rows(struct compute *c, const struct choice *ch,
                            const char *kernel, const struct attention *a,
                            uint32_t t, const struct mohs_arg *args, uint32_t n,
                            struct mohs_error *err)
{
    size_t rows = ch->nv ? ch->nv * 16 : GROUP, local[3] = { GROUP, 1, 1 };
    size_t global[3] = { (t + rows - 1) / rows, a->heads, a->n };
    if (!ch->nv)
        global[0] *= GROUP;
    return kernel_run(c, ch->p, kernel, 3, global, ch->nv ? NULL : local, args,
                      n, err);
}

mohs_status attention_forward(struct compute *c, const struct attention *a,
                          struct mohs_error *err)
{
    struct choice ch;
    struct mohs_arg args[24];
    uint32_t n = 0;
    RET_IF_ERR(check(a, err));
    RET_IF_ERR(choose(c, a, a->tq, false, &ch, err));
    add_rows(args, &n, &a->q);
    add_rows(args, &n, &a->k);
    add_rows(args, &n, &a->v);
    add_rows(args, &n, &a->out);
    args[n++] = mohs_arg_buffer(a->lse ? a->lse : a->out.buf);
    args[n++] = mohs_arg_u64(a->lse_off);
    args[n++] = mohs_arg_i32(a->lse != NULL);
    add_shape(args, &n, a);
    return run_rows(c, &ch, "attention_fwd", a, a->tq, args, n, err);
}

static mohs_status run_delta(struct compute *c, const struct attention_grad *g,
                             struct mohs_buffer *delta, struct mohs_error *err)
{
    struct mohs_arg args[8];
    struct choice ch;
    RET_IF_ERR(choose(c, &g->fwd, g->fwd.tq, true, &ch, err));
    uint32_t n = 0;
    add_rows(args, &n, &g->fwd.out);
    add_rows(args, &n, &g->dout);
    args[n++] = mohs_arg_buffer(delta);
    args[n++] = mohs_arg_u32(g->fwd.tq);
    // with lanes a work-item takes all rows of a head
    return run_rows(c, &ch, "attention_delta", &g->fwd, ch.nv ? 1 : g->fwd.tq,
                    args, n, err);
}

/* dq, or dk and dv: `results` are appended after what both read. */
static mohs_status run_grad(struct compute *c, const char *kernel,
                            const struct attention_grad *g,
                            struct mohs_buffer *delta, uint32_t t,
                            const struct attention_rows *const *results,
                            uint32_t n_results, struct mohs_error *err)
{
    struct mohs_arg args[32];
    struct choice ch;
    uint32_t n = 0;
    RET_IF_ERR(choose(c, &g->fwd, t, true, &ch, err));
    add_rows(args, &n, &g->fwd.q);
    add_rows(args, &n, &g->fwd.k);
    add_rows(args, &n, &g->fwd.v);
    add_rows(args, &n, &g->dout);
    args[n++] = mohs_arg_buffer(g->fwd.lse);
    args[n++] = mohs_arg_u64(g->fwd.lse_off);
    args[n++] = mohs_arg_buffer(delta);
    for (uint32_t i = 0; i < n_results; i++)
        add_rows(args, &n, results[i]);
    add_shape(args, &n, &g->fwd);
    return run_rows(c, &ch, kernel, &g->fwd, t, args, n, err);
}

size_t attention_scratch_bytes(const struct attention *a)
{
    return (size_t)a->n * a->heads * a->tq * sizeof(float);
}

mohs_status attention_backward(struct compute *c, const struct attention_grad *g,
                               struct mohs_error *err)
{
    const struct attention *a = &g->fwd;
    const struct attention_rows *r_dq[] = { &g->dq };
    const struct attention_rows *r_dkv[] = { &g->dk, &g->dv };
    struct mohs_buffer *delta = NULL;
    mohs_status st = MOHS_OK;
    RET_IF_ERR(check(a, err));
    RET_IF_ERR(check_rows("dout", a, &g->dout, a->tq, err));
    if (!a->lse)
        return mohs_fail(err, MOHS_E_ARG, "attention gradient: lse is missing");
    if (g->dq.buf)
        RET_IF_ERR(check_rows("dq", a, &g->dq, a->tq, err));
    if (!g->dk.buf != !g->dv.buf)
        return mohs_fail(err, MOHS_E_ARG,
                         "attention gradient: dk and dv come together");
    if (g->dk.buf) {
        RET_IF_ERR(check_rows("dk", a, &g->dk, a->tk, err));
        RET_IF_ERR(check_rows("dv", a, &g->dv, a->tk, err));
    }
    OUT_IF_ERR(scratch_get(c, attention_scratch_bytes(a), &delta, err));
    OUT_IF_ERR(run_delta(c, g, delta, err));
    if (g->dq.buf)
        OUT_IF_ERR(run_grad(c, "attention_dq", g, delta, a->tq, r_dq, 1, err));
    if (g->dk.buf)
        OUT_IF_ERR(run_grad(c, "attention_dkv", g, delta, a->tk, r_dkv, 2,
                            err));
out:
    buffer_unref(delta);
    return st;
}
