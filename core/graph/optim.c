/* SPDX-License-Identifier: MIT */
/* Host side of optim.cl. */
#include "config.h"

#include "graph/optim.h"

enum { PIECE = 65536, SHARE = 4096 };

static mohs_status launch(struct compute *c, const char *kernel, size_t items,
                          const struct mohs_arg *args, uint32_t n_args,
                          struct mohs_error *err)
{
    struct mohs_program *p;
    bool cpu = compute_device(c)->type == MOHS_DEVICE_CPU;
    size_t local = cpu ? 1 : 64;
    size_t global = (items + local - 1) / local * local;
    RET_IF_ERR(program_core(c, "optim", "", &p, err));
    return kernel_run(c, p, kernel, 1, &global, &local, args, n_args, err);
}

#define RUN(c, kernel, items, err, ...)                              \
    launch(c, kernel, items, (struct mohs_arg[]){ __VA_ARGS__ },     \
           (uint32_t)(sizeof((struct mohs_arg[]){ __VA_ARGS__ }) /   \
                      sizeof(struct mohs_arg)),                      \
           err)

static size_t shares(uint32_t count)
{
    return ((size_t)count + SHARE - 1) / SHARE;
}

mohs_status optim_adamw(struct compute *c, struct mohs_buffer *param,
                        struct mohs_buffer *grad, struct mohs_buffer *m,
                        struct mohs_buffer *v, uint32_t count,
                        const struct adamw *h, struct mohs_buffer *clip,
                        struct mohs_error *err)
{
    return RUN(c, "adamw", shares(count), err, mohs_arg_buffer(param),
               mohs_arg_buffer(grad), mohs_arg_buffer(m), mohs_arg_buffer(v),
               mohs_arg_u32(count), mohs_arg_u32(SHARE), mohs_arg_f32(h->lr),
               mohs_arg_f32(h->beta1), mohs_arg_f32(h->beta2),
               mohs_arg_f32(h->eps), mohs_arg_f32(h->decay),
               mohs_arg_f32(h->correction1), mohs_arg_f32(h->correction2),
               mohs_arg_buffer(clip ? clip : param),
               mohs_arg_i32(clip != NULL));
}

uint32_t optim_sumsq_slots(uint32_t count)
{
    return (uint32_t)(((uint64_t)count + PIECE - 1) / PIECE);
}

mohs_status optim_sumsq(struct compute *c, struct mohs_buffer *x,
                        uint32_t count, struct mohs_buffer *partial,
                        uint32_t at, struct mohs_error *err)
{
    return RUN(c, "sum_squares", optim_sumsq_slots(count), err,
               mohs_arg_buffer(x), mohs_arg_u32(count), mohs_arg_u32(PIECE),
               mohs_arg_buffer(partial), mohs_arg_u32(at));
}

mohs_status optim_clip(struct compute *c, struct mohs_buffer *partial,
                       uint32_t n, float max_norm, struct mohs_buffer *out,
                       struct mohs_error *err)
{
    return RUN(c, "clip_scale", 1, err, mohs_arg_buffer(partial),
               mohs_arg_u32(n), mohs_arg_f32(max_norm), mohs_arg_buffer(out));
}

mohs_status optim_ema(struct compute *c, struct mohs_buffer *avg,
                      struct mohs_buffer *x, uint32_t count, float decay,
                      struct mohs_error *err)
{
    return RUN(c, "blend", shares(count), err, mohs_arg_buffer(avg),
               mohs_arg_buffer(x), mohs_arg_u32(count), mohs_arg_u32(SHARE),
               mohs_arg_f32(decay), mohs_arg_f32(1.0f - decay));
}

mohs_status optim_axpy(struct compute *c, struct mohs_buffer *y,
                       struct mohs_buffer *x, uint32_t count, float a,
                       struct mohs_error *err)
{
    return RUN(c, "blend", shares(count), err, mohs_arg_buffer(y),
               mohs_arg_buffer(x), mohs_arg_u32(count), mohs_arg_u32(SHARE),
               mohs_arg_f32(1.0f), mohs_arg_f32(a));
}

static uint32_t ball_flags(const struct ball *b, struct mohs_buffer *clean,
                           struct mohs_buffer *mask)
{
    return (clean ? 1u : 0) | (mask ? 2u : 0) |
           (b->norm == BALL_LINF ? 4u : 0) | (b->per_sample ? 8u : 0);
}

mohs_status optim_perturb_step(struct compute *c, const struct ball *b,
                               struct mohs_buffer *delta,
                               struct mohs_buffer *grad,
                               struct mohs_buffer *clean,
                               struct mohs_buffer *mask, float alpha,
                               struct mohs_error *err)
{
    size_t groups = (size_t)b->n * (b->per_sample ? 1 : b->tokens);
    return RUN(c, "perturb_step", groups, err, mohs_arg_buffer(delta),
               mohs_arg_buffer(grad), mohs_arg_buffer(clean ? clean : grad),
               mohs_arg_buffer(mask ? mask : grad), mohs_arg_u32(b->n),
               mohs_arg_u32(b->tokens), mohs_arg_u32(b->width),
               mohs_arg_u32(ball_flags(b, clean, mask)), mohs_arg_f32(b->eps),
               mohs_arg_f32(alpha));
}

mohs_status optim_random_delta(struct compute *c, const struct ball *b,
                               struct mohs_buffer *delta,
                               struct mohs_buffer *clean,
                               struct mohs_buffer *mask, uint64_t seed,
                               struct mohs_buffer *keys, bool surface,
                               struct mohs_error *err)
{
    size_t groups = (size_t)b->n * (b->per_sample ? 1 : b->tokens);
    uint32_t flags = ball_flags(b, clean, mask) | (surface ? 16u : 0);
    return RUN(c, "random_delta", groups, err, mohs_arg_buffer(delta),
               mohs_arg_buffer(clean ? clean : delta),
               mohs_arg_buffer(mask ? mask : keys), mohs_arg_buffer(keys),
               mohs_arg_u32(b->n), mohs_arg_u32(b->tokens),
               mohs_arg_u32(b->width), mohs_arg_u32(flags),
               mohs_arg_f32(b->eps), mohs_arg_u64(seed));
}
