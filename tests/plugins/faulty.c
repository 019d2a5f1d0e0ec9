/* SPDX-License-Identifier: MIT */
/* Items that each break one rule; the conformance kit must name it. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mohs/plugin.h>

enum {
    FINE,
    OVERRUN,
    OVERREAD,
    WRITES_INPUT,
    RANDOM,
    UNWRITTEN,
    REMEMBERS,
    MIXES,
    NO_SEED,
    USES_SEED,
    NO_KEY,
    CRASHES,
    HANGS,
    MUTE,
    NO_DEPTH,
    SHARED,
    NOTHING,
    KEEPS_PARAMS,
    CRASHES_LATE,
    EXITS,
    T_INVALID,
    T_MISSING,
    T_TWICE,
    T_EDITS,
    T_BATCH,
    M_WEIGHTS,
    M_ORDER,
    M_ALLOC,
    M_UNWRITTEN,
    M_NAN,
    A_BALL,
    A_ZERO,
    A_RANGE,
    A_LOSS,
    A_BATCH,
    A_SEED,
    A_NAN,
    X_FINE, X_BUDGET, X_ZERO, X_BATCH, X_NOTHING
};

struct params {
    int32_t mode;
};

static mohs_status create(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err)
{
    const struct params *p = params;
    (void)host;
    if (p->mode == HANGS)
        for (;;)
            pause();
    if (p->mode == KEEPS_PARAMS) {
        *self = (void *)(uintptr_t)params;
        return MOHS_OK;
    }
    struct params *s = malloc(sizeof *s);
    if (!s)
        return mohs_fail(err, MOHS_E_NOMEM, "faulty: no memory");
    *s = *p;
    *self = s;
    return MOHS_OK;
}

static void destroy(void *self)
{
    if (((struct params *)self)->mode >= 0)
        free(self);
}

static int counter;

/* ---- corruptions ---- */

static volatile uint8_t sink;

static mohs_status apply(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err)
{
    static volatile int shared;
    int mode = ((struct params *)self)->mode;
    size_t one = (size_t)in->height * in->width * 3, n = in->n * one;
    if (mode < 0) /* what the kit wrote over the params */
        return mohs_fail(err, MOHS_E_ARG, "faulty: mode %d", mode);
    if (mode == CRASHES || (mode == CRASHES_LATE && in->n == 3))
        abort();
    if (mode == EXITS && in->n == 3)
        _exit(7);
    if (mode == MUTE && in->width < 3)
        return MOHS_E_UNSUPPORTED;
    for (size_t i = mode == UNWRITTEN; i < n; i++) {
        uint8_t x = in->rgb[i];
        if (mode == NOTHING)
            out->rgb[i] = x;
        else if (mode == MIXES)
            out->rgb[i] = (uint8_t)(x ^ in->rgb[n - 1 - i % one]);
        else
            out->rgb[i] = (uint8_t)(255 - x);
    }
    if (mode == SHARED) {
        shared = 0;
        for (int i = 0; i < 20; i++) {
            usleep(20);
            shared = shared + 1;
        }
        for (size_t i = 0; i < n; i += one)
            out->rgb[i] = (uint8_t)shared;
    }
    switch (mode) {
    case OVERRUN: out->rgb[n] = 1; break;
    case OVERREAD: sink = in->rgb[n]; break;
    case WRITES_INPUT: in->rgb[0] ^= 1; break;
    case RANDOM: out->rgb[0] = (uint8_t)counter++; break;
    case REMEMBERS:
        out->rgb[5] = (uint8_t)(severity + (uint32_t)counter++);
        break;
    case USES_SEED:
    case NO_KEY:
        for (size_t i = 3; i < n; i += one)
            out->rgb[i] = (uint8_t)seed;
        break;
    default: break;
    }
    return MOHS_OK;
}

/* ---- texts ---- */

static mohs_status apply_text(void *self, const struct mohs_texts *in,
                              struct mohs_text_sink *out, uint32_t severity,
                              uint64_t seed, struct mohs_error *err)
{
    int mode = ((struct params *)self)->mode;
    mohs_status st = MOHS_OK;
    (void)severity;
    (void)seed;
    for (uint32_t i = 0; i < in->n && st >= 0; i++) {
        if (mode == T_MISSING && i == 1)
            continue;
        if (mode == T_INVALID && *in->text[i])
            st = out->put(out, i, "\xc3", 1, err);
        else if (mode == T_EDITS)
            st = out->put(out, i, in->text[i], 1, err);
        else if (mode == T_BATCH && in->n > 1)
            st = out->put(out, i, "many", 1, err);
        else
            st = out->put(out, i, "one", 1, err);
        if (mode == T_TWICE && st >= 0)
            st = out->put(out, i, "one", 1, err);
    }
    return st;
}

