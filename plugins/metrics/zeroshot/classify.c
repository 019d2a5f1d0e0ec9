/* SPDX-License-Identifier: MIT */
/* Tiles of class scores, and the outcome of each of their rows. */
#include "classify.h"

#include <math.h>
#include <stdlib.h>

#include <mohs/rng.h>

enum { TILE_FLOATS = 4 << 20, FOR_TIES = 0x2E05 };

double outcome_hit(const struct outcome *o, uint32_t k)
{
    if (o->above >= k)
        return 0;
    return fmin(1, ((double)k - o->above) / o->equal);
}

/* The best class; one of several by the image's number, so that the order of
 * classes decides nothing. */
static uint32_t best_class(const float *s, uint32_t n, uint32_t image)
{
    uint32_t best = 0, ties = 1;
    for (uint32_t j = 1; j < n; j++) {
        if (s[j] > s[best]) {
            best = j;
            ties = 1;
        } else {
            ties += s[j] == s[best];
        }
    }
    uint32_t j = best, skip = ties > 1 ? mohs_rng_below(FOR_TIES, image, 0, ties) : 0;
    for (; skip; skip -= s[j] == s[best])
        j++;
    return j;
}

/* s[0..n): scores of the classes. */
static void judge(const struct mohs_eval *e, const float *s, uint32_t image,
                  struct outcome *o)
{
    uint32_t n = e->n_texts, label = e->label[image];
    double scale = e->logit_scale, sum = 0, other = -INFINITY;
    *o = (struct outcome) { .label = label, .probability = NAN, .margin = NAN };
    o->predicted = best_class(s, n, image);
    float top = s[o->predicted];
    for (uint32_t j = 0; j < n; j++)
        sum += exp(scale * ((double)s[j] - top));
    o->confidence = 1 / sum;
    if (label == UINT32_MAX)
        return;
    for (uint32_t j = 0; j < n; j++) {
        o->above += s[j] > s[label];
        o->equal += s[j] == s[label];
        if (j != label && s[j] > other)
            other = s[j];
    }
    o->probability = exp(scale * ((double)s[label] - top)) / sum;
    if (n > 1)
        o->margin = s[label] - other;
}

static mohs_status check(const struct mohs_eval *e, const char *who,
                         struct mohs_error *err)
{
    if (!e->label)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: the texts are no classes; a cell with prompts has such",
                         who);
    if (!e->n_images || !e->n_texts)
        return mohs_fail(err, MOHS_E_ARG, "%s: %u images and %u classes", who,
                         e->n_images, e->n_texts);
    for (uint32_t i = 0; i < e->n_images; i++)
        if (e->label[i] != UINT32_MAX && e->label[i] >= e->n_texts)
            return mohs_fail(err, MOHS_E_ARG, "%s: image %u is of class %u of %u", who, i,
                             e->label[i], e->n_texts);
    return MOHS_OK;
}

mohs_status classify(const struct mohs_eval *e, const char *who, outcome_fn fn,
                     void *user, struct mohs_error *err)
{
    mohs_status st = check(e, who, err);
    if (st < 0)
        return st;
    uint32_t n = e->n_texts, rows = TILE_FLOATS / n;
    rows = rows ? rows < e->n_images ? rows : e->n_images : 1;
    float *tile = malloc((size_t)rows * n * sizeof *tile);
    if (!tile)
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u x %u", who, rows, n);
    for (uint32_t i = 0; i < e->n_images && st >= 0; i += rows) {
        uint32_t end = e->n_images - i < rows ? e->n_images : i + rows;
        st = e->similarity(e, i, end, 0, n, tile, err);
        for (uint32_t k = i; k < end && st >= 0; k++) {
            const float *s = tile + (size_t)(k - i) * n;
            struct outcome o;
            uint32_t odd = 0;
            for (uint32_t j = 0; j < n; j++)
                odd += s[j] != s[j];
            if (odd) {
                st = mohs_fail(err, MOHS_E_NUMERIC,
                               "%s: similarities of image %u are not numbers", who, k);
                break;
            }
            judge(e, s, k, &o);
            st = fn(user, k, &o);
        }
    }
    free(tile);
    return st;
}

static const struct mohs_item *const items[] = { &zeroshot_item, &factors_item, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.zeroshot",
    .name = "Classification",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
