/* SPDX-License-Identifier: MIT */
/* Embeds the held-out pairs and counts first places. */
#include "config.h"

#include "train/validate.h"

#include <stdlib.h>
#include <string.h>

mohs_status holdout_init(struct holdout *h, const struct train_options *o,
                         const struct preprocess *p, const struct tokenizer *t,
                         uint32_t context, struct pool *pool, struct mohs_error *err)
{
    const struct dataset *d = o->validate;
    memset(h, 0, sizeof *h);
    if (!d)
        return MOHS_OK;
    h->data = d;
    h->n = o->validate_limit && o->validate_limit < d->n_images ? o->validate_limit
                                                                : d->n_images;
    RET_IF_ERR(pictures_new(d, h->n, p, o->data_bytes, pool, &h->pictures, err));
    return captions_new(d, h->n, true, t, context, pool, &h->captions, err);
}

void holdout_free(struct holdout *h)
{
    pictures_free(h->pictures);
    captions_free(&h->captions);
    step_graph_free(&h->graph);
    batch_free(&h->batch);
}

/* Pairs i .. i + m into the batch; the rest of it keeps what was there. */
static mohs_status fill(struct holdout *h, const struct stepper *s, size_t i, uint32_t m,
                        struct mohs_error *err)
{
    const struct captions *c = &h->captions;
    uint32_t pixels = s->pre->height * s->pre->width;
    uint8_t *rgb = xmalloc((size_t)pixels * 3);
    mohs_status st = MOHS_OK;
    for (uint32_t k = 0; st >= 0 && k < m; k++) {
        uint32_t text = c->text[c->first[i + k]];
        st = pictures_get(h->pictures, i + k, rgb, err);
        if (st >= 0)
            planes(rgb, pixels, h->batch.pixels + (size_t)k * 3 * pixels);
        memcpy(h->batch.tokens + (size_t)k * s->context,
               c->ids + (size_t)text * c->context, s->context * sizeof *c->ids);
        h->batch.last[k] = c->last[text];
    }
    free(rgb);
    return st;
}

static mohs_status embed(struct holdout *h, const struct stepper *s, float *image,
                         float *text, struct mohs_error *err)
{
    uint32_t b = s->o->batch, dim = s->ops->info(s->model)->embed_dim;
    float *room = xcalloc((size_t)b * dim, sizeof *room);
    mohs_status st = MOHS_OK;
    for (size_t i = 0; i < h->n; i += b) {
        uint32_t m = h->n - i < b ? (uint32_t)(h->n - i) : b;
        OUT_IF_ERR(fill(h, s, i, m, err));
        OUT_IF_ERR(step_graph_write(s, &h->graph, STEP_EMBED, &h->batch, NULL, err));
        OUT_IF_ERR(graph_run(h->graph.graph, err));
        OUT_IF_ERR(tensor_read(h->graph.image, room, err));
        memcpy(image + i * dim, room, (size_t)m * dim * sizeof *room);
        OUT_IF_ERR(tensor_read(h->graph.text, room, err));
        memcpy(text + i * dim, room, (size_t)m * dim * sizeof *room);
    }
out:
    free(room);
    return st;
}

static float dot(const float *a, const float *b, uint32_t n)
{
    float s[8] = { 0 };
    uint32_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int j = 0; j < 8; j++)
            s[j] += a[k + (uint32_t)j] * b[k + (uint32_t)j];
    for (; k < n; k++)
        s[0] += a[k] * b[k];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* Expected share of rows of a whose own row of b comes first. */
static double recall(const float *a, const float *b, size_t n, uint32_t dim)
{
    double hits = 0;
    for (size_t i = 0; i < n; i++) {
        float own = dot(a + i * dim, b + i * dim, dim);
        size_t above = 0, equal = 0;
        for (size_t j = 0; j < n; j++) {
            float x = dot(a + i * dim, b + j * dim, dim);
            above += x > own;
            equal += x == own;
        }
        hits += above || !equal ? 0 : 1.0 / (double)equal;
    }
    return 100 * hits / (double)n;
}

mohs_status holdout_measure(struct holdout *h, const struct stepper *s, struct params *p,
                            double *i2t, double *t2i, struct mohs_error *err)
{
    uint32_t dim = s->ops->info(s->model)->embed_dim;
    if (!h->graph.graph) {
        RET_IF_ERR(step_graph_new(s, p, STEP_EMBED, &h->graph, err));
        RET_IF_ERR(batch_alloc(&h->batch, s->o->batch, s->pre, s->context, err));
    }
    float *image = try_calloc(h->n, dim * sizeof *image, "validation", err);
    float *text = try_calloc(h->n, dim * sizeof *text, "validation", err);
    mohs_status st = image && text ? embed(h, s, image, text, err) : MOHS_E_NOMEM;
    if (st >= 0) {
        *i2t = recall(image, text, h->n, dim);
        *t2i = recall(text, image, h->n, dim);
    }
    free(image);
    free(text);
    return st;
}
