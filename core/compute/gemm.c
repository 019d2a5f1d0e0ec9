/* SPDX-License-Identifier: MIT */
/*
 * Matrix products: checks the description, chooses the kernel for the
 * device, packs operands where that kernel wants it.
 */
#include "config.h"

#include "compute/compute_impl.h"

enum { F_BIAS = 1, F_RESIDUAL = 2, F_PRE = 4, F_ACCUMULATE = 8 };

/* An operand of rows x cols floats, row stride ld, must lie in b. */
static mohs_status check_operand(const char *what, const struct mohs_buffer *b,
                                 size_t off, uint64_t rows, uint64_t cols,
                                 uint32_t ld, struct mohs_error *err)
{
    if (!b)
        return mohs_fail(err, MOHS_E_ARG, "gemm: %s is missing", what);
    if (!rows || !cols)
        return MOHS_OK;
    if (ld < cols)
        return mohs_fail(err, MOHS_E_ARG, "gemm: %s: row stride %u is below %llu",
                         what, ld, (unsigned long long)cols);
    uint64_t need = off + (rows - 1) * ld + cols;
    if (need * sizeof(float) > b->bytes)
        return mohs_fail(err, MOHS_E_ARG,
                         "gemm: %s: needs %llu floats, the buffer has %zu", what,
                         (unsigned long long)need, b->bytes / sizeof(float));
    return MOHS_OK;
}

static mohs_status check(const struct gemm *g, struct mohs_error *err)
{
    uint32_t m = g->m, n = g->n, k = g->k;
    RET_IF_ERR(check_operand("a", g->a, g->a_off, g->a_trans ? k : m,
                             g->a_trans ? m : k, g->lda, err));
    if (!g->b_packed)
        RET_IF_ERR(check_operand("b", g->b, g->b_off, g->b_trans ? n : k,
                                 g->b_trans ? k : n, g->ldb, err));
    RET_IF_ERR(check_operand("c", g->c, g->c_off, m, n, g->ldc, err));
    if (g->bias)
        RET_IF_ERR(check_operand("bias", g->bias, g->bias_off, 1, n, n, err));
    if (g->residual)
        RET_IF_ERR(check_operand("residual", g->residual, g->residual_off, m, n,
                                 g->ldr, err));
    if (g->pre)
        RET_IF_ERR(check_operand("pre", g->pre, g->pre_off, m, n, g->ldp, err));
    return MOHS_OK;
}

static int flags_of(const struct gemm *g)
{
    return (g->bias ? F_BIAS : 0) | (g->residual ? F_RESIDUAL : 0) |
           (g->pre ? F_PRE : 0) | (g->accumulate ? F_ACCUMULATE : 0);
}

mohs_status gemm_run(struct compute *c, const struct gemm *g,
                     struct mohs_error *err)
{
    struct mohs_program *p;
    RET_IF_ERR(check(g, err));
    if (!g->m || !g->n)
        return MOHS_OK;
    RET_IF_ERR(program_core(c, "gemm", "", &p, err));
    // absent operands point at C, which is always there and then not read
    struct mohs_arg args[] = {
        mohs_arg_buffer(g->a),
        mohs_arg_u64(g->a_off),
        mohs_arg_u64(g->a_trans ? 1 : g->lda),
        mohs_arg_u64(g->a_trans ? g->lda : 1),
        mohs_arg_buffer(g->b),
        mohs_arg_u64(g->b_off),
        mohs_arg_u64(g->b_trans ? 1 : g->ldb),
        mohs_arg_u64(g->b_trans ? g->ldb : 1),
        mohs_arg_buffer(g->c),
        mohs_arg_u64(g->c_off),
        mohs_arg_u64(g->ldc),
        mohs_arg_buffer(g->bias ? g->bias : g->c),
        mohs_arg_u64(g->bias_off),
        mohs_arg_buffer(g->residual ? g->residual : g->c),
        mohs_arg_u64(g->residual_off),
        mohs_arg_u64(g->ldr),
        mohs_arg_buffer(g->pre ? g->pre : g->c),
        mohs_arg_u64(g->pre_off),
        mohs_arg_u64(g->ldp),
        mohs_arg_u32(g->n),
        mohs_arg_u32(g->k),
        mohs_arg_f32(g->alpha),
        mohs_arg_i32(g->act),
        mohs_arg_i32(flags_of(g)),
    };
    size_t local[2] = { 32, 1 };
    size_t global[2] = { (g->n + 31u) / 32u * 32u, g->m };
    return kernel_run(c, p, "gemm_any", 2, global, local, args,
                      sizeof args / sizeof *args, err);
}

size_t gemm_packed_bytes(struct compute *c, uint32_t n, uint32_t k)
{
    (void)c;
    (void)n;
    (void)k;
    return 0;
}

mohs_status gemm_pack_b(struct compute *c, struct mohs_buffer *b, size_t b_off,
                        uint32_t ldb, bool b_trans, uint32_t n, uint32_t k,
                        struct mohs_buffer *packed, size_t packed_off,
                        struct mohs_error *err)
{
    (void)c, (void)b, (void)b_off, (void)ldb, (void)b_trans, (void)n, (void)k;
    (void)packed, (void)packed_off;
    return mohs_fail(err, MOHS_E_UNSUPPORTED,
                     "gemm: this device does not pack operands");
}

size_t gemm_scratch_bytes(struct compute *c, const struct gemm *g)
{
    (void)c;
    (void)g;
    return 0;
}
