/* SPDX-License-Identifier: MIT */
/*
 * Matrix products, and convolutions, which are products with a gathered A:
 * checks the description, chooses the kernel for the
 * device, packs B where that kernel wants it. MOHS_GEMM names a form: cpu16
 * (wide vectors), cpu8 (half as wide), tiled (local memory). MOHS_WINOGRAD=0
 * computes all convolutions directly.
 */
#include "config.h"

#include "compute/compute_impl.h"

#include <stdlib.h>
#include <string.h>

enum { F_BIAS = 1, F_RESIDUAL = 2, F_PRE = 4, F_ACCUMULATE = 8, F_SCALE = 16,
       F_FIRST = 32 };
enum { TILED_SIDE = 16, TILED_TILE = 64, PACK_CHUNK = 256 };
/* Largest tile of one work-item, and how many work-items each compute unit
 * should get at least for balance. */
enum { TILE_ROWS = 96, TILE_COLS = 512, ITEMS_PER_UNIT = 4 };
/* The tile of Winograd, where a row is 2 x 2 results; its channels at a time,
 * and how many there must be on either side. */
enum { WINO_ROWS = 24, WINO_COLS = 128, WINO_CHUNK = 128, WINO_CHANNELS = 32 };

/* ---- what suits the device ---- */

/* A strip of mr rows times a panel of 16 nv columns fits the registers: 32
 * of 512 bits, 16 of 256 or 128 bits. */
static const struct gemm_form forms[] = {
    { "cpu16", true, 12, 2 },
    { "cpu8", true, 6, 1 },
    { "tiled", false, 0, 0 },
};

static const struct gemm_form *form_of(struct compute *c)
{
    if (c->gemm_form)
        return c->gemm_form;
    const char *want = getenv("MOHS_GEMM");
    c->gemm_form = c->info.type != MOHS_DEVICE_CPU ? &forms[2] :
                   device_is_wide(c) ? &forms[0] : &forms[1];
    for (size_t i = 0; want && i < sizeof forms / sizeof *forms; i++)
        if (!strcmp(want, forms[i].name))
            c->gemm_form = &forms[i];
    return c->gemm_form;
}

static uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

static uint32_t panels_of(const struct gemm_form *f, uint32_t n)
{
    return ceil_div(n, f->nv * 16);
}

size_t gemm_packed_bytes(struct compute *c, uint32_t n, uint32_t k)
{
    const struct gemm_form *f = form_of(c);
    if (!f->packs)
        return 0;
    return (size_t)panels_of(f, n) * f->nv * 16 * ceil_div(k, 16) * 16 *
           sizeof(float);
}

bool gemm_winograd(struct compute *c, const struct gemm *g)
{
    const struct gemm_conv *v = &g->conv;
    const char *want = getenv("MOHS_WINOGRAD");
    return form_of(c)->packs && !(want && !strcmp(want, "0")) && v->kh == 3 &&
           v->kw == 3 && v->stride == 1 && v->up == 1 && v->taps.c % 16 == 0 &&
           v->taps.c >= WINO_CHANNELS && g->n >= WINO_CHANNELS;
}

uint32_t gemm_packed_k(const struct gemm *g)
{
    return g->conv.taps.winograd ? 16 * g->conv.taps.c : g->k;
}

size_t gemm_scratch_bytes(struct compute *c, const struct gemm *g)
{
    return g->b_packed ? 0 : gemm_packed_bytes(c, g->n, gemm_packed_k(g));
}

/* ---- checks ---- */

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

static bool is_conv(const struct gemm *g)
{
    return g->conv.taps.taps > 0;
}

static mohs_status check_taps(const struct gemm_taps *t,
                              const struct mohs_buffer *b, size_t off,
                              uint32_t n, struct mohs_error *err)
{
    uint64_t last = (uint64_t)(n - 1) * t->step_n +
                    (uint64_t)(t->c - 1) * t->step_c + t->taps;
    return check_operand("b", b, off, 1, n && t->c ? last : 0, UINT32_MAX, err);
}

