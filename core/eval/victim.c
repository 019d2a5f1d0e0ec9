/* SPDX-License-Identifier: MIT */
/* Sites, passes and the audit of attacks on one tower of an encoder. */
#include "config.h"

#include "eval/victim_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void engine_drop(struct engine *g)
{
    graph_free(g->t.graph);
    memset(g, 0, sizeof *g);
}

static const char *side_name(const struct victim *v)
{
    return v->o.tower == MOHS_TOWER_IMAGE ? "image" : "text";
}

/* ---- sites ---- */

static bool of_this_tower(const struct victim *v, const char *tap)
{
    bool text = !strncmp(tap, "text.", 5);
    return text == (v->o.tower == MOHS_TOWER_TEXT) &&
           encoder_has_tap(v->o.encoder, tap);
}

static mohs_status site_shape(struct victim *v, const char *tap,
                              struct mohs_site *s, struct mohs_error *err)
{
    struct tower_graph t;
    uint32_t dims[MOHS_DIMS_MAX];
    if (!strcmp(tap, "pixels")) {
        const struct mohs_model_info *i = encoder_info(v->o.encoder);
        s->tokens = 3;
        s->width = i->image_height * i->image_width;
        s->height = i->image_height;
        s->lo = 0;
        s->hi = 1;
        return MOHS_OK;
    }
    RET_IF_ERR(encoder_tower(v->o.encoder, v->o.tower, 1, v->context, NULL, 0, &t,
                             err));
    struct tensor *x = graph_find_tap(t.graph, tap);
    uint32_t n = x ? tensor_shape(x, dims) : 0;
    graph_free(t.graph);
    if (n < 2)
        return mohs_fail(err, MOHS_E_PLUGIN, "%s: the model never marks tap '%s'",
                         encoder_path(v->o.encoder), tap);
    s->width = dims[n - 1];
    s->tokens = 1;
    for (uint32_t i = 1; i + 1 < n; i++)
        s->tokens *= dims[i];
    s->lo = -INFINITY;
    s->hi = INFINITY;
    return MOHS_OK;
}

static void pixels_of(const uint8_t *rgb, uint32_t pixels, float *out)
{
    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t i = 0; i < pixels; i++)
            out[(size_t)c * pixels + i] = (float)rgb[3 * (size_t)i + c] / 255.0f;
}

static mohs_status site_clean(struct victim *v, const char *tap,
                              struct mohs_site *s, float *clean,
                              struct mohs_error *err)
{
    if (v->o.tower == MOHS_TOWER_TEXT)
        return encoder_texts(v->o.encoder, v->o.n, v->o.text, false, tap, clean, err);
    if (strcmp(tap, "pixels"))
        return encoder_images(v->o.encoder, v->o.n, v->o.rgb, false, tap, clean, err);
    for (uint32_t i = 0; i < v->o.n; i++)
        pixels_of(v->o.rgb[i], s->width, clean + (size_t)i * 3 * s->width);
    return MOHS_OK;
}

static uint8_t *site_mask(const struct victim *v, const struct mohs_site *s)
{
    if (v->o.tower != MOHS_TOWER_TEXT || s->tokens != v->context)
        return NULL;
    uint8_t *m = xcalloc(v->o.n, s->tokens);
    for (uint32_t i = 0; i < v->o.n; i++)
        memset(m + (size_t)i * s->tokens, 1, (size_t)v->last[i] + 1);
    return m;
}

static void site_free(struct mohs_site *s)
{
    free((void *)s->clean);
    free((void *)s->mask);
    free(s->delta);
    free(s->grad);
}

/* A plugin of an older ABI has a shorter struct. */
static void hand_out(const struct mohs_site *s, struct mohs_site *out)
{
    uint32_t size = out->size && out->size < sizeof *out ? out->size : sizeof *out;
    memcpy(out, s, size);
    out->size = size;
}

