/* SPDX-License-Identifier: MIT */
/* A healthy plugin: every parameter type, image and text corruptions. */
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>

struct params {
    int32_t n;
    float gain;
    int32_t flag, mode;
    const char *label;
    struct mohs_ints list;
};

static const char *const modes[] = { "linf", "l2", "l1", NULL };
static const struct mohs_param table[] = {
    { "n", "a count", MOHS_P_INT, offsetof(struct params, n), 3, 1, 9, NULL,
      NULL },
    { "gain", "a factor", MOHS_P_FLOAT, offsetof(struct params, gain), 0.5, 0,
      2, NULL, NULL },
    { "flag", "a switch", MOHS_P_BOOL, offsetof(struct params, flag), 1, 0, 1,
      NULL, NULL },
    { "mode", "a choice", MOHS_P_CHOICE, offsetof(struct params, mode), 1, 0, 0,
      modes, NULL },
    { "label", "a text", MOHS_P_STRING, offsetof(struct params, label), 0, 0, 0,
      NULL, "plain" },
    { "list", "a list", MOHS_P_INTS, offsetof(struct params, list), 0, 1, 99,
      NULL, "1,5,10" },
};

static mohs_status create(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err)
{
    (void)host;
    *self = malloc(sizeof(struct params));
    if (!*self)
        return mohs_fail(err, MOHS_E_NOMEM, "t_gain: no memory");
    memcpy(*self, params, sizeof(struct params));
    return MOHS_OK;
}

static mohs_status gain(void *self, const struct mohs_images *in,
                        struct mohs_images *out, uint32_t severity,
                        uint64_t seed, struct mohs_error *err)
{
    const struct params *p = self;
    (void)seed;
    (void)err;
    size_t n = (size_t)in->n * in->height * in->width * 3;
    float f = 1.0f - p->gain * (float)severity / 10.0f;
    for (size_t i = 0; i < n; i++)
        out->rgb[i] = (uint8_t)((float)in->rgb[i] * f);
    return MOHS_OK;
}

static mohs_status no_create(const struct mohs_host *host, const void *params,
                             void **self, struct mohs_error *err)
{
    (void)host;
    (void)params;
    (void)err;
    *self = NULL;
    return MOHS_OK;
}

static mohs_status noise(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err)
{
    (void)self;
    (void)err;
    size_t n = (size_t)in->height * in->width * 3;
    for (uint32_t i = 0; i < in->n; i++)
        for (size_t k = 0; k < n; k++) {
            float x =
                (float)in->rgb[i * n + k] +
                10.0f * (float)severity * mohs_rng_normal(seed, in->key[i], k);
            out->rgb[i * n + k] = x < 0 ? 0 : x > 255 ? 255 : (uint8_t)x;
        }
    return MOHS_OK;
}

/* Doubles the byte at a random place when that is an ASCII letter. */
static mohs_status twice(void *self, const struct mohs_texts *in,
                         struct mohs_text_sink *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err)
{
    (void)self;
    (void)severity;
    for (uint32_t i = 0; i < in->n; i++) {
        size_t n = strlen(in->text[i]);
        char *text = malloc(n + 2);
        if (!text)
            return mohs_fail(err, MOHS_E_NOMEM, "t_twice: no memory");
        memcpy(text, in->text[i], n + 1);
        size_t at = n ? mohs_rng_below(seed, in->key[i], 0, (uint32_t)n) : 0;
        int letter = n && ((text[at] | 32) >= 'a' && (text[at] | 32) <= 'z');
        if (letter)
            memmove(text + at + 1, in->text[i] + at, n - at + 1);
        mohs_status st = out->put(out, i, text, (uint32_t)letter, err);
        free(text);
        if (st < 0)
            return st;
    }
    return MOHS_OK;
}

static const struct mohs_corruption_ops gain_ops = {
    .size = sizeof gain_ops, .create = create, .destroy = free, .apply = gain
};
static const struct mohs_corruption_ops noise_ops = {
    .size = sizeof noise_ops,
    .flags = MOHS_CORRUPTION_STOCHASTIC,
    .create = no_create,
    .destroy = free,
    .apply = noise
};
static const struct mohs_corruption_ops twice_ops = {
    .size = sizeof twice_ops,
    .flags = MOHS_CORRUPTION_STOCHASTIC | MOHS_CORRUPTION_TEXT,
    .create = no_create,
    .destroy = free,
    .apply_text = twice
};

#define COMMON                        \
    .size = sizeof(struct mohs_item), \
    .param_stride = sizeof(struct mohs_param), .kind = MOHS_KIND_CORRUPTION
static const struct mohs_item t_noise = { COMMON, .id = "t_noise",
                                          .summary = "normal noise",
                                          .ops = &noise_ops };
static const struct mohs_item t_gain = {
    COMMON,          .id = "t_gain", .summary = "darker",
    .params = table, .n_params = 6,  .params_size = sizeof(struct params),
    .ops = &gain_ops
};
static const struct mohs_item t_twice = { COMMON, .id = "t_twice",
                                          .summary = "a doubled letter",
                                          .ops = &twice_ops };
static const struct mohs_item *const items[] = { &t_noise, &t_twice, &t_gain,
                                                 NULL };
static const struct mohs_plugin plugin = { .size = sizeof plugin,
                                           .abi = MOHS_ABI,
                                           .id = "test.good",
                                           .name = "good",
                                           .version = "1.0",
                                           .license = "MIT",
                                           .items = items };

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