/* The pictures and weights of a convolution. */
static mohs_status check_conv(struct compute *c, const struct gemm *g,
                              struct mohs_error *err)
{
    const struct gemm_conv *v = &g->conv;
    uint64_t plane = (uint64_t)v->oh * v->ow;
    if (g->a_trans || !plane || !v->stride || !v->up || g->m % plane ||
        v->taps.taps != v->kh * v->kw || g->k != v->taps.taps * v->taps.c)
        return mohs_fail(err, MOHS_E_ARG,
                         "gemm: a convolution of %u x %u taps, %u channels and "
                         "%u x %u results is no product of %u x %u",
                         v->kh, v->kw, v->taps.c, v->oh, v->ow, g->m, g->k);
    if (v->taps.winograd && !gemm_winograd(c, g))
        return mohs_fail(err, MOHS_E_ARG,
                         "gemm: a convolution that is none for Winograd");
    RET_IF_ERR(check_operand("a", g->a, g->a_off, g->m / plane * v->h * v->w,
                             v->taps.c, g->lda, err));
    return g->b_packed ? MOHS_OK
                       : check_taps(&v->taps, g->b, g->b_off, g->n, err);
}

static mohs_status check(struct compute *c, const struct gemm *g,
                         struct mohs_error *err)
{
    uint32_t m = g->m, n = g->n, k = g->k;
    if (is_conv(g)) {
        RET_IF_ERR(check_conv(c, g, err));
    } else {
        RET_IF_ERR(check_operand("a", g->a, g->a_off, g->a_trans ? k : m,
                                 g->a_trans ? m : k, g->lda, err));
        if (!g->b_packed)
            RET_IF_ERR(check_operand("b", g->b, g->b_off, g->b_trans ? n : k,
                                     g->b_trans ? k : n, g->ldb, err));
    }
    if (g->b_packed)
        RET_IF_ERR(check_operand("packed b", g->b_packed, g->b_packed_off, 1,
                                 gemm_packed_bytes(c, n, gemm_packed_k(g)) /
                                     sizeof(float),
                                 UINT32_MAX, err));
    RET_IF_ERR(check_operand("c", g->c, g->c_off, m, n, g->ldc, err));
    if (g->scale)
        RET_IF_ERR(check_operand("scale", g->scale, g->scale_off, 1, n, n, err));
    if (g->bias)
        RET_IF_ERR(check_operand("bias", g->bias, g->bias_off, 1, n, n, err));
    if (g->residual)
        RET_IF_ERR(check_operand("residual", g->residual, g->residual_off, m, n,
                                 g->ldr, err));
    if (g->pre)
        RET_IF_ERR(check_operand("pre", g->pre, g->pre_off, m, n, g->ldp, err));
    return MOHS_OK;
}

/* ---- running ---- */

struct arg_list {
    struct mohs_arg a[48];
    uint32_t n;
};

static void add_buffer(struct arg_list *l, struct mohs_buffer *b, size_t off)
{
    l->a[l->n++] = mohs_arg_buffer(b);
    l->a[l->n++] = mohs_arg_u64(off);
}

static void add_u64(struct arg_list *l, uint64_t x)
{
    l->a[l->n++] = mohs_arg_u64(x);
}

static void add_u32(struct arg_list *l, uint32_t x)
{
    l->a[l->n++] = mohs_arg_u32(x);
}

/* C and the operands of the epilogue; absent ones point at C, unread. */
static void add_results(struct arg_list *l, const struct gemm *g)
{
    add_buffer(l, g->c, g->c_off);
    add_u64(l, g->ldc);
    add_buffer(l, g->scale ? g->scale : g->c, g->scale_off);
    add_buffer(l, g->bias ? g->bias : g->c, g->bias_off);
    add_buffer(l, g->residual ? g->residual : g->c, g->residual_off);
    add_u64(l, g->ldr);
    add_buffer(l, g->pre ? g->pre : g->c, g->pre_off);
    add_u64(l, g->ldp);
    add_u32(l, g->m);
    add_u32(l, g->n);
    add_u32(l, g->k);
}

static void add_epilogue(struct arg_list *l, const struct gemm *g)
{
    int flags = (g->bias ? F_BIAS : 0) | (g->residual ? F_RESIDUAL : 0) |
                (g->pre ? F_PRE : 0) | (g->accumulate ? F_ACCUMULATE : 0) |
                (g->scale ? F_SCALE : 0) | (g->residual_first ? F_FIRST : 0);
    l->a[l->n++] = mohs_arg_f32(g->alpha);
    l->a[l->n++] = mohs_arg_i32(g->act);
    l->a[l->n++] = mohs_arg_i32(flags);
}

static void add_conv(struct arg_list *l, const struct gemm_conv *v)
{
    const uint32_t x[] = { v->kh, v->kw,     v->h,  v->w,     v->oh,
                           v->ow, v->stride, v->up, v->pad_y, v->pad_x,
                           v->taps.c };
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        add_u32(l, x[i]);
}