static mohs_status site_open(struct mohs_victim *pub, const char *tap,
                             struct mohs_site *out, struct mohs_error *err)
{
    struct victim *v = victim_of(pub);
    for (size_t i = 0; i < v->n_sites; i++)
        if (!strcmp(v->name[i], tap)) {
            hand_out(&v->site[i], out);
            return MOHS_OK;
        }
    if (!of_this_tower(v, tap)) {
        struct str names = { 0 };
        encoder_tap_names(v->o.encoder, &names);
        mohs_fail(err, MOHS_E_ARG, "no tap '%s' on the %s side; the model has %s",
                  tap, side_name(v), names.s);
        str_free(&names);
        return MOHS_E_ARG;
    }
    if (v->n_sites == SITES_MAX)
        return mohs_fail(err, MOHS_E_ARG, "more than %d taps", SITES_MAX);

    struct mohs_site s = { .size = sizeof s };
    RET_IF_ERR(site_shape(v, tap, &s, err));
    size_t count = (size_t)v->o.n * s.tokens * s.width;
    float *clean = try_calloc(count, sizeof *clean, tap, err);
    s.clean = clean;
    s.delta = try_calloc(count, sizeof *s.delta, tap, err);
    s.grad = try_calloc(count, sizeof *s.grad, tap, err);
    mohs_status st = clean && s.delta && s.grad ? MOHS_OK : MOHS_E_NOMEM;
    if (st >= 0)
        st = site_clean(v, tap, &s, clean, err);
    if (st < 0) {
        site_free(&s);
        return st;
    }
    s.mask = site_mask(v, &s);
    v->name[v->n_sites] = xstrdup(tap);
    s.tap = v->name[v->n_sites];
    v->site[v->n_sites++] = s;
    engine_drop(&v->engine);
    hand_out(&s, out);
    return MOHS_OK;
}

/* ---- passes ---- */

struct build {
    struct victim *v;
    uint32_t output;
    bool gradient;
};

/* err says why. */
static mohs_status no_gradient(const struct victim *v, const char *taps,
                               struct mohs_error *err)
{
    return err_prefix(err, MOHS_E_UNSUPPORTED,
                      "%s: needs the gradient by %s, which %s does not give",
                      v->o.attack ? v->o.attack : "victim", taps,
                      encoder_path(v->o.encoder));
}

/* The gradients by the deltas of a seed at the output. */
static mohs_status add_gradients(struct victim *v, struct engine *g, uint32_t batch,
                                 struct mohs_error *err)
{
    struct graph *gr = g->t.graph;
    uint32_t dims[] = { batch, g->columns };
    struct str taps = { 0 };
    for (size_t i = 0; i < v->n_sites; i++)
        str_addf(&taps, i ? ", %s" : "%s", v->name[i]);
    graph_stage(gr, 1);
    g->seed = graph_input(gr, "seed", MOHS_F32, 2, dims);
    mohs_status st = graph_grad(gr, g->out, g->seed, g->delta, v->n_sites, g->grad, err);
    if (st == MOHS_E_UNSUPPORTED)
        st = no_gradient(v, taps.s, err);
    for (size_t i = 0; i < v->n_sites && st >= 0; i++) {
        if (g->grad[i]) {
            graph_output(gr, g->grad[i]);
        } else {
            mohs_fail(err, MOHS_E_UNSUPPORTED, "none flows there");
            st = no_gradient(v, v->name[i], err);
        }
    }
    str_free(&taps);
    return st;
}

