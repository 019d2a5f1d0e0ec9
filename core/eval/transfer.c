/* SPDX-License-Identifier: MIT */
/*
 * What an attack did before one model, done to another: texts as they are,
 * pixels on the other's grid. The two models have to see the same part of a
 * picture; where their sizes differ the perturbation is resampled with a
 * triangle filter, whose weights sum to 1, so that no entry grows (l2 and l1
 * norms scale with the number of pixels).
 */
#include "config.h"

#include "eval/victim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- geometry ---- */

enum geometry geometry_of(const struct preprocess *a, const struct preprocess *b)
{
    bool edge = a->resize_shortest != 0, squash = !edge && a->resize_height != 0;
    bool b_edge = b->resize_shortest != 0, b_squash = !b_edge && b->resize_height != 0;
    bool same = a->height == b->height && a->width == b->width &&
                a->resize_shortest == b->resize_shortest &&
                a->resize_height == b->resize_height &&
                a->resize_width == b->resize_width && a->center_crop == b->center_crop;
    if (same)
        return GEOMETRY_SAME;
    if (edge != b_edge || squash != b_squash || (!edge && !squash))
        return GEOMETRY_OTHER;
    // the share of the resized picture that is left, on either axis
    double ah = edge ? a->resize_shortest : a->resize_height;
    double aw = edge ? a->resize_shortest : a->resize_width;
    double bh = edge ? b->resize_shortest : b->resize_height;
    double bw = edge ? b->resize_shortest : b->resize_width;
    bool alike = fabs(a->height / ah - b->height / bh) < 1e-6 &&
                 fabs(a->width / aw - b->width / bw) < 1e-6;
    return alike ? GEOMETRY_RESAMPLED : GEOMETRY_OTHER;
}

const char *geometry_name(enum geometry g)
{
    static const char *const names[] = { "same", "resampled", "other" };
    return names[g];
}

/* One row or column: n_in numbers `from` apart by step to n_out. */
static void resample_line(const float *in, size_t in_step, uint32_t n_in, float *out,
                          size_t out_step, uint32_t n_out)
{
    double scale = (double)n_in / n_out, support = scale > 1 ? scale : 1;
    for (uint32_t i = 0; i < n_out; i++) {
        double center = (i + 0.5) * scale, sum = 0, weights = 0;
        int64_t first = (int64_t)floor(center - support), last = (int64_t)ceil(center + support);
        for (int64_t k = first < 0 ? 0 : first; k < last && k < n_in; k++) {
            double w = 1 - fabs((double)k + 0.5 - center) / support;
            if (w <= 0)
                continue;
            sum += w * (double)in[(size_t)k * in_step];
            weights += w;
        }
        out[i * out_step] = (float)(weights > 0 ? sum / weights : 0);
    }
}

static void resample_plane(const float *in, uint32_t h, uint32_t w, float *out, uint32_t oh,
                           uint32_t ow, float *between)
{
    for (uint32_t y = 0; y < h; y++)
        resample_line(in + (size_t)y * w, 1, w, between + (size_t)y * ow, 1, ow);
    for (uint32_t x = 0; x < ow; x++)
        resample_line(between + x, ow, h, out + x, ow, oh);
}

/* ---- pixels ---- */

static mohs_status pixels(const struct preprocess *one, const struct mohs_site *from,
                          const struct preprocess *two, struct mohs_victim *to,
                          struct mohs_error *err)
{
    struct mohs_site s = { .size = sizeof s };
    RET_IF_ERR(to->site(to, "pixels", &s, err));
    bool same = geometry_of(one, two) == GEOMETRY_SAME;
    float *between = try_calloc((size_t)one->height, two->width * sizeof *between,
                                "a perturbation", err);
    if (!between)
        return MOHS_E_NOMEM;
    for (size_t k = 0; k < (size_t)to->n * 3; k++) {
        const float *in = from->delta + k * from->width;
        float *out = s.delta + k * s.width;
        if (same)
            memcpy(out, in, s.width * sizeof *out);
        else
            resample_plane(in, one->height, one->width, out, two->height, two->width,
                           between);
    }
    for (size_t k = 0; k < (size_t)to->n * 3 * s.width; k++) {
        float d = s.delta[k], x = s.clean[k];
        d = d > s.hi - x ? s.hi - x : d < s.lo - x ? s.lo - x : d;
        while (d != 0 && (x + d > s.hi || x + d < s.lo))
            d = nextafterf(d, 0);
        s.delta[k] = d;
    }
    free(between);
    return MOHS_OK;
}

/* ---- texts ---- */

static mohs_status texts_over(struct mohs_victim *from, struct mohs_victim *to,
                              struct mohs_error *err)
{
    const struct mohs_victim_text *t = to->get_extension(to, MOHS_EXT_VICTIM_TEXT);
    for (uint32_t i = 0; i < to->n; i++)
        RET_IF_ERR(t->set(to, i, victim_text(from, i), err));
    return MOHS_OK;
}

mohs_status victim_transfer(const struct encoder *from_model, struct mohs_victim *from,
                            const struct encoder *to_model, struct mohs_victim *to,
                            bool texts, struct mohs_error *err)
{
    const struct preprocess *one = encoder_preprocess(from_model);
    const struct preprocess *two = encoder_preprocess(to_model);
    const struct mohs_site *s;
    if (texts)
        return texts_over(from, to, err);
    if (geometry_of(one, two) == GEOMETRY_OTHER)
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "surrogate: %s (%ux%u) sees another part of a picture than %s "
                         "(%ux%u)", encoder_path(from_model), one->width, one->height,
                         encoder_path(to_model), two->width, two->height);
    for (size_t k = 0; (s = victim_site(from, k)); k++) {
        if (strcmp(s->tap, "pixels"))
            return mohs_fail(err, MOHS_E_UNSUPPORTED,
                             "surrogate: tap %s of one model is nothing to another; only "
                             "pixels and texts are handed over", s->tap);
        RET_IF_ERR(pixels(one, s, two, to, err));
    }
    return MOHS_OK;
}