static void add_taps(struct arg_list *l, const struct gemm_taps *t)
{
    const uint32_t x[] = { t->taps, t->c, t->step_n, t->step_c, t->flip };
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        add_u32(l, x[i]);
}

static mohs_status run_tiled(struct compute *c, const struct gemm *g,
                             struct mohs_error *err)
{
    struct mohs_program *p;
    struct arg_list l = { .n = 0 };
    RET_IF_ERR(program_core(c, "gemm_tiled", is_conv(g) ? "-DCONV" : "", &p, err));
    add_buffer(&l, g->a, g->a_off);
    add_u64(&l, g->a_trans ? 1 : g->lda);
    add_u64(&l, g->a_trans ? g->lda : 1);
    add_buffer(&l, g->b, g->b_off);
    add_u64(&l, g->b_trans ? 1 : g->ldb);
    add_u64(&l, g->b_trans ? g->ldb : 1);
    add_results(&l, g);
    add_epilogue(&l, g);
    if (is_conv(g)) {
        add_conv(&l, &g->conv);
        add_taps(&l, &g->conv.taps);
    }
    size_t global[2] = { (size_t)ceil_div(g->n, TILED_TILE) * TILED_SIDE,
                         (size_t)ceil_div(g->m, TILED_TILE) * TILED_SIDE };
    return kernel_run(c, p, "gemm_tiled", 2, global, NULL, l.a, l.n, err);
}

/* The kernel of a product: its rows (tiles for Winograd), and the most strips
 * and panels of a work-item. */
struct plan {
    const char *kernel;
    char options[64];
    uint32_t rows, strips, panels;
};

static struct plan plan_of(const struct gemm_form *f, const struct gemm *g)
{
    const struct gemm_conv *v = &g->conv;
    struct plan p = { .kernel = "gemm_cpu", .rows = g->m,
                      .strips = TILE_ROWS / f->mr,
                      .panels = TILE_COLS / 16 / f->nv };
    const char *more = g->a_trans ? "-DA_TRANS" : is_conv(g) ? "-DCONV" : "";
    char chunk[24];
    if (v->taps.winograd) {
        p.kernel = "gemm_wino";
        p.rows = g->m / (v->oh * v->ow) * ceil_div(v->oh, 2) * ceil_div(v->ow, 2);
        p.strips = WINO_ROWS / f->mr;
        p.panels = WINO_COLS / 16 / f->nv;
        snprintf(chunk, sizeof chunk, "-DKC=%d", WINO_CHUNK);
        more = chunk;
    }
    snprintf(p.options, sizeof p.options, "-DMR=%u -DNV=%u -DRB=%u -DNP=%u %s",
             f->mr, f->nv, p.strips, p.panels, more);
    return p;
}

/* How many work-items share the strips and the panels: large and square tiles
 * reuse more of what they load, many balance better, and as many for every
 * unit, since a driver may hand out halves. */
static void choose_items(const struct compute *c, const struct gemm_form *f,
                         const struct plan *pl, uint32_t n, size_t items[2])
{
    uint64_t units = c->info.units ? c->info.units : 1;
    uint64_t want = units > 1 ? units * ITEMS_PER_UNIT : 1;
    uint64_t strips = ceil_div(pl->rows, f->mr), panels = panels_of(f, n);
    uint64_t r = (strips + pl->strips - 1) / pl->strips;
    uint64_t p = (panels + pl->panels - 1) / pl->panels;
    while (r * p < want && (r < strips || p < panels)) {
        bool wide = panels * f->nv * 16 * r >= strips * f->mr * p;
        if (p < panels && (r == strips || wide))
            p++;
        else
            r++;
    }
    uint64_t more = r;
    while (more * p % units && more < strips && more <= r + r / 4)
        more++;
    items[0] = more * p % units ? r : more;
    items[1] = p;
}

static mohs_status run_cpu(struct compute *c, const struct gemm_form *f,
                           const struct gemm *g, struct mohs_buffer *packed,
                           size_t packed_off, struct mohs_error *err)
{
    struct plan plan = plan_of(f, g);
    struct mohs_program *p;
    struct arg_list l = { .n = 0 };
    size_t items[2];
    RET_IF_ERR(program_core(c, plan.kernel, plan.options, &p, err));
    choose_items(c, f, &plan, g->n, items);
    add_buffer(&l, g->a, g->a_off);
    add_u64(&l, g->lda);
    add_buffer(&l, packed, packed_off);
    add_results(&l, g);
    add_epilogue(&l, g);
    if (is_conv(g))
        add_conv(&l, &g->conv);
    if (is_conv(g) && !g->conv.taps.winograd)
        add_u64(&l, g->a->bytes / sizeof(float));
    return kernel_run(c, p, plan.kernel, 2, items, NULL, l.a, l.n, err);
}