static mohs_status engine_build(const struct build *b, uint32_t batch,
                                struct engine *out, struct graph_cost *cost,
                                struct mohs_error *err)
{
    struct victim *v = b->v;
    struct engine g = { .output = b->output, .gradient = b->gradient,
                        .n_sites = v->n_sites };
    mohs_status st;
    RET_IF_ERR(encoder_tower(v->o.encoder, v->o.tower, batch, v->context,
                             (const char *const *)v->name, v->n_sites, &g.t, err));
    struct graph *gr = g.t.graph;
    uint32_t dim = encoder_info(v->o.encoder)->embed_dim;
    graph_stage(gr, 0);
    if (b->output == MOHS_OUT_SCORES) {
        uint32_t dims[] = { v->o.n_candidates, dim };
        struct tensor *in[] = { g.t.embed,
                                graph_constant(gr, 2, dims, v->o.candidate) };
        g.out = graph_op(gr, "linear", in, 2, NULL, 0);
        g.columns = v->o.n_candidates;
    } else {
        g.out = b->output == MOHS_OUT_RAW ? g.t.raw : g.t.embed;
        g.columns = dim;
    }
    graph_output(gr, g.out);
    for (size_t i = 0; i < v->n_sites; i++)
        g.delta[i] = graph_find_delta(gr, v->name[i]);
    if (b->gradient && v->n_sites)
        OUT_IF_ERR(add_gradients(v, &g, batch, err));
    OUT_IF_ERR(graph_status(gr, err));
    OUT_IF_ERR(graph_plan(gr, cost, err));
    *out = g;
    return MOHS_OK;
out:
    engine_drop(&g);
    return st;
}

static mohs_status engine_bytes(void *user, uint32_t batch, uint64_t *bytes,
                                struct mohs_error *err)
{
    struct engine g;
    struct graph_cost cost;
    RET_IF_ERR(engine_build(user, batch, &g, &cost, err));
    engine_drop(&g);
    *bytes = cost.arena_bytes;
    return MOHS_OK;
}

mohs_status victim_cost(const struct victim_options *o, bool gradient,
                        const char *const *taps, size_t n_taps,
                        struct graph_cost *out, struct mohs_error *err)
{
    const struct mohs_model_info *info = encoder_info(o->encoder);
    struct victim v = { .o = *o,
                        .context = o->tower == MOHS_TOWER_TEXT ? info->context_length
                                                               : 0 };
    float *none = try_calloc(o->n_candidates, info->embed_dim * sizeof *none,
                             "candidates", err);
    struct build b = { &v, MOHS_OUT_SCORES, gradient };
    struct engine g = { .columns = 0 };
    if (!none)
        return MOHS_E_NOMEM;
    v.o.candidate = none;
    for (; v.n_sites < n_taps && v.n_sites < SITES_MAX; v.n_sites++)
        v.name[v.n_sites] = (char *)taps[v.n_sites];
    uint32_t batch = encoder_micro_batch(o->encoder, o->n, engine_bytes, &b);
    mohs_status st = engine_build(&b, batch, &g, out, err);
    engine_drop(&g);
    free(none);
    return st;
}

static mohs_status engine_ready(struct victim *v, uint32_t output, bool gradient,
                                struct mohs_error *err)
{
    struct engine *g = &v->engine;
    if (g->t.graph && g->output == output && g->n_sites == v->n_sites &&
        (g->gradient || !gradient))
        return MOHS_OK;
    engine_drop(g);
    struct build b = { v, output, gradient };
    struct graph_cost cost;
    uint32_t batch = encoder_micro_batch(v->o.encoder, v->o.n, engine_bytes, &b);
    return engine_build(&b, batch, g, &cost, err);
}

/* Host copies of one micro-batch. */
struct stage {
    float *pixels, *out, *dout, *loss, *site;
    int32_t *ids, *last;
};

static mohs_status stage_alloc(struct victim *v, struct stage *s,
                               struct mohs_error *err)
{
    uint32_t b = v->engine.t.n;
    const struct mohs_model_info *info = encoder_info(v->o.encoder);
    size_t widest = 1;
    for (size_t i = 0; i < v->n_sites; i++) {
        size_t c = (size_t)v->site[i].tokens * v->site[i].width;
        widest = c > widest ? c : widest;
    }
    size_t pixels = (size_t)3 * info->image_height * info->image_width;
    s->pixels = try_calloc(b, pixels * sizeof(float), "pixels", err);
    s->out = try_calloc(b, v->engine.columns * sizeof(float), "scores", err);
    s->dout = try_calloc(b, v->engine.columns * sizeof(float), "scores", err);
    s->site = try_calloc(b, widest * sizeof(float), "a perturbation", err);
    s->loss = xcalloc(b, sizeof *s->loss);
    s->ids = xcalloc((size_t)b * (v->context ? v->context : 1), sizeof *s->ids);
    s->last = xcalloc(b, sizeof *s->last);
    return s->pixels && s->out && s->dout && s->site ? MOHS_OK : MOHS_E_NOMEM;
}

