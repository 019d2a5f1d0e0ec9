/* SPDX-License-Identifier: MIT */
/* Fused attention: checks the description and launches the device's kernels. */
#include "config.h"

#include "compute/compute_impl.h"

#include <mohs/ext/graph.h>

#define D_MAX 256
#define GROUP 16 /* rows per work-group of the portable kernels */

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
    if (a->mask != MOHS_MASK_LENGTH)
        return MOHS_OK;
    if (!a->lengths || (a->lengths_off + a->n) * 4 > a->lengths->bytes)
        return mohs_fail(err, MOHS_E_ARG,
                         "attention: lengths: needs %u numbers", a->n);
    return MOHS_OK;
}

static mohs_status program_of(struct compute *c, const struct attention *a,
                              struct mohs_program **out, struct mohs_error *err)
{
    char options[32];
    snprintf(options, sizeof options, "-DD=%u", a->d);
    return program_core(c, "attention", options, out, err);
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

static mohs_status run_rows(struct compute *c, struct mohs_program *p,
                            const char *kernel, const struct attention *a,
                            uint32_t t, const struct mohs_arg *args, uint32_t n,
                            struct mohs_error *err)
{
    size_t local[3] = { GROUP, 1, 1 };
    size_t global[3] = { (t + GROUP - 1u) / GROUP * GROUP, a->heads, a->n };
    return kernel_run(c, p, kernel, 3, global, local, args, n, err);
}

mohs_status attention_forward(struct compute *c, const struct attention *a,
                          struct mohs_error *err)
{
    struct mohs_program *p;
    struct mohs_arg args[24];
    uint32_t n = 0;
    RET_IF_ERR(check(a, err));
    RET_IF_ERR(program_of(c, a, &p, err));
    add_rows(args, &n, &a->q);
    add_rows(args, &n, &a->k);
    add_rows(args, &n, &a->v);
    add_rows(args, &n, &a->out);
    args[n++] = mohs_arg_buffer(a->lse ? a->lse : a->out.buf);
    args[n++] = mohs_arg_u64(a->lse_off);
    args[n++] = mohs_arg_i32(a->lse != NULL);
    add_shape(args, &n, a);
    return run_rows(c, p, "attention_fwd", a, a->tq, args, n, err);
}

static mohs_status run_delta(struct compute *c, struct mohs_program *p,
                             const struct attention_grad *g,
                             struct mohs_buffer *delta, struct mohs_error *err)
{
    struct mohs_arg args[8];
    uint32_t n = 0;
    add_rows(args, &n, &g->fwd.out);
    add_rows(args, &n, &g->dout);
    args[n++] = mohs_arg_buffer(delta);
    args[n++] = mohs_arg_u32(g->fwd.tq);
    return run_rows(c, p, "attention_delta", &g->fwd, g->fwd.tq, args, n, err);
}

/* dq, or dk and dv: `results` are appended after what both read. */
static mohs_status run_grad(struct compute *c, struct mohs_program *p,
                            const char *kernel, const struct attention_grad *g,
                            struct mohs_buffer *delta, uint32_t t,
                            const struct attention_rows *const *results,
                            uint32_t n_results, struct mohs_error *err)
{
    struct mohs_arg args[32];
    uint32_t n = 0;
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
    return run_rows(c, p, kernel, &g->fwd, t, args, n, err);
}

mohs_status attention_backward(struct compute *c, const struct attention_grad *g,
                               struct mohs_error *err)
{
    const struct attention *a = &g->fwd;
    const struct attention_rows *r_dq[] = { &g->dq };
    const struct attention_rows *r_dkv[] = { &g->dk, &g->dv };
    struct mohs_program *p;
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
    RET_IF_ERR(program_of(c, a, &p, err));
    OUT_IF_ERR(scratch_get(c, (size_t)a->n * a->heads * a->tq * sizeof(float),
                           &delta, err));
    OUT_IF_ERR(run_delta(c, p, g, delta, err));
    if (g->dq.buf)
        OUT_IF_ERR(run_grad(c, p, "attention_dq", g, delta, a->tq, r_dq, 1, err));
    if (g->dk.buf)
        OUT_IF_ERR(run_grad(c, p, "attention_dkv", g, delta, a->tk, r_dkv, 2,
                            err));
out:
    buffer_unref(delta);
    return st;
}