mohs_status gemm_pack_b(struct compute *c, struct mohs_buffer *b, size_t b_off,
                        uint32_t ldb, bool b_trans, uint32_t n, uint32_t k,
                        struct mohs_buffer *packed, size_t packed_off,
                        struct mohs_error *err)
{
    const struct gemm_form *f = form_of(c);
    struct mohs_program *p;
    struct arg_list l = { .n = 0 };
    char options[32];
    if (!f->packs)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "gemm: this device does not pack operands");
    RET_IF_ERR(check_operand("b", b, b_off, b_trans ? n : k, b_trans ? k : n, ldb,
                             err));
    RET_IF_ERR(check_operand("packed b", packed, packed_off, 1,
                             gemm_packed_bytes(c, n, k) / sizeof(float),
                             UINT32_MAX, err));
    snprintf(options, sizeof options, "-DNV=%u", f->nv);
    RET_IF_ERR(program_core(c, "gemm_pack", options, &p, err));
    add_buffer(&l, b, b_off);
    add_u64(&l, ldb);
    add_buffer(&l, packed, packed_off);
    add_u32(&l, n);
    add_u32(&l, k);
    size_t global[2] = { panels_of(f, n), ceil_div(k, PACK_CHUNK) };
    return kernel_run(c, p, b_trans ? "gemm_pack_cols" : "gemm_pack_rows", 2,
                      global, NULL, l.a, l.n, err);
}

mohs_status gemm_pack_taps(struct compute *c, struct mohs_buffer *b,
                           size_t b_off, const struct gemm_taps *t, uint32_t n,
                           struct mohs_buffer *packed, size_t packed_off,
                           struct mohs_error *err)
{
    const struct gemm_form *f = form_of(c);
    struct mohs_program *p;
    struct arg_list l = { .n = 0 };
    char options[32];
    uint32_t k = (t->winograd ? 16 : t->taps) * t->c;
    if (!f->packs)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "gemm: this device does not pack operands");
    RET_IF_ERR(check_taps(t, b, b_off, n, err));
    RET_IF_ERR(check_operand("packed b", packed, packed_off, 1,
                             gemm_packed_bytes(c, n, k) / sizeof(float),
                             UINT32_MAX, err));
    snprintf(options, sizeof options, "-DNV=%u", f->nv);
    RET_IF_ERR(program_core(c, "gemm_pack", options, &p, err));
    add_buffer(&l, b, b_off);
    add_buffer(&l, packed, packed_off);
    add_u32(&l, n);
    add_taps(&l, t);
    if (t->winograd)
        add_u32(&l, WINO_CHUNK);
    size_t global[2] = { panels_of(f, n), t->winograd ? t->c / 16
                                                      : ceil_div(k, PACK_CHUNK) };
    return kernel_run(c, p, t->winograd ? "gemm_pack_wino" : "gemm_pack_taps", 2,
                      global, NULL, l.a, l.n, err);
}

mohs_status gemm_run(struct compute *c, const struct gemm *g,
                     struct mohs_error *err)
{
    const struct gemm_form *f = form_of(c);
    RET_IF_ERR(check(c, g, err));
    if (!g->m || !g->n)
        return MOHS_OK;
    if (!f->packs)
        return run_tiled(c, g, err);
    if (g->b_packed)
        return run_cpu(c, f, g, g->b_packed, g->b_packed_off, err);
    struct mohs_buffer *scratch;
    RET_IF_ERR(scratch_get(c, gemm_scratch_bytes(c, g), &scratch, err));
    mohs_status st =
        is_conv(g) ? gemm_pack_taps(c, g->b, g->b_off, &g->conv.taps, g->n,
                                    scratch, 0, err)
                   : gemm_pack_b(c, g->b, g->b_off, g->ldb, g->b_trans, g->n,
                                 g->k, scratch, 0, err);
    if (st >= 0)
        st = run_cpu(c, f, g, scratch, 0, err);
    buffer_unref(scratch);
    return st;
}
