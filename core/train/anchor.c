/* SPDX-License-Identifier: MIT */
/*
 * What fine-tuning of the image tower holds on to: the embeddings of class
 * prompts (TeCoA), or those of the model at the start (FARE).
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/trainer.h"

/* Prompts c .. c + m as the texts of a batch. */
static mohs_status put_prompts(struct trainer *t, struct batch *b, size_t c, uint32_t m,
                               struct mohs_error *err)
{
    const struct train_options *o = t->o;
    const char *gap = strstr(o->prompt, "{}");
    uint32_t context = t->s.context;
    for (uint32_t k = 0; k < m; k++) {
        uint32_t last;
        char *text = xasprintf("%.*s%s%s", (int)(gap - o->prompt), o->prompt,
                               o->data->classes[c + k], gap + 2);
        mohs_status st = tokenizer_encode(t->tokenizer, text, strlen(text), context,
                                          b->tokens + (size_t)k * context, &last, err);
        free(text);
        RET_IF_ERR(st);
        b->last[k] = (int32_t)last;
        for (uint32_t i = 0; i < context; i++)
            b->mask[k * context + i] = i <= last;
    }
    return MOHS_OK;
}

static mohs_status embed_prompts(struct trainer *t, struct mohs_error *err)
{
    struct anchor *a = &t->anchor;
    uint32_t n = t->o->batch, dim = t->s.ops->info(t->s.model)->embed_dim;
    size_t classes = t->o->data->n_classes;
    struct batch_victim *text = NULL;
    struct batch b = { 0 };
    const float *rows;
    mohs_status st;
    a->prompts = try_calloc(classes, dim * sizeof *a->prompts, "class prompts", err);
    if (!a->prompts)
        return MOHS_E_NOMEM;
    OUT_IF_ERR(batch_alloc(&b, n, &t->pre, t->s.context, err));
    OUT_IF_ERR(batch_victim_new(&a->s, MOHS_TOWER_TEXT, &text, err));
    for (size_t c = 0; c < classes; c += n) {
        uint32_t m = classes - c < n ? (uint32_t)(classes - c) : n;
        OUT_IF_ERR(put_prompts(t, &b, c, m, err));
        OUT_IF_ERR(batch_victim_load(text, &b, false, &rows, err));
        memcpy(a->prompts + c * dim, rows, (size_t)m * dim * sizeof *rows);
    }
out:
    batch_victim_free(text);
    batch_free(&b);
    return st;
}

mohs_status anchor_open(struct trainer *t, struct mohs_error *err)
{
    struct anchor *a = &t->anchor;
    float scale;
    if (train_pairs(t->o))
        return MOHS_OK;
    a->s = t->s;
    a->s.n_taps = 0;
    RET_IF_ERR(params_read(t->s.params, "logit_scale", &scale, 1, err));
    t->s.scale = expf(scale);
    if (t->o->loss == TRAIN_TECOA) {
        RET_IF_ERR(embed_prompts(t, err));
        t->s.prompts = a->prompts;
        return MOHS_OK;
    }
    a->s.params = t->frozen;
    return batch_victim_new(&a->s, MOHS_TOWER_IMAGE, &a->model, err);
}

mohs_status anchor_next(struct trainer *t, struct mohs_error *err)
{
    struct anchor *a = &t->anchor;
    return a->model ? batch_victim_load(a->model, t->batch, true, &a->rows, err) : MOHS_OK;
}

void anchor_free(struct anchor *a)
{
    batch_victim_free(a->model);
    free(a->prompts);
}

mohs_status trainer_load(struct trainer *t, struct step_graph *g, enum step_kind kind,
                         struct mohs_error *err)
{
    return step_graph_write(&t->s, g, kind, t->batch, t->anchor.rows, err);
}