static void stage_free(struct stage *s)
{
    free(s->pixels);
    free(s->out);
    free(s->dout);
    free(s->site);
    free(s->loss);
    free(s->ids);
    free(s->last);
}

static mohs_status put_inputs(struct victim *v, struct stage *s, uint32_t m,
                              const uint32_t *sample, struct mohs_error *err)
{
    struct engine *g = &v->engine;
    const struct mohs_model_info *info = encoder_info(v->o.encoder);
    uint32_t pixels = info->image_height * info->image_width;
    if (g->t.pixels) {
        for (uint32_t j = 0; j < m; j++)
            pixels_of(v->o.rgb[sample[j]], pixels, s->pixels + (size_t)j * 3 * pixels);
        RET_IF_ERR(tensor_write(g->t.pixels, s->pixels, err));
    } else {
        for (uint32_t j = 0; j < m; j++) {
            memcpy(s->ids + (size_t)j * v->context,
                   v->ids + (size_t)sample[j] * v->context,
                   v->context * sizeof *s->ids);
            s->last[j] = v->last[sample[j]];
        }
        RET_IF_ERR(tensor_write(g->t.tokens, s->ids, err));
        RET_IF_ERR(tensor_write(g->t.last, s->last, err));
    }
    for (size_t i = 0; i < v->n_sites; i++) {
        size_t c = (size_t)v->site[i].tokens * v->site[i].width;
        for (uint32_t j = 0; j < m; j++)
            memcpy(s->site + j * c, v->site[i].delta + sample[j] * c, c * sizeof(float));
        RET_IF_ERR(tensor_write(g->delta[i], s->site, err));
    }
    return MOHS_OK;
}

static mohs_status get_gradients(struct victim *v, struct stage *s, uint32_t m,
                                 const uint32_t *sample, struct mohs_error *err)
{
    struct engine *g = &v->engine;
    for (size_t i = 0; i < v->n_sites; i++) {
        size_t c = (size_t)v->site[i].tokens * v->site[i].width;
        RET_IF_ERR(tensor_read(g->grad[i], s->site, err));
        for (uint32_t j = 0; j < m; j++)
            memcpy(v->site[i].grad + sample[j] * c, s->site + j * c, c * sizeof(float));
    }
    return MOHS_OK;
}

struct request {
    uint32_t output;
    mohs_loss_fn fn;
    void *user;
    bool gradient;
};

static mohs_status micro_pass(struct victim *v, struct stage *s, uint32_t m,
                              const uint32_t *sample, const struct request *r,
                              struct mohs_error *err)
{
    struct engine *g = &v->engine;
    const struct mohs_model_info *info = encoder_info(v->o.encoder);
    size_t cells = (size_t)m * g->columns, all = (size_t)g->t.n * g->columns;
    bool scores = r->output == MOHS_OUT_SCORES;
    RET_IF_ERR(put_inputs(v, s, m, sample, err));
    RET_IF_ERR(graph_run_stage(g->t.graph, 0, err));
    RET_IF_ERR(tensor_read(g->out, s->out, err));
    for (size_t i = 0; scores && i < cells; i++)
        s->out[i] = s->out[i] * info->logit_scale + info->logit_bias;
    memset(s->dout, 0, all * sizeof *s->dout);
    RET_IF_ERR(r->fn(r->user, m, sample, g->columns, s->out, s->loss,
                     r->gradient ? s->dout : NULL, err));
    v->forward += m;
    if (!r->gradient || !v->n_sites)
        return MOHS_OK;
    for (size_t i = 0; scores && i < cells; i++)
        s->dout[i] *= info->logit_scale;
    RET_IF_ERR(tensor_write(g->seed, s->dout, err));
    RET_IF_ERR(graph_run_stage(g->t.graph, 1, err));
    v->backward += m;
    return get_gradients(v, s, m, sample, err);
}

