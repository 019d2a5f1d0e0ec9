/* SPDX-License-Identifier: MIT */
/*
 * Image-text retrieval with several captions per image: recall at k in both
 * directions, their mean, mean reciprocal rank, median rank.
 *
 * A query hits at k when any of its positives is among the first k. Ties are
 * broken at random, in expectation: with `a` candidates above the best
 * positive and g candidates equal to it, of which p are positives, the first
 * positive comes at place a + j of a random order of the g, j = 1 .. g-p+1,
 * with probability C(g-j, p-1) / C(g, p). Hits, ranks and reciprocal ranks
 * are expectations over that; index order never decides.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>

enum { TILE_FLOATS = 4 << 20 };

struct params {
    struct mohs_ints k;
};

struct retrieval {
    int n_k;
    uint32_t k[MOHS_INTS_MAX];
    const char *column[2 * MOHS_INTS_MAX + 4];
    struct mohs_value value[2 * MOHS_INTS_MAX + 5];
    char text[4 * MOHS_INTS_MAX + 16][24];
    uint32_t n_columns, n_values;
};

/* Columns of a direction: rank, 1/rank, hit@k .. */
static uint32_t first_column(const struct retrieval *r, int t2i)
{
    return t2i ? 2 + (uint32_t)r->n_k : 0;
}

static void name_all(struct retrieval *r)
{
    static const char *const side[] = { "i2t", "t2i" };
    size_t n = 0;
    for (int d = 0; d < 2; d++) {
        uint32_t c = first_column(r, d);
        snprintf(r->text[n], 24, "%s_rank", side[d]);
        r->column[c] = r->text[n++];
        snprintf(r->text[n], 24, "%s_reciprocal_rank", side[d]);
        r->column[c + 1] = r->text[n++];
        for (int i = 0; i < r->n_k; i++) {
            snprintf(r->text[n], 24, "%s_hit@%u", side[d], r->k[i]);
            r->column[c + 2 + (uint32_t)i] = r->text[n++];
        }
    }
    r->n_columns = 2 * first_column(r, 1);
    for (int d = 0; d < 2; d++)
        for (int i = 0; i < r->n_k; i++) {
            snprintf(r->text[n], 24, "%s_r%u", side[d], r->k[i]);
            r->value[r->n_values++] = (struct mohs_value) {
                r->text[n++], d ? "recall, text to image" : "recall, image to text", "%",
                1 };
        }
    r->value[r->n_values++] = (struct mohs_value) {
        "mean_recall", "mean of all recalls of both directions", "%", 1 };
    static const char *const mrr[] = { "i2t_mrr", "t2i_mrr" };
    static const char *const median[] = { "i2t_median_rank", "t2i_median_rank" };
    for (int d = 0; d < 2; d++)
        r->value[r->n_values++] =
            (struct mohs_value) { mrr[d], "mean reciprocal rank", "", 1 };
    for (int d = 0; d < 2; d++)
        r->value[r->n_values++] = (struct mohs_value) {
            median[d], "median rank of the first hit", "rank", -1 };
}