/* ---- metrics: mean similarity of a text and its image ---- */

static const char *const columns[] = { "x" };
static const struct mohs_value values[] = { { "x", "mean", "", 1 },
                                            { "y", "again", "", 1 } };

static const char *const *get_columns(void *self, uint32_t *n)
{
    (void)self;
    *n = 1;
    return columns;
}

static const struct mohs_value *get_values(void *self, uint32_t *n)
{
    (void)self;
    *n = 2;
    return values;
}

static mohs_status measure(void *self, const struct mohs_eval *e,
                           struct mohs_samples *s, struct mohs_error *err)
{
    int mode = ((struct params *)self)->mode;
    mohs_status st = MOHS_OK;
    if (!e->owner)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "faulty: no captions");
    if (mode == M_ALLOC) {
        s->n_rows = 0;
        return MOHS_OK;
    }
    st = s->alloc(s, e->n_texts, e->n_images, err);
    for (uint32_t t = 0; t < e->n_texts && st >= 0; t++) {
        float x;
        st = e->similarity(e, e->owner[t], e->owner[t] + 1, t, t + 1, &x, err);
        s->value[t] = mode == M_ORDER ? (double)x * t : (double)x;
        s->cluster[t] = e->owner[t];
    }
    return st;
}

static mohs_status summarise(void *self, const struct mohs_samples *s,
                             const uint32_t *weight, double *out,
                             struct mohs_error *err)
{
    int mode = ((struct params *)self)->mode;
    double sum = 0, n = 0;
    (void)err;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double w = weight && mode != M_WEIGHTS ? weight[r] : 1;
        sum += w * s->value[r];
        n += w;
    }
    out[0] = mode == M_NAN ? NAN : sum / n;
    if (mode != M_UNWRITTEN)
        out[1] = sum / n;
    return MOHS_OK;
}

/* ---- attacks ---- */

static mohs_status loss_fn(void *user, uint32_t n, const uint32_t *sample,
                           uint32_t m, const float *out, float *loss,
                           float *dout, struct mohs_error *err)
{
    struct mohs_victim *v = user;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t p = v->positive[v->positive_first[sample[i]]];
        loss[i] = -out[i * m + p];
        for (uint32_t j = 0; dout && j < m; j++)
            dout[i * m + j] = j == p ? -1.0f : 0.0f;
    }
    return MOHS_OK;
}

struct attack_params {
    int32_t mode;
    float eps;
    int32_t norm;
};

static mohs_status attack_create(const struct mohs_host *host,
                                 const void *params, void **self,
                                 struct mohs_error *err)
{
    struct attack_params *s = malloc(sizeof *s);
    (void)host;
    if (!s)
        return mohs_fail(err, MOHS_E_NOMEM, "faulty: no memory");
    *s = *(const struct attack_params *)params;
    *self = s;
    return MOHS_OK;
}

static mohs_status run(void *self, struct mohs_victim *v, uint64_t seed,
                       struct mohs_error *err)
{
    const struct attack_params *p = self;
    struct mohs_site s = { .size = sizeof s };
    uint32_t sample[64];
    mohs_status st = v->site(v, "pixels", &s, err);
    if (st < 0 || (p->eps == 0 && p->mode != A_ZERO))
        return st;
    for (uint32_t i = 0; i < v->n; i++)
        sample[i] = i;
    st = v->pass(v, v->n, sample, MOHS_OUT_SCORES, loss_fn, v, NULL, 1, err);
    float eps = p->mode == A_BALL ? 2 * p->eps : p->eps;
    size_t one = (size_t)s.tokens * s.width;
    for (size_t k = 0; k < v->n * one && st >= 0; k++) {
        float d = s.grad[k] > 0 ? eps : -eps;
        float x = s.clean[k] + (p->mode == A_LOSS ? -d : d);
        x = x < s.lo ? s.lo : x > s.hi ? s.hi : x;
        s.delta[k] = x - s.clean[k];
    }
    for (size_t k = 0; p->mode == A_SEED && k < v->n * one; k += one)
        s.delta[k] = (float)(seed & 255) * 1e-6f;
    if (p->mode == A_ZERO)
        s.delta[1] = 1e-6f;
    else if (p->mode == A_RANGE)
        s.delta[0] = 2 - s.clean[0];
    else if (p->mode == A_BATCH)
        s.delta[0] = (float)v->n * 1e-4f;
    else if (p->mode == A_NAN)
        s.delta[0] = NAN;
    return st;
}

/* ---- attacks on texts ---- */

struct edit_params {
    int32_t mode, max_words;
};

