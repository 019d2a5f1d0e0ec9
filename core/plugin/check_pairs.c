/* SPDX-License-Identifier: MIT */
/*
 * Checks of a model's matching head, "mohs.pair_scores/1": what it says of
 * itself, and scores of an image with texts, in a batch and alone.
 */
#include "config.h"

#include <mohs/ext/pair_scores.h>

#include "plugin/check_tower.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = CHECK_BATCH, SHORT_CONTEXT = 5 };

struct head {
    const struct mohs_pair_scores *ext;
    const struct mohs_pair_info *info;
    uint32_t dims[MOHS_DIMS_MAX], n_dims; /* of the tap, of one image */
    size_t count;
    float *image[2]; /* what the tap holds, of two images */
};

static const struct mohs_pair_scores *find_ext(struct check_run *c,
                                               const struct model *m)
{
    const struct mohs_model_ops *ops = c->it->item->ops;
    const void *ext = ops->get_extension
                          ? ops->get_extension(m->in.self, MOHS_EXT_PAIR_SCORES)
                          : NULL;
    return ext;
}

static bool info_valid(struct check_run *c, const struct model *m,
                       const struct mohs_pair_info *i)
{
    const char *const *tap = m->info->taps;
    if (!i)
        return check_fail(c, "info: NULL, though the parameters are there");
    if (!i->n_scores || i->n_scores > MOHS_PAIR_SCORES_MAX)
        return check_fail(c, "%u scores a pair", i->n_scores);
    if (i->match >= i->n_scores)
        return check_fail(c, "match is score %u of %u", i->match, i->n_scores);
    while (tap && *tap && i->image_tap && strcmp(*tap, i->image_tap))
        tap++;
    return (tap && *tap && i->image_tap && !strncmp(*tap, "image.", 6)) ||
           check_fail(c, "image_tap '%.40s' is no tap of the image tower",
                      i->image_tap ? i->image_tap : "(NULL)");
}

/* ---- the image's side --------------------------------------------------- */

static bool read_tap(struct check_run *c, struct tower *t, struct tensor *tap,
                     uint32_t which, float *out)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    float *row = xmalloc(t->dim * sizeof *row);
    bool ok = tower_feed(c, t, &which, NULL, 0) && tower_run(c, t, row) &&
              check_status(c, "tap", tensor_read(tap, out, &err), &err);
    free(row);
    return ok;
}

static bool images_make(struct check_run *c, struct model *m, struct head *h)
{
    struct tower t;
    bool ok = tower_build(c, m, MOHS_TOWER_IMAGE, 1, TINY_CONTEXT, NULL, &t);
    struct tensor *tap = ok ? graph_find_tap(t.g, h->info->image_tap) : NULL;
    if (ok && !tap)
        ok = check_fail(c, "tap %s is named but not built", h->info->image_tap);
    if (ok) {
        h->n_dims = tensor_shape(tap, h->dims);
        h->count = (size_t)tensor_count(tap);
        graph_output(t.g, tap);
        ok = tower_plan(c, &t);
    }
    for (uint32_t i = 0; ok && i < 2; i++) {
        h->image[i] = xmalloc(h->count * sizeof(float));
        ok = read_tap(c, &t, tap, i, h->image[i]);
    }
    graph_free(t.g);
    return ok;
}

/* ---- the graph of an image and texts ------------------------------------- */

/* `t` is a tower whose rows are the pairs' scores. */
struct pairs {
    struct tower t;
    struct tensor *image;
};

static bool pairs_build(struct check_run *c, struct model *m,
                        const struct head *h, uint32_t n, uint32_t context,
                        struct pairs *p)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct mohs_tensor *out = NULL;
    struct tower *t = &p->t;
    uint32_t shape[] = { n, context }, dims[MOHS_DIMS_MAX];
    memset(p, 0, sizeof *p);
    t->g = graph_new(m->compute, m->params);
    t->n = n;
    t->context = context;
    p->image = graph_input(t->g, "image", MOHS_F32, h->n_dims, h->dims);
    t->tokens = graph_input(t->g, "tokens", MOHS_I32, 2, shape);
    t->last = graph_input(t->g, "last", MOHS_I32, 1, shape);
    struct mohs_pair_inputs in = {
        sizeof in, (struct mohs_tensor *)(void *)p->image,
        (struct mohs_tensor *)(void *)t->tokens,
        (struct mohs_tensor *)(void *)t->last
    };
    mohs_status st = h->ext->build(m->in.self, &graph_api,
                                   (struct mohs_graph *)(void *)t->g, &in, &out,
                                   &err);
    scratch_reset();
    if (st >= 0)
        st = graph_status(t->g, &err);
    if (!check_status(c, "build", st, &err))
        return false;
    t->out = (struct tensor *)(void *)out;
    t->dim = h->info->n_scores;
    if (!out || tensor_shape(t->out, dims) != 2 || dims[0] != n ||
        dims[1] != t->dim)
        return check_fail(c, "the result is not [%u, %u]", n, t->dim);
    graph_output(t->g, t->out);
    return true;
}

static bool pairs_ready(struct check_run *c, struct model *m,
                        const struct head *h, uint32_t n, uint32_t context,
                        struct pairs *p)
{
    return pairs_build(c, m, h, n, context, p) && tower_plan(c, &p->t);
}

/* out[n * n_scores] of an image with texts number which[0..n). */
static bool pairs_run(struct check_run *c, const struct head *h,
                      struct pairs *p, uint32_t image, const uint32_t *which,
                      float *out)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    mohs_status st = tensor_write(p->image, h->image[image], &err);
    return check_status(c, "input", st, &err) &&
           tower_feed(c, &p->t, which, NULL, 0) && tower_run(c, &p->t, out);
}

/* ---- the checks ----------------------------------------------------------- */