static mohs_status create(const struct mohs_host *host, const void *params, void **self,
                          struct mohs_error *err)
{
    const struct params *p = params;
    struct retrieval *r = calloc(1, sizeof *r);
    (void)host;
    if (!r)
        return mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory");
    if (!p->k.n) {
        free(r);
        return mohs_fail(err, MOHS_E_ARG, "retrieval: k is empty");
    }
    r->n_k = p->k.n;
    for (int i = 0; i < r->n_k; i++)
        r->k[i] = (uint32_t)p->k.v[i];
    name_all(r);
    *self = r;
    return MOHS_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const char *const *columns(void *self, uint32_t *n)
{
    *n = ((struct retrieval *)self)->n_columns;
    return ((struct retrieval *)self)->column;
}

static const struct mohs_value *values(void *self, uint32_t *n)
{
    *n = ((struct retrieval *)self)->n_values;
    return ((struct retrieval *)self)->value;
}

/* ---- outcomes ---- */

/* Counts around the best positive of one query. */
struct counts {
    float best;     /* similarity of the best positive */
    uint32_t above; /* negatives strictly above it */
    uint32_t equal, positives; /* at exactly it: all, and positives */
};

/* Expected outcomes into row[0..2+n_k). */
static void outcome(const struct retrieval *r, const struct counts *c, double *row)
{
    uint32_t g = c->equal, p = c->positives;
    double prob = (double)p / g, rank = 0, reciprocal = 0;
    for (int i = 0; i < r->n_k; i++)
        row[2 + i] = 0;
    for (uint32_t j = 1; j + p <= g + 1; j++) {
        double at = (double)c->above + j;
        rank += prob * at;
        reciprocal += prob / at;
        for (int i = 0; i < r->n_k; i++)
            if (at <= r->k[i])
                row[2 + i] += prob;
        if (g > j) // C(g-j-1, p-1) / C(g-j, p-1)
            prob *= (double)(g - j - p + 1) / (g - j);
    }
    row[0] = rank;
    row[1] = reciprocal;
}

static void count(struct counts *c, float s, int positive)
{
    if (s > c->best)
        c->above++;
    else if (s == c->best) {
        c->equal++;
        c->positives += positive != 0;
    }
}

struct work {
    const struct retrieval *r;
    const struct mohs_eval *e;
    struct mohs_samples *s;
    float *tile;
    struct counts *image, *text;
};

/* Visits the similarity matrix in tiles of whole rows. */
static mohs_status each_tile(struct work *w,
                             void (*fn)(struct work *, uint32_t i0, uint32_t i1),
                             struct mohs_error *err)
{
    uint32_t step = TILE_FLOATS / w->e->n_texts;
    step = step ? step : 1;
    for (uint32_t i = 0; i < w->e->n_images; i += step) {
        uint32_t end = w->e->n_images - i < step ? w->e->n_images : i + step;
        mohs_status st = w->e->similarity(w->e, i, end, 0, w->e->n_texts, w->tile, err);
        if (st < 0)
            return st;
        fn(w, i, end);
    }
    return MOHS_OK;
}

static void best_positives(struct work *w, uint32_t i0, uint32_t i1)
{
    uint32_t nt = w->e->n_texts;
    for (uint32_t t = 0; t < nt; t++) {
        uint32_t i = w->e->owner[t];
        if (i < i0 || i >= i1)
            continue;
        float s = w->tile[(size_t)(i - i0) * nt + t];
        w->text[t].best = s;
        if (s > w->image[i].best)
            w->image[i].best = s;
    }
}

static void count_ranks(struct work *w, uint32_t i0, uint32_t i1)
{
    uint32_t nt = w->e->n_texts;
    for (uint32_t i = i0; i < i1; i++) {
        const float *row = w->tile + (size_t)(i - i0) * nt;
        for (uint32_t t = 0; t < nt; t++) {
            int own = w->e->owner[t] == i;
            count(&w->image[i], row[t], own);
            count(&w->text[t], row[t], own);
        }
    }
}

static mohs_status fill(struct work *w, struct mohs_error *err)
{
    const struct retrieval *r = w->r;
    uint32_t ni = w->e->n_images, nt = w->e->n_texts, queries = 0;
    for (uint32_t i = 0; i < ni; i++)
        queries += w->image[i].equal > 0; // images without captions ask nothing
    mohs_status st = w->s->alloc(w->s, queries + nt, ni, err);
    if (st < 0)
        return st;
    for (size_t k = 0; k < (size_t)(queries + nt) * r->n_columns; k++)
        w->s->value[k] = NAN;
    uint32_t row = 0;
    for (uint32_t i = 0; i < ni; i++) {
        if (!w->image[i].equal)
            continue;
        outcome(r, &w->image[i], w->s->value + (size_t)row * r->n_columns);
        w->s->cluster[row++] = i;
    }
    for (uint32_t t = 0; t < nt; t++) {
        outcome(r, &w->text[t],
                w->s->value + (size_t)row * r->n_columns + first_column(r, 1));
        w->s->cluster[row++] = w->e->owner[t];
    }
    return MOHS_OK;
}

static mohs_status measure(void *self, const struct mohs_eval *e, struct mohs_samples *s,
                           struct mohs_error *err)
{
    struct work w = { .r = self, .e = e, .s = s };
    if (!e->owner)
        return mohs_fail(err, MOHS_E_ARG, "retrieval: the texts have no images");
    for (uint32_t t = 0; t < e->n_texts; t++)
        if (e->owner[t] >= e->n_images)
            return mohs_fail(err, MOHS_E_ARG, "retrieval: text %u belongs to image %u of %u",
                             t, e->owner[t], e->n_images);
    size_t rows = TILE_FLOATS / (e->n_texts ? e->n_texts : 1);
    rows = rows ? rows : 1;
    rows = rows < e->n_images ? rows : e->n_images;
    w.tile = malloc(rows * (size_t)e->n_texts * sizeof *w.tile + 1);
    w.image = calloc(e->n_images + 1, sizeof *w.image);
    w.text = calloc(e->n_texts + 1, sizeof *w.text);
    mohs_status st = MOHS_OK;
    if (!w.tile || !w.image || !w.text)
        st = mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory for %u x %u",
                       e->n_images, e->n_texts);
    for (uint32_t i = 0; st >= 0 && i < e->n_images; i++)
        w.image[i].best = -INFINITY;
    if (st >= 0)
        st = each_tile(&w, best_positives, err);
    if (st >= 0)
        st = each_tile(&w, count_ranks, err);
    if (st >= 0)
        st = fill(&w, err);
    free(w.tile);
    free(w.image);
    free(w.text);
    return st;
}

