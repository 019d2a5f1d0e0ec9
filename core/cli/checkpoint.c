/* SPDX-License-Identifier: MIT */
/* mohs info FILE: which model a checkpoint is, and what it holds. */
#include "config.h"

#include "cli/items.h"
#include "model/model.h"

#include <string.h>

/* The plugin that is surest about w, as encoder_open() chooses. */
static const struct item *surest(struct registry *r,
                                 const struct mohs_weights *w)
{
    const struct item *it, *best = NULL;
    int32_t most = 0;
    for (size_t i = 0; (it = registry_item(r, MOHS_KIND_MODEL, i)); i++) {
        const struct mohs_model_ops *ops = it->item->ops;
        int32_t sure = ops->probe(registry_host(r), w);
        scratch_reset();
        if (sure > most) {
            most = sure;
            best = it;
        }
    }
    return best;
}

static void count(const struct mohs_weights *w, uint64_t *tensors,
                  uint64_t *numbers)
{
    const char *name;
    uint32_t dims[5];
    *tensors = *numbers = 0;
    for (uint32_t i = 0; (name = weights_api.name(w, i)); i++) {
        int32_t n = weights_api.shape(w, name, dims);
        uint64_t size = 1;
        for (int32_t k = 0; k < n; k++)
            size *= dims[k];
        ++*tensors;
        *numbers += size;
    }
}

static void add_text(struct str *b, const struct mohs_weights *w,
                     const struct item *it, const struct mohs_model_info *m)
{
    uint64_t tensors, numbers;
    char hash[33];
    count(w, &tensors, &numbers);
    hash_hex(weights_hash(w), hash);
    str_addf(b, "checkpoint %s\n  model %s (%s)\n", weights_path(w),
             it->item->id, it->item->summary);
    str_addf(b, "  %llu tensors, %llu numbers, hash %s\n",
             (unsigned long long)tensors, (unsigned long long)numbers, hash);
    if (m->towers & MOHS_TOWER_IMAGE)
        str_addf(b, "  images %ux%u\n", m->image_width, m->image_height);
    if (m->towers & MOHS_TOWER_TEXT)
        str_addf(b, "  texts of %u tokens, %u words\n", m->context_length,
                 m->vocab_size);
    if (m->flags & MOHS_MODEL_CLASSIFIER)
        str_addf(b, "  a classifier of %u classes\n  taps", m->embed_dim);
    else
        str_addf(b, "  embeddings of %u, logit scale %g, bias %g\n  taps",
                 m->embed_dim, (double)m->logit_scale, (double)m->logit_bias);
    for (size_t i = 0; m->taps && m->taps[i]; i++)
        str_addf(b, " %s", m->taps[i]);
    str_add(b, "\n");
}

static void add_json(struct str *b, const struct mohs_weights *w,
                     const struct item *it, const struct mohs_model_info *m)
{
    uint64_t tensors, numbers;
    char hash[33];
    count(w, &tensors, &numbers);
    hash_hex(weights_hash(w), hash);
    str_add(b, "{\"path\": ");
    str_add_json(b, weights_path(w));
    str_addf(
        b,
        ", \"kind\": \"checkpoint\", \"model\": \"%s\", \"hash\": \"%s\", "
        "\"tensors\": %llu, \"numbers\": %llu, \"image_width\": %u, "
        "\"image_height\": %u, \"context_length\": %u, \"vocab_size\": %u, "
        "\"embed_dim\": %u, \"logit_scale\": %.9g, \"logit_bias\": %.9g, "
        "\"classifier\": %s, \"taps\": [",
        it->item->id, hash, (unsigned long long)tensors,
        (unsigned long long)numbers, m->image_width, m->image_height,
        m->context_length, m->vocab_size, m->embed_dim, (double)m->logit_scale,
        (double)m->logit_bias, m->flags & MOHS_MODEL_CLASSIFIER ? "true" : "false");
    for (size_t i = 0; m->taps && m->taps[i]; i++) {
        str_add(b, i ? ", " : "");
        str_add_json(b, m->taps[i]);
    }
    str_add(b, "]}\n");
}

mohs_status checkpoint_add(struct str *b, struct registry *r, const char *path,
                           bool json, struct mohs_error *err)
{
    struct mohs_weights *w = NULL;
    void *params = NULL, *self = NULL;
    const struct mohs_model_ops *ops = NULL;
    mohs_status st;
    OUT_IF_ERR(weights_open(path, &w, err));
    const struct item *it = surest(r, w);
    if (!it) {
        st = mohs_fail(err, MOHS_E_PLUGIN,
                       "%s: no model plugin reads this "
                       "checkpoint",
                       path);
        goto out;
    }
    ops = it->item->ops;
    params = item_params_new(it);
    st = ops->create(registry_host(r), params, w, &self, err);
    scratch_reset();
    if (st < 0) {
        ops = NULL; // nothing to destroy
        goto out;
    }
    (json ? add_json : add_text)(b, w, it, ops->info(self));
out:
    if (ops)
        ops->destroy(self);
    if (params)
        item_params_free(it, params);
    weights_close(w);
    return st;
}