static bool rows_hold(struct check_run *c, struct model *m, const struct head *h)
{
    static const uint32_t order[BATCH] = { 0, 1, 2 }, back[BATCH] = { 2, 1, 0 };
    enum { ROW = MOHS_PAIR_SCORES_MAX };
    float rows[BATCH * ROW], turned[BATCH * ROW], other[BATCH * ROW], one[ROW];
    struct pairs all, alone = { 0 };
    bool ok = pairs_ready(c, m, h, BATCH, TINY_CONTEXT, &all) &&
              pairs_ready(c, m, h, 1, TINY_CONTEXT, &alone) &&
              pairs_run(c, h, &all, 1, order, other) &&
              pairs_run(c, h, &all, 0, back, turned) &&
              pairs_run(c, h, &all, 0, order, rows);
    uint32_t n = h->info->n_scores;
    size_t bytes = n * sizeof *rows;
    for (uint32_t k = 0; ok && k < BATCH * n; k++)
        if (!isfinite(rows[k]))
            ok = check_fail(c, "score %u of text %u is not finite", k % n, k / n);
    for (uint32_t i = 0; ok && i < BATCH; i++) {
        ok = pairs_run(c, h, &alone, 0, &i, one);
        if (ok && memcmp(one, rows + i * n, bytes))
            ok = check_fail(c, "text %u scores otherwise in a batch and alone", i);
        else if (ok && memcmp(turned + (BATCH - 1 - i) * n, rows + i * n, bytes))
            ok = check_fail(c, "the scores of text %u depend on its place", i);
        else if (ok && i && !memcmp(rows, rows + i * n, bytes))
            ok = check_fail(c, "different texts score the same");
        else if (ok && !memcmp(other + i * n, rows + i * n, bytes))
            ok = check_fail(c, "different images score the same");
    }
    graph_free(all.t.g);
    graph_free(alone.t.g);
    return ok;
}

/* With the flag, what stands behind `last` must not matter. */
static bool padding_holds(struct check_run *c, struct model *m,
                          const struct head *h)
{
    static const uint32_t order[BATCH] = { 0, 1, 2 };
    float a[BATCH * MOHS_PAIR_SCORES_MAX], b[BATCH * MOHS_PAIR_SCORES_MAX];
    struct pairs full, cut = { 0 };
    if (!(m->info->flags & MOHS_MODEL_CAUSAL_TEXT))
        return true;
    bool ok = pairs_ready(c, m, h, BATCH, TINY_CONTEXT, &full) &&
              pairs_ready(c, m, h, BATCH, SHORT_CONTEXT, &cut) &&
              pairs_run(c, h, &full, 0, order, a) &&
              pairs_run(c, h, &cut, 0, order, b);
    for (uint32_t k = 0; ok && k < BATCH * h->info->n_scores; k++)
        if (fabsf(a[k] - b[k]) > 1e-5f * (1 + fabsf(a[k])))
            ok = check_fail(c, "flagged causal, but padding changes the scores "
                               "of text %u", k / h->info->n_scores);
    graph_free(full.t.g);
    graph_free(cut.t.g);
    return ok;
}

/* What the head's describe() lists from number `first` on is used. */
static bool all_used(struct check_run *c, struct model *m, const struct head *h,
                     size_t first)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct pairs p;
    size_t n = 0;
    struct tensor **wrt = xcalloc(m->w.n, sizeof(struct tensor *));
    struct tensor **grad = xcalloc(m->w.n, sizeof(struct tensor *));
    bool ok = pairs_build(c, m, h, BATCH, TINY_CONTEXT, &p);
    for (size_t i = first; ok && i < m->w.n; i++)
        if (m->w.t[i].n_dims)
            wrt[n++] = graph_weight(p.t.g, m->w.t[i].name, m->w.t[i].n_dims,
                                    m->w.t[i].dims);
    if (ok && n) {
        uint32_t dims[] = { BATCH, h->info->n_scores };
        float ones[BATCH * MOHS_PAIR_SCORES_MAX] = { 0 };
        struct tensor *seed = graph_constant(p.t.g, 2, dims, ones);
        ok = check_status(c, "grad",
                          graph_grad(p.t.g, p.t.out, seed, wrt, n, grad, &err),
                          &err);
    }
    for (size_t i = first, k = 0; ok && i < m->w.n; i++)
        if (m->w.t[i].n_dims && !grad[k++])
            ok = check_fail(c, "parameter %s changes no score", m->w.t[i].name);
    graph_free(p.t.g);
    free(wrt);
    free(grad);
    return ok;
}

bool check_model_pairs(struct check_run *c)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct model m;
    struct head h = { 0 };
    size_t first = 0;
    bool ok = model_open(c, &m);
    h.ext = ok ? find_ext(c, &m) : NULL;
    if (h.ext) {
        first = m.w.n;
        ok = check_status(c, "describe",
                          h.ext->describe(m.in.self, tiny_take, &m.w, &err),
                          &err);
        scratch_reset();
        ok = ok && model_again(c, &m);
        h.ext = ok ? find_ext(c, &m) : NULL;
        h.info = h.ext ? h.ext->info(m.in.self) : NULL;
        ok = ok && (h.ext || check_fail(c, "the extension is gone")) &&
             info_valid(c, &m, h.info) && model_device(c, &m) &&
             images_make(c, &m, &h) && rows_hold(c, &m, &h) &&
             padding_holds(c, &m, &h) && all_used(c, &m, &h, first);
        if (ok)
            check_note(c, "%u scores a pair, %zu parameters of the head",
                       h.info->n_scores, m.w.n - first);
    } else if (ok) {
        check_note(c, "no matching head");
    }
    free(h.image[0]);
    free(h.image[1]);
    model_close(c, &m);
    return ok;
}