/* ---- summary ---- */

struct ranked {
    double rank;
    uint32_t weight;
};

static int by_rank(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->rank, y = ((const struct ranked *)b)->rank;
    return x < y ? -1 : x > y;
}

/* Lower-upper mean median of the weighted ranks in column c. */
static mohs_status median(const struct mohs_samples *s, const uint32_t *weight, uint32_t c,
                          double *out, struct mohs_error *err)
{
    struct ranked *v = malloc(((size_t)s->n_rows + 1) * sizeof *v);
    uint64_t total = 0, at = 0;
    size_t n = 0;
    if (!v)
        return mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory");
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double x = s->value[(size_t)r * s->n_columns + c];
        uint32_t w = weight ? weight[r] : 1;
        if (isnan(x) || !w)
            continue;
        v[n++] = (struct ranked) { x, w };
        total += w;
    }
    *out = NAN;
    qsort(v, n, sizeof *v, by_rank);
    double low = NAN;
    for (size_t i = 0; i < n; i++) {
        uint64_t end = at + v[i].weight;
        if (isnan(low) && end > (total - 1) / 2)
            low = v[i].rank;
        if (end > total / 2) {
            *out = (low + v[i].rank) / 2;
            break;
        }
        at = end;
    }
    free(v);
    return MOHS_OK;
}

static mohs_status summarise(void *self, const struct mohs_samples *s,
                             const uint32_t *weight, double *out, struct mohs_error *err)
{
    const struct retrieval *r = self;
    double recalls = 0;
    uint32_t n = 0;
    double mrr[2];
    for (int d = 0; d < 2; d++) {
        uint32_t c = first_column(r, d);
        double sum[MOHS_INTS_MAX + 1] = { 0 }, rows = 0;
        for (uint32_t row = 0; row < s->n_rows; row++) {
            const double *v = s->value + (size_t)row * s->n_columns + c;
            double w = weight ? weight[row] : 1;
            if (w == 0 || isnan(v[0]))
                continue;
            rows += w;
            for (int i = 0; i <= r->n_k; i++)
                sum[i] += w * v[1 + i];
        }
        mrr[d] = rows > 0 ? sum[0] / rows : NAN;
        for (int i = 0; i < r->n_k; i++) {
            out[n] = rows > 0 ? 100 * sum[1 + i] / rows : NAN;
            recalls += out[n++];
        }
    }
    out[n++] = recalls / (2 * r->n_k);
    out[n++] = mrr[0];
    out[n++] = mrr[1];
    mohs_status st = median(s, weight, first_column(r, 0), &out[n++], err);
    return st < 0 ? st : median(s, weight, first_column(r, 1), &out[n++], err);
}

/* ---- the plugin ---- */

static const struct mohs_metric_ops ops = {
    .size = sizeof ops,
    .create = create,
    .destroy = destroy,
    .columns = columns,
    .values = values,
    .measure = measure,
    .summarise = summarise,
};

static const struct mohs_param params[] = {
    { "k", "cut-offs of recall", MOHS_P_INTS, offsetof(struct params, k), 0, 1, 1e6, NULL,
      "1,5,10" },
};

static const struct mohs_item retrieval = {
    .size = sizeof retrieval,
    .param_stride = sizeof *params,
    .kind = MOHS_KIND_METRIC,
    .id = "retrieval",
    .summary = "image-text retrieval: recall at k, mean recall, MRR, median rank",
    .params = params,
    .n_params = 1,
    .params_size = sizeof(struct params),
    .ops = &ops,
};

static const struct mohs_item *const items[] = { &retrieval, NULL };
static const struct mohs_plugin plugin = {
    .size = sizeof plugin,
    .abi = MOHS_ABI,
    .id = "mohs.retrieval",
    .name = "Retrieval",
    .version = "1.0",
    .license = "MIT",
    .items = items,
};

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
