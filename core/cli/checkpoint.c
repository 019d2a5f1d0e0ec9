/* SPDX-License-Identifier: MIT */
/*
 * mohs info FILE: what a checkpoint is and holds, which model it is, and when
 * it is none that a plugin knows, what each plugin misses.
 */
#include "config.h"

#include "cli/items.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

/* What was found out about one file. */
struct found {
    struct registry *r;
    struct mohs_weights *w;
    struct weights_summary sum;
    const struct item *item; /* NULL: no plugin takes it */
    const struct mohs_model_ops *ops;
    void *params, *self;
    const struct mohs_model_info *info;
    struct preprocess pre;
    struct tokenizer *tokenizer;
    uint64_t used;       /* numbers that the model takes */
    char *renamed;       /* "own name" is "name in the file", or NULL */
    struct mohs_error pre_err, tok_err;
};

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

/* Why a plugin does not take the weights, the path left out; "" when it
 * would. Valid as long as *why. */
static const char *reason(struct registry *r, const struct item *it,
                          const struct mohs_weights *w, struct mohs_error *why)
{
    size_t n = strlen(weights_path(w));
    const struct mohs_model_ops *ops = it->item->ops;
    void *params = item_params_new(it), *self = NULL;
    *why = (struct mohs_error) MOHS_ERROR_INIT;
    if (ops->create(registry_host(r), params, w, &self, why) >= 0)
        ops->destroy(self);
    scratch_reset();
    item_params_free(it, params);
    return !strncmp(why->text, weights_path(w), n) && why->text[n] == ':'
               ? why->text + n + 2 : why->text;
}

static mohs_status note_param(void *user, const struct mohs_weight_spec *s,
                              struct mohs_error *err)
{
    struct found *f = user;
    uint64_t n = 1;
    (void)err;
    for (uint32_t i = 0; i < s->n_dims; i++)
        n *= s->dims[i];
    f->used += n;
    if (!f->renamed && MOHS_HAS(struct mohs_weight_spec, s, source) &&
        strcmp(s->source, s->name))
        f->renamed = xasprintf("%s is %s", s->source, s->name);
    return MOHS_OK;
}

/* Preprocessing and tokenizer may be missing or wrong: that is said, the rest
 * is shown. */
static mohs_status look(struct found *f, struct mohs_error *err)
{
    f->ops = f->item->item->ops;
    f->params = item_params_new(f->item);
    mohs_status st = f->ops->create(registry_host(f->r), f->params, f->w,
                                    &f->self, err);
    scratch_reset();
    if (st < 0) {
        f->self = NULL;
        return st;
    }
    f->info = f->ops->info(f->self);
    st = f->ops->describe(f->self, note_param, f, err);
    if (f->info->towers & MOHS_TOWER_IMAGE)
        preprocess_from(f->w, f->info, &f->pre, &f->pre_err);
    if ((f->info->towers & MOHS_TOWER_TEXT) && weights_tokenizer(f->w))
        tokenizer_open(f->w, &f->tokenizer, &f->tok_err);
    return st;
}

static void let_go(struct found *f)
{
    tokenizer_free(f->tokenizer);
    if (f->self)
        f->ops->destroy(f->self);
    if (f->params)
        item_params_free(f->item, f->params);
    free(f->renamed);
    weights_close(f->w);
}

/* ---- for people -------------------------------------------------------- */

static void add_blocks(struct str *b, const struct mohs_model_info *m,
                       const char *side)
{
    uint32_t n = 0;
    size_t len = strlen(side);
    for (size_t i = 0; m->taps && m->taps[i]; i++)
        n += !strncmp(m->taps[i], side, len) &&
             !strncmp(m->taps[i] + len, ".block.", 7);
    if (n)
        str_addf(b, ", %u blocks", n);
    str_add(b, "\n");
}