static mohs_status pass(struct mohs_victim *pub, uint32_t n,
                        const uint32_t *sample, uint32_t output, mohs_loss_fn fn,
                        void *user, float *loss, int32_t gradient,
                        struct mohs_error *err)
{
    struct victim *v = victim_of(pub);
    struct stage s = { 0 };
    struct request r = { output, fn, user, gradient != 0 };
    mohs_status st;
    if (output > MOHS_OUT_RAW)
        return mohs_fail(err, MOHS_E_ARG, "victim: no output %u", output);
    for (uint32_t i = 0; i < n; i++)
        if (sample[i] >= v->o.n)
            return mohs_fail(err, MOHS_E_ARG, "victim: sample %u of %u", sample[i],
                             v->o.n);
    RET_IF_ERR(engine_ready(v, output, r.gradient, err));
    OUT_IF_ERR(stage_alloc(v, &s, err));
    uint32_t b = v->engine.t.n;
    for (uint32_t i = 0; i < n; i += b) {
        uint32_t m = n - i < b ? n - i : b;
        OUT_IF_ERR(micro_pass(v, &s, m, sample + i, &r, err));
        if (loss)
            memcpy(loss + i, s.loss, m * sizeof *loss);
        if (interrupted) {
            st = mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
            goto out;
        }
    }
    st = MOHS_OK;
out:
    stage_free(&s);
    return st;
}

/* ---- life ---- */

/* Embeddings as the model gives them, made when first asked for. */
static const struct mohs_victim_raw *raw_rows(struct victim *v)
{
    uint32_t n = v->o.n;
    if (v->raw.clean)
        return &v->raw;
    float *rows = try_calloc((size_t)n * v->pub.dim, sizeof *rows, "embeddings", NULL);
    mohs_status st = !rows ? MOHS_E_NOMEM
                     : v->o.tower == MOHS_TOWER_TEXT
                         ? encoder_texts(v->o.encoder, n, v->o.text, true, NULL, rows, NULL)
                         : encoder_images(v->o.encoder, n, v->o.rgb, true, NULL, rows, NULL);
    if (st < 0) {
        free(rows);
        return NULL;
    }
    v->raw = (struct mohs_victim_raw) { sizeof v->raw, rows };
    return &v->raw;
}

static const void *get_extension(struct mohs_victim *pub, const char *id)
{
    struct victim *v = victim_of(pub);
    if (!strcmp(id, MOHS_EXT_VICTIM_RAW))
        return raw_rows(v);
    if (v->o.tower == MOHS_TOWER_TEXT && !strcmp(id, MOHS_EXT_VICTIM_TEXT))
        return victim_text_api(v);
    if (v->o.pair && !strcmp(id, MOHS_EXT_VICTIM_PAIR))
        return v->o.pair;
    return NULL;
}

mohs_status victim_new(const struct victim_options *o, struct mohs_victim **out,
                       struct mohs_error *err)
{
    struct victim *v = xcalloc(1, sizeof *v);
    const struct mohs_model_info *info = encoder_info(o->encoder);
    mohs_status st;
    v->o = *o;
    v->context = o->tower == MOHS_TOWER_TEXT ? info->context_length : 0;
    v->embed = try_calloc((size_t)o->n * info->embed_dim, sizeof *v->embed,
                          "embeddings", err);
    if (!v->embed) {
        st = MOHS_E_NOMEM;
        goto out;
    }
    if (o->tower == MOHS_TOWER_TEXT) {
        v->ids = try_calloc((size_t)o->n * v->context, sizeof *v->ids, "tokens", err);
        v->last = xcalloc(o->n, sizeof *v->last);
        if (!v->ids) {
            st = MOHS_E_NOMEM;
            goto out;
        }
        OUT_IF_ERR(encoder_tokens(o->encoder, o->n, o->text, v->ids, v->last, err));
    }
    if (o->clean)
        memcpy(v->embed, o->clean, (size_t)o->n * info->embed_dim * sizeof *v->embed);
    else if (o->tower == MOHS_TOWER_TEXT)
        OUT_IF_ERR(encoder_texts(o->encoder, o->n, o->text, false, NULL, v->embed,
                                 err));
    else
        OUT_IF_ERR(encoder_images(o->encoder, o->n, o->rgb, false, NULL, v->embed,
                                  err));
    v->pub = (struct mohs_victim) {
        .size = sizeof v->pub,
        .n = o->n,
        .n_candidates = o->n_candidates,
        .dim = info->embed_dim,
        .key = o->key,
        .positive_first = o->positive_first,
        .positive = o->positive,
        .clean_embed = v->embed,
        .ctx = v,
        .site = site_open,
        .pass = pass,
        .get_extension = get_extension,
    };
    *out = &v->pub;
    return MOHS_OK;
out:
    v->pub.ctx = v;
    victim_free(&v->pub);
    return st;
}