static mohs_status edit_create(const struct mohs_host *host, const void *params,
                               void **self, struct mohs_error *err)
{
    struct edit_params *s = malloc(sizeof *s);
    (void)host;
    if (!s)
        return mohs_fail(err, MOHS_E_NOMEM, "faulty: no memory");
    *s = *(const struct edit_params *)params;
    *self = s;
    return MOHS_OK;
}

/* One word in front, or two, when that helps. */
static mohs_status edit_run(void *self, struct mohs_victim *v, uint64_t seed,
                            struct mohs_error *err)
{
    const struct edit_params *p = self;
    const struct mohs_victim_text *t = v->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    mohs_status st = MOHS_OK;
    (void)seed;
    if (!t)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "faulty: needs texts");
    if (p->mode == X_NOTHING || (p->max_words == 0 && p->mode != X_ZERO))
        return MOHS_OK;
    for (uint32_t i = 0; i < v->n && st >= 0; i++) {
        char text[256];
        const char *both[] = { t->text[i], text };
        uint32_t sample[] = { i, i };
        float loss[2];
        snprintf(text, sizeof text, "%s%s%s", p->mode == X_BATCH && v->n > 1 ? "b" : "a",
                 p->mode == X_BUDGET ? " red " : " ", t->text[i]);
        st = t->pass(v, 2, sample, both, MOHS_OUT_SCORES, loss_fn, v, loss, err);
        if (st >= 0 && (loss[1] > loss[0] || p->mode != X_FINE))
            st = t->set(v, i, text, err);
    }
    return st;
}

/* ---- tables ---- */

static const char *const norms[] = { "linf", NULL };
static const struct mohs_corruption_ops image_ops = { .size = sizeof image_ops,
                                                      .create = create,
                                                      .destroy = destroy,
                                                      .apply = apply };
static const struct mohs_corruption_ops random_ops = {
    .size = sizeof random_ops,
    .flags = MOHS_CORRUPTION_STOCHASTIC,
    .create = create,
    .destroy = destroy,
    .apply = apply
};
static const struct mohs_corruption_ops depth_ops = { .size = sizeof depth_ops,
                                                      .flags =
                                                          MOHS_CORRUPTION_DEPTH,
                                                      .create = create,
                                                      .destroy = destroy,
                                                      .apply = apply };
static const struct mohs_corruption_ops text_ops = { .size = sizeof text_ops,
                                                     .flags =
                                                         MOHS_CORRUPTION_TEXT,
                                                     .create = create,
                                                     .destroy = destroy,
                                                     .apply_text = apply_text };
static const struct mohs_metric_ops metric_ops = { .size = sizeof metric_ops,
                                                   .create = create,
                                                   .destroy = destroy,
                                                   .columns = get_columns,
                                                   .values = get_values,
                                                   .measure = measure,
                                                   .summarise = summarise };
static const struct mohs_attack_ops attack_ops = { .size = sizeof attack_ops,
                                                   .flags =
                                                       MOHS_ATTACK_GRADIENT,
                                                   .create = attack_create,
                                                   .destroy = free,
                                                   .run = run };

#define MODE(m)                                                           \
    {                                                                     \
        "mode", "which rule to break", MOHS_P_INT, 0, m, m, m, NULL, NULL \
    }
#define ITEM(name, k, m, o)                                               \
    static const struct mohs_param name##_table[] = { MODE(m) };          \
    static const struct mohs_item name = { .size = sizeof name,           \
                                           .param_stride =                \
                                               sizeof(struct mohs_param), \
                                           .kind = k,                     \
                                           .id = #name,                   \
                                           .summary = "broken",           \
                                           .params = name##_table,        \
                                           .n_params = 1,                 \
                                           .params_size =                 \
                                               sizeof(struct params),     \
                                           .ops = &o };
#define ATTACK(name, m)                                                        \
    static const struct mohs_param name##_table[] = {                          \
        MODE(m),                                                               \
        { "eps", "size", MOHS_P_FLOAT, offsetof(struct attack_params, eps),    \
          0.02, 0, 1, NULL, NULL },                                            \
        { "norm", "ball", MOHS_P_CHOICE, offsetof(struct attack_params, norm), \
          0, 0, 0, norms, NULL },                                              \
    };                                                                         \
    static const struct mohs_item name = { .size = sizeof name,                \
                                           .param_stride =                     \
                                               sizeof(struct mohs_param),      \
                                           .kind = MOHS_KIND_ATTACK,           \
                                           .id = #name,                        \
                                           .summary = "broken",                \
                                           .params = name##_table,             \
                                           .n_params = 3,                      \
                                           .params_size =                      \
                                               sizeof(struct attack_params),   \
                                           .ops = &attack_ops };