static void add_file(struct str *b, const struct found *f)
{
    const struct weights_summary *s = &f->sum;
    char hash[33];
    hash_hex(weights_hash(f->w), hash);
    str_addf(b, "checkpoint %s\n  format %s", weights_path(f->w),
             s->format ? s->format : "none");
    if (s->files > 1)
        str_addf(b, " in %llu files", (unsigned long long)s->files);
    str_addf(b, "\n  %llu tensors, %llu numbers, %.1f MB, hash %s\n",
             (unsigned long long)s->tensors, (unsigned long long)s->numbers,
             (double)s->bytes / 1e6, hash);
    if (s->tensors)
        str_addf(b, "  types %s\n", s->dtypes);
    if (weights_api.name(f->w, 0))
        str_addf(b, "  names like %s\n", weights_api.name(f->w, 0));
    str_addf(b, "  configuration %s\n",
             s->config_from ? s->config_from : "none: read from the tensors");
}

static void add_pre(struct str *b, const struct found *f)
{
    const struct preprocess *p = &f->pre;
    if (f->pre_err.status < 0) {
        str_addf(b, "  preprocessing: %s\n", f->pre_err.text);
        return;
    }
    str_addf(b, "  preprocessing %s, %s, ", p->profile,
             image_filter_name(p->filter));
    if (p->resize_shortest)
        str_addf(b, "shorter edge to %u, ", p->resize_shortest);
    else if (p->resize_height)
        str_addf(b, "%s %ux%u, ",
                 p->keep_shape == 2 ? "within" : p->keep_shape ? "filling"
                                                               : "squashed to",
                 p->resize_width, p->resize_height);
    if (p->center_crop)
        str_addf(b, "centre %ux%u, ", p->width, p->height);
    str_addf(b, "mean %.4g %.4g %.4g, deviation %.4g %.4g %.4g%s\n",
             (double)p->mean[0], (double)p->mean[1], (double)p->mean[2],
             (double)p->std[0], (double)p->std[1], (double)p->std[2],
             p->assumed ? " (the family's: no preprocessor_config.json)" : "");
}

static void add_tokenizer(struct str *b, const struct found *f)
{
    if (f->tok_err.status < 0)
        str_addf(b, "  tokenizer: %s\n", f->tok_err.text);
    else if (f->tokenizer)
        str_addf(b, "  tokenizer %s as in %s, %u entries, context %u\n",
                 tokenizer_kind(f->tokenizer), tokenizer_profile(f->tokenizer),
                 tokenizer_size(f->tokenizer),
                 tokenizer_context(f->tokenizer)
                     ? tokenizer_context(f->tokenizer)
                     : f->info->context_length);
    else
        str_add(b, "  tokenizer none beside it: texts cannot be encoded\n");
}

static void add_model(struct str *b, const struct found *f)
{
    const struct mohs_model_info *m = f->info;
    str_addf(b, "  model %s (%s)\n", f->item->item->id, f->item->item->summary);
    if (f->renamed)
        str_addf(b, "  in it %s\n", f->renamed);
    if (f->used != f->sum.numbers && f->sum.tensors)
        str_addf(b, "  it takes %llu numbers\n", (unsigned long long)f->used);
    if (m->towers & MOHS_TOWER_IMAGE) {
        str_addf(b, "  images %ux%u", m->image_width, m->image_height);
        add_blocks(b, m, "image");
    }
    if (m->towers & MOHS_TOWER_TEXT) {
        str_addf(b, "  texts of %u tokens, %u words", m->context_length,
                 m->vocab_size);
        add_blocks(b, m, "text");
    }
    str_addf(b, "  embeddings of %u, logit scale %g, bias %g\n", m->embed_dim,
             (double)m->logit_scale, (double)m->logit_bias);
    if (m->towers & MOHS_TOWER_IMAGE)
        add_pre(b, f);
    if (m->towers & MOHS_TOWER_TEXT)
        add_tokenizer(b, f);
    str_add(b, "  taps");
    for (size_t i = 0; m->taps && m->taps[i]; i++)
        str_addf(b, " %s", m->taps[i]);
    str_add(b, "\n");
}