void victim_free(struct mohs_victim *pub)
{
    if (!pub)
        return;
    struct victim *v = victim_of(pub);
    engine_drop(&v->engine);
    victim_text_drop(v);
    for (size_t i = 0; i < v->n_sites; i++) {
        site_free(&v->site[i]);
        free(v->name[i]);
    }
    free(v->ids);
    free(v->last);
    free(v->embed);
    free((float *)v->raw.clean);
    free(v);
}

static mohs_status keep_rows(void *user, uint32_t n, const uint32_t *sample,
                             uint32_t m, const float *out, float *loss,
                             float *dout, struct mohs_error *err)
{
    (void)dout;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        memcpy((float *)user + (size_t)sample[i] * m, out + (size_t)i * m,
               m * sizeof *out);
        loss[i] = 0;
    }
    return MOHS_OK;
}

mohs_status victim_embed(struct mohs_victim *pub, float *out,
                         struct mohs_error *err)
{
    uint32_t *all = xcalloc(pub->n, sizeof *all);
    for (uint32_t i = 0; i < pub->n; i++)
        all[i] = i;
    mohs_status st = pass(pub, pub->n, all, MOHS_OUT_EMBED, keep_rows, out, NULL, 0,
                          err);
    free(all);
    return st;
}

void victim_passes(const struct mohs_victim *pub, uint64_t *forward,
                   uint64_t *backward)
{
    *forward = victim_of(pub)->forward;
    *backward = victim_of(pub)->backward;
}

const struct mohs_site *victim_site(struct mohs_victim *pub, size_t i)
{
    struct victim *v = victim_of(pub);
    return i < v->n_sites ? &v->site[i] : NULL;
}

/* ---- audit ---- */

static double audit_token(const struct mohs_site *s, size_t first, bool padding,
                          struct victim_audit *a)
{
    double d2 = 0, x2 = 0;
    for (uint32_t k = 0; k < s->width; k++) {
        float d = s->delta[first + k], x = s->clean[first + k], y = x + d;
        if (!isfinite(d))
            a->non_finite++;
        if (padding && d != 0)
            a->on_padding++;
        if (y < s->lo || y > s->hi)
            a->out_of_range++;
        a->linf = fmax(a->linf, fabs((double)d));
        d2 += (double)d * d;
        x2 += (double)x * x;
    }
    if (x2 > 0)
        a->rel_l2 = fmax(a->rel_l2, sqrt(d2 / x2));
    return d2;
}

void victim_audit(struct mohs_victim *pub, uint32_t sample,
                  struct victim_audit *out)
{
    struct victim *v = victim_of(pub);
    double square = 0;
    memset(out, 0, sizeof *out);
    for (size_t j = 0; j < v->n_sites; j++) {
        const struct mohs_site *s = &v->site[j];
        for (uint32_t t = 0; t < s->tokens; t++) {
            size_t token = (size_t)sample * s->tokens + t;
            square += audit_token(s, token * s->width, s->mask && !s->mask[token],
                                  out);
        }
    }
    out->l2 = sqrt(square);
    if (v->o.tower == MOHS_TOWER_TEXT)
        victim_text_audit(v, sample, out);
}