static const struct mohs_attack_ops edit_ops = { .size = sizeof edit_ops,
                                                 .flags = MOHS_ATTACK_TEXT,
                                                 .create = edit_create,
                                                 .destroy = free,
                                                 .run = edit_run };
#define EDITS(name, m)                                                         \
    static const struct mohs_param name##_table[] = {                          \
        MODE(m),                                                               \
        { "max_words", "words", MOHS_P_INT,                                    \
          offsetof(struct edit_params, max_words), 1, 0, 10, NULL, NULL },     \
    };                                                                         \
    static const struct mohs_item name = { .size = sizeof name,                \
                                           .param_stride =                     \
                                               sizeof(struct mohs_param),      \
                                           .kind = MOHS_KIND_ATTACK,           \
                                           .id = #name,                        \
                                           .summary = "broken",                \
                                           .params = name##_table,             \
                                           .n_params = 2,                      \
                                           .params_size =                      \
                                               sizeof(struct edit_params),     \
                                           .ops = &edit_ops };
#define IMAGE(name, m) ITEM(name, MOHS_KIND_CORRUPTION, m, image_ops)
#define TEXT(name, m) ITEM(name, MOHS_KIND_CORRUPTION, m, text_ops)
#define METRIC(name, m) ITEM(name, MOHS_KIND_METRIC, m, metric_ops)

IMAGE(c_fine, FINE)
IMAGE(c_overrun, OVERRUN)
IMAGE(c_overread, OVERREAD)
IMAGE(c_writes_input, WRITES_INPUT)
IMAGE(c_random, RANDOM)
IMAGE(c_unwritten, UNWRITTEN)
IMAGE(c_remembers, REMEMBERS)
IMAGE(c_mixes, MIXES)
ITEM(c_no_seed, MOHS_KIND_CORRUPTION, NO_SEED, random_ops)
ITEM(c_no_key, MOHS_KIND_CORRUPTION, NO_KEY, random_ops)
IMAGE(c_uses_seed, USES_SEED)
IMAGE(c_crashes, CRASHES)
IMAGE(c_crashes_late, CRASHES_LATE)
IMAGE(c_exits, EXITS)
IMAGE(c_hangs, HANGS)
IMAGE(c_mute, MUTE)
ITEM(c_no_depth, MOHS_KIND_CORRUPTION, NO_DEPTH, depth_ops)
IMAGE(c_shared, SHARED)
IMAGE(c_nothing, NOTHING)
IMAGE(c_keeps_params, KEEPS_PARAMS)
TEXT(t_invalid, T_INVALID)
TEXT(t_missing, T_MISSING)
TEXT(t_twice, T_TWICE)
TEXT(t_edits, T_EDITS)
TEXT(t_batch, T_BATCH)
METRIC(m_fine, FINE)
METRIC(m_weights, M_WEIGHTS)
METRIC(m_order, M_ORDER)
METRIC(m_alloc, M_ALLOC)
METRIC(m_unwritten, M_UNWRITTEN)
METRIC(m_nan, M_NAN)
ATTACK(a_fine, FINE)
ATTACK(a_ball, A_BALL)
ATTACK(a_zero, A_ZERO)
ATTACK(a_range, A_RANGE)
ATTACK(a_loss, A_LOSS)
ATTACK(a_batch, A_BATCH)
ATTACK(a_seed, A_SEED)
ATTACK(a_nan, A_NAN)
EDITS(x_fine, X_FINE)
EDITS(x_budget, X_BUDGET)
EDITS(x_zero, X_ZERO)
EDITS(x_batch, X_BATCH)
EDITS(x_nothing, X_NOTHING)

static const struct mohs_item *const items[] = {
    &c_fine,         &c_overrun,   &c_overread,  &c_writes_input,
    &c_random,       &c_unwritten, &c_remembers, &c_mixes,
    &c_no_seed,      &c_no_key,    &c_uses_seed, &c_crashes,
    &c_crashes_late, &c_exits,     &c_hangs,     &c_mute,
    &c_no_depth,     &c_shared,    &c_nothing,   &c_keeps_params,
    &t_invalid,      &t_missing,   &t_twice,     &t_edits,
    &t_batch,        &m_fine,      &m_weights,   &m_order,
    &m_alloc,        &m_unwritten, &m_nan,       &a_fine,
    &a_ball,         &a_zero,      &a_range,     &a_loss,
    &a_batch,        &a_seed,      &a_nan,       &x_fine,
    &x_budget,       &x_zero,      &x_batch,     &x_nothing,
    NULL
};
static const struct mohs_plugin plugin = { .size = sizeof plugin,
                                           .abi = MOHS_ABI,
                                           .id = "test.faulty",
                                           .name = "faulty",
                                           .version = "1.0",
                                           .license = "MIT",
                                           .items = items };

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