static void add_reasons(struct str *b, const struct found *f)
{
    const struct item *it;
    struct mohs_error why;
    str_add(b, "  no model plugin takes it:\n");
    for (size_t i = 0; (it = registry_item(f->r, MOHS_KIND_MODEL, i)); i++) {
        const char *text = reason(f->r, it, f->w, &why);
        str_addf(b, "    %s: %s\n", it->item->id,
                 *text ? text : "would read it if asked (--plugin)");
    }
}

/* ---- for programs ------------------------------------------------------ */

static void add_json_file(struct str *b, const struct found *f)
{
    const struct weights_summary *s = &f->sum;
    char hash[33];
    hash_hex(weights_hash(f->w), hash);
    str_add(b, "{\"path\": ");
    str_add_json(b, weights_path(f->w));
    str_add(b, ", \"kind\": \"checkpoint\", \"format\": ");
    str_add_json(b, s->format ? s->format : "none");
    str_addf(b,
             ", \"files\": %llu, \"hash\": \"%s\", \"tensors\": %llu, "
             "\"numbers\": %llu, \"bytes\": %llu, \"types\": \"%s\", \"config\": ",
             (unsigned long long)s->files, hash, (unsigned long long)s->tensors,
             (unsigned long long)s->numbers, (unsigned long long)s->bytes,
             s->dtypes);
    if (s->config_from)
        str_add_json(b, s->config_from);
    else
        str_add(b, "null");
}

static void add_json_model(struct str *b, const struct found *f)
{
    const struct mohs_model_info *m = f->info;
    str_addf(b,
             ", \"model\": \"%s\", \"image_width\": %u, "
             "\"image_height\": %u, \"context_length\": %u, \"vocab_size\": %u, "
             "\"embed_dim\": %u, \"logit_scale\": %.9g, \"logit_bias\": %.9g, "
             "\"used\": %llu, \"tokenizer\": ",
             f->item->item->id, m->image_width, m->image_height,
             m->context_length, m->vocab_size, m->embed_dim,
             (double)m->logit_scale, (double)m->logit_bias,
             (unsigned long long)f->used);
    if (f->tokenizer)
        str_add_json(b, tokenizer_kind(f->tokenizer));
    else
        str_add(b, "null");
    str_add(b, ", \"taps\": [");
    for (size_t i = 0; m->taps && m->taps[i]; i++) {
        str_add(b, i ? ", " : "");
        str_add_json(b, m->taps[i]);
    }
    str_add(b, "]");
}

static void add_json_reasons(struct str *b, const struct found *f)
{
    const struct item *it;
    struct mohs_error why;
    str_add(b, ", \"model\": null, \"missing\": {");
    for (size_t i = 0; (it = registry_item(f->r, MOHS_KIND_MODEL, i)); i++) {
        const char *text = reason(f->r, it, f->w, &why);
        str_addf(b, "%s\"%s\": ", i ? ", " : "", it->item->id);
        str_add_json(b, text);
    }
    str_add(b, "}");
}

mohs_status checkpoint_add(struct str *b, struct registry *r, const char *path,
                           bool json, struct mohs_error *err)
{
    struct found f = { .r = r, .pre_err = MOHS_ERROR_INIT,
                       .tok_err = MOHS_ERROR_INIT };
    mohs_status st;
    OUT_IF_ERR(weights_open(path, &f.w, err));
    weights_summary(f.w, &f.sum);
    f.item = surest(r, f.w);
    if (f.item)
        OUT_IF_ERR(look(&f, err));
    (json ? add_json_file : add_file)(b, &f);
    if (f.item)
        (json ? add_json_model : add_model)(b, &f);
    else
        (json ? add_json_reasons : add_reasons)(b, &f);
    if (json)
        str_add(b, "}\n");
    if (!f.item)
        st = mohs_fail(err, MOHS_E_PLUGIN,
                       "%s: no model plugin reads this checkpoint", path);
out:
    let_go(&f);
    return st;
}
