/* SPDX-License-Identifier: MIT */
/* Metrics that ask for scores of pairs, broken in one way each. */
#include "config.h"

#include <string.h>

#include <mohs/ext/pair_scores.h>
#include <mohs/plugin.h>

#include "faulty.h"

enum { FINE, SILENT, AGAIN, STUBBORN, BLIND, REQUIRES, STILL };
enum { IMAGES_MAX = 64, SCORES_MAX = MOHS_PAIR_SCORES_MAX };

struct params {
    int32_t mode;
};
static struct params modes[8];

static int mode_of(void *self)
{
    return ((struct params *)self)->mode;
}

static mohs_status create(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err)
{
    const struct params *p = params;
    (void)host;
    (void)err;
    modes[p->mode] = *p;
    *self = &modes[p->mode];
    return MOHS_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static const char *const *columns(void *self, uint32_t *n)
{
    static const char *const names[] = { "match" };
    (void)self;
    *n = 1;
    return names;
}

static const struct mohs_value *values(void *self, uint32_t *n)
{
    static const struct mohs_value v = { "match", "mean logit of true pairs", "", 1 };
    (void)self;
    *n = 1;
    return &v;
}

static uint64_t need(void *self, uint32_t n_images, uint32_t n_texts)
{
    (void)self;
    (void)n_texts;
    return n_images;
}

/* The match of every image with its first text. */
static mohs_status measure(void *self, const struct mohs_eval *e,
                           struct mohs_samples *s, struct mohs_error *err)
{
    int mode = mode_of(self);
    uint32_t image[IMAGES_MAX], text[IMAGES_MAX], n = e->n_images;
    float score[IMAGES_MAX * SCORES_MAX] = { 0 };
    if (!e->owner)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "metric: no captions");
    if (!e->pair_scores && mode != REQUIRES)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "metric: no matching head");
    for (uint32_t i = 0; i < n; i++) {
        image[i] = i;
        text[i] = 2 * i;
    }
    for (int round = 0; round < 1 + (mode == AGAIN); round++) {
        mohs_status st = mode == STILL || !e->pair_scores
                             ? MOHS_OK
                             : e->pair_scores(e, n, image, text, score, err);
        if (st < 0 && mode != STUBBORN)
            return st;
    }
    mohs_status st = s->alloc(s, n, n, err);
    if (st < 0)
        return st;
    for (uint32_t i = 0; i < n; i++) {
        s->cluster[i] = i;
        s->value[i] = mode == BLIND ? 1
                                    : (double)score[i * e->n_pair_scores + e->pair_match];
    }
    return MOHS_OK;
}

static mohs_status summarise(void *self, const struct mohs_samples *s,
                             const uint32_t *weight, double *out,
                             struct mohs_error *err)
{
    double sum = 0, all = 0;
    (void)self;
    (void)err;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double w = weight ? weight[r] : 1;
        sum += w * s->value[r];
        all += w;
    }
    *out = sum / all;
    return MOHS_OK;
}

static const void *extension(void *self, const char *id)
{
    static const struct mohs_pair_need pairs = { sizeof pairs, need };
    return mode_of(self) == SILENT || strcmp(id, MOHS_EXT_PAIR_NEED) ? NULL : &pairs;
}

static const struct mohs_metric_ops ops = { .size = sizeof ops,
                                            .create = create,
                                            .destroy = destroy,
                                            .columns = columns,
                                            .values = values,
                                            .measure = measure,
                                            .summarise = summarise,
                                            .get_extension = extension };

#define METRIC(name, m) FAULTY(name, MOHS_KIND_METRIC, m, ops)
METRIC(m_fine, FINE)
METRIC(m_silent, SILENT)
METRIC(m_again, AGAIN)
METRIC(m_stubborn, STUBBORN)
METRIC(m_blind, BLIND)
METRIC(m_requires, REQUIRES)
METRIC(m_still, STILL)

static const struct mohs_item *const items[] = {
    &m_fine, &m_silent, &m_again, &m_stubborn, &m_blind, &m_requires, &m_still, NULL
};
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "test.faulty_metric",
    .name = "faulty_metric",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
