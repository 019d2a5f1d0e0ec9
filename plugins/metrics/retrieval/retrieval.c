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
 * are expectations over that; index order never decides. The median is that
 * of the expected ranks. A similarity that is not a number is an error.
 * rerank.c is the second stage for models with a matching head.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "retrieval.h"

enum { TILE_FLOATS = 4 << 20, NARROW = 64, BLOCK = 16 };

struct params {
    struct mohs_ints k;
    int32_t rerank, rerank_by;
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
    r->rerank = (uint32_t)p->rerank;
    r->rerank_by = p->rerank_by;
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

/* Expected outcomes into row[0..2+n_k): `a` candidates above, then g equal
 * ones of which p are positives. */
static void outcome(const struct retrieval *r, uint32_t a, uint32_t g, uint32_t p,
                    double *row)
{
    double prob = (double)p / g, rank = 0, reciprocal = 0;
    for (int i = 0; i < r->n_k; i++)
        row[2 + i] = 0;
    for (uint32_t j = 1; j + p <= g + 1; j++) {
        double at = (double)a + j;
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

static mohs_status counts_new(struct counts *c, uint32_t n, struct mohs_error *err)
{
    c->best = malloc(((size_t)n + 1) * sizeof *c->best);
    c->above = calloc((size_t)n + 1, sizeof *c->above);
    c->equal = calloc((size_t)n + 1, sizeof *c->equal);
    c->own = calloc((size_t)n + 1, sizeof *c->own);
    if (!c->best || !c->above || !c->equal || !c->own)
        return mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory for %u queries", n);
    for (uint32_t i = 0; i < n; i++)
        c->best[i] = -INFINITY;
    return MOHS_OK;
}

static void counts_free(struct counts *c)
{
    free(c->best);
    free(c->above);
    free(c->equal);
    free(c->own);
}

/* Texts that belong to images [i0,i1) have their similarities in w->tile, of
 * texts [t0,t1). */
static mohs_status best_positives(struct work *w, uint32_t i0, uint32_t i1, uint32_t t0,
                                  uint32_t t1, struct mohs_error *err)
{
    for (uint32_t t = t0; t < t1; t++) {
        uint32_t i = w->e->owner[t];
        if (i < i0 || i >= i1)
            continue;
        float s = w->tile[(size_t)(i - i0) * (t1 - t0) + (t - t0)];
        if (isnan(s))
            return mohs_fail(err, MOHS_E_NUMERIC,
                             "retrieval: the similarity of image %u and its text %u "
                             "is not a number", i, t);
        w->text.best[t] = s;
        w->text.own[t] = 1;
        if (s > w->image.best[i]) {
            w->image.best[i] = s;
            w->image.own[i] = 0;
        }
        w->image.own[i] += s == w->image.best[i];
    }
    return MOHS_OK;
}

/* Where the texts of an image lie. */
struct range {
    uint32_t first, end;
};

/* The best positives from narrow tiles: a few images and the texts from the
 * first to the last of theirs, which mostly lie together. Values do not depend
 * on the tiling, so the ties are those of the wide tiles. */
static mohs_status find_positives(struct work *w, struct mohs_error *err)
{
    uint32_t ni = w->e->n_images, nt = w->e->n_texts;
    struct range *of = malloc((size_t)ni * sizeof *of);
    mohs_status st = MOHS_OK;
    if (!of)
        return mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory for %u images", ni);
    for (uint32_t i = 0; i < ni; i++)
        of[i] = (struct range) { nt, 0 };
    for (uint32_t t = 0; t < nt; t++) {
        struct range *r = &of[w->e->owner[t]];
        r->first = t < r->first ? t : r->first;
        r->end = t + 1;
    }
    for (uint32_t i = 0, end; i < ni && st >= 0; i = end) {
        struct range all = of[i];
        for (end = i + 1; end < ni; end++) {
            if (end - i >= NARROW && all.end - all.first < nt / 2)
                break; // more images would only make it wider
            uint32_t first = of[end].first < all.first ? of[end].first : all.first;
            uint32_t last = of[end].end > all.end ? of[end].end : all.end;
            if (last > first && (uint64_t)(last - first) * (end + 1 - i) > w->room)
                break;
            all = (struct range) { first, last };
        }
        if (all.end <= all.first)
            continue;
        st = w->e->similarity(w->e, i, end, all.first, all.end, w->tile, err);
        if (st >= 0)
            st = best_positives(w, i, end, all.first, all.end, err);
    }
    free(of);
    return st;
}

/* How many of row[0..n) are above, equal to and not comparable with x. Blocks
 * of a fixed length become vector code. */
static void count_row(const float *row, uint32_t n, float x, uint32_t count[3])
{
    uint32_t above[BLOCK] = { 0 }, equal[BLOCK] = { 0 }, odd[BLOCK] = { 0 }, t = 0;
    for (; n - t >= BLOCK; t += BLOCK)
        for (uint32_t j = 0; j < BLOCK; j++) {
            above[j] += row[t + j] > x;
            equal[j] += row[t + j] == x;
            odd[j] += row[t + j] != row[t + j];
        }
    for (uint32_t j = 0; t + j < n; j++) {
        above[j] += row[t + j] > x;
        equal[j] += row[t + j] == x;
        odd[j] += row[t + j] != row[t + j];
    }
    for (uint32_t j = 0; j < BLOCK; j++) {
        count[0] += above[j];
        count[1] += equal[j];
        count[2] += odd[j];
    }
}

/* Adds 1 to above[t] and equal[t] where row[t] is above or equal to best[t]. */
static void count_columns(const float *row, uint32_t n, const float *best,
                          uint32_t *above, uint32_t *equal)
{
    uint32_t t = 0;
    for (; n - t >= BLOCK; t += BLOCK) {
        uint32_t more[BLOCK], same[BLOCK];
        for (uint32_t j = 0; j < BLOCK; j++) {
            more[j] = row[t + j] > best[t + j];
            same[j] = row[t + j] == best[t + j];
        }
        for (uint32_t j = 0; j < BLOCK; j++) {
            above[t + j] += more[j];
            equal[t + j] += same[j];
        }
    }
    for (; t < n; t++) {
        above[t] += row[t] > best[t];
        equal[t] += row[t] == best[t];
    }
}

/* Tiles of whole rows, each made once; the tile may hold everything already. */
static mohs_status count_ranks(struct work *w, int there, struct mohs_error *err)
{
    uint32_t ni = w->e->n_images, nt = w->e->n_texts;
    for (uint32_t i0 = 0; i0 < ni; i0 += w->rows) {
        uint32_t end = ni - i0 < w->rows ? ni : i0 + w->rows;
        if (!there) {
            mohs_status st = w->e->similarity(w->e, i0, end, 0, nt, w->tile, err);
            if (st < 0)
                return st;
        }
        for (uint32_t i = i0; i < end; i++) {
            const float *row = w->tile + (size_t)(i - i0) * nt;
            uint32_t count[3] = { 0 };
            count_row(row, nt, w->image.best[i], count);
            count_columns(row, nt, w->text.best, w->text.above, w->text.equal);
            if (count[2])
                return mohs_fail(err, MOHS_E_NUMERIC,
                                 "retrieval: similarities of image %u are not numbers", i);
            w->image.above[i] = count[0];
            w->image.equal[i] = count[1];
        }
    }
    return MOHS_OK;
}

/* Each similarity is made once, those of positives twice. */
static mohs_status count_all(struct work *w, struct mohs_error *err)
{
    uint32_t ni = w->e->n_images, nt = w->e->n_texts;
    mohs_status st;
    if (w->rows < ni) {
        st = find_positives(w, err);
    } else {
        st = w->e->similarity(w->e, 0, ni, 0, nt, w->tile, err);
        if (st >= 0)
            st = best_positives(w, 0, ni, 0, nt, err);
    }
    return st < 0 ? st : count_ranks(w, w->rows >= ni, err);
}

static mohs_status fill(struct work *w, struct mohs_error *err)
{
    const struct retrieval *r = w->r;
    const struct counts *im = &w->image, *tx = &w->text;
    uint32_t ni = w->e->n_images, nt = w->e->n_texts, queries = 0, row = 0;
    for (uint32_t i = 0; i < ni; i++)
        queries += im->own[i] > 0; // images without captions ask nothing
    mohs_status st = w->s->alloc(w->s, queries + nt, ni, err);
    if (st < 0)
        return st;
    for (size_t k = 0; k < (size_t)(queries + nt) * r->n_columns; k++)
        w->s->value[k] = NAN;
    for (uint32_t i = 0; i < ni; i++) {
        if (!im->own[i])
            continue;
        outcome(r, im->above[i], im->equal[i], im->own[i],
                w->s->value + (size_t)row * r->n_columns);
        w->s->cluster[row++] = i;
    }
    for (uint32_t t = 0; t < nt; t++) {
        outcome(r, tx->above[t], tx->equal[t], tx->own[t],
                w->s->value + (size_t)row * r->n_columns + first_column(r, 1));
        w->s->cluster[row++] = w->e->owner[t];
    }
    return MOHS_OK;
}

static mohs_status check(const struct mohs_eval *e, struct mohs_error *err)
{
    if (!e->owner)
        return mohs_fail(err, MOHS_E_ARG, "retrieval: the texts have no images");
    if (!e->n_images || !e->n_texts)
        return mohs_fail(err, MOHS_E_ARG, "retrieval: %u images and %u texts", e->n_images,
                         e->n_texts);
    for (uint32_t t = 0; t < e->n_texts; t++)
        if (e->owner[t] >= e->n_images)
            return mohs_fail(err, MOHS_E_ARG, "retrieval: text %u belongs to image %u of %u",
                             t, e->owner[t], e->n_images);
    return MOHS_OK;
}

static mohs_status measure(void *self, const struct mohs_eval *e, struct mohs_samples *s,
                           struct mohs_error *err)
{
    struct work w = { .r = self, .e = e, .s = s };
    mohs_status st = check(e, err);
    if (st < 0)
        return st;
    w.rows = TILE_FLOATS / e->n_texts;
    w.rows = w.rows ? w.rows : 1;
    w.rows = w.rows < e->n_images ? w.rows : e->n_images;
    w.room = (uint64_t)w.rows * e->n_texts;
    w.tile = malloc((size_t)w.room * sizeof *w.tile);
    if (!w.tile)
        st = mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory for %u x %u", e->n_images,
                       e->n_texts);
    if (st >= 0)
        st = counts_new(&w.image, e->n_images, err);
    if (st >= 0)
        st = counts_new(&w.text, e->n_texts, err);
    if (st >= 0)
        st = count_all(&w, err);
    if (st >= 0 && w.r->rerank)
        st = rerank(&w, err);
    if (st >= 0)
        st = fill(&w, err);
    free(w.tile);
    counts_free(&w.image);
    counts_free(&w.text);
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

/* Rank of place `place` (from 0) among the weighted ranks of column c, all of
 * which lie in [bucket, bucket + 1) after `before` smaller ones. */
static double pick(const struct mohs_samples *s, const uint32_t *weight, uint32_t c,
                   double bucket, uint64_t before, uint64_t place, struct ranked *room)
{
    size_t n = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double x = s->value[(size_t)r * s->n_columns + c];
        uint32_t w = weight ? weight[r] : 1;
        if (w && x >= bucket && x < bucket + 1)
            room[n++] = (struct ranked) { x, w };
    }
    qsort(room, n, sizeof *room, by_rank);
    for (size_t i = 0; i < n; i++) {
        before += room[i].weight;
        if (before > place)
            return room[i].rank;
    }
    return NAN;
}

/* Mean of the two middle ones of the weighted ranks in column c. Counted by
 * whole ranks first: sorting thousands of rows for every resample is slow. */
static mohs_status median(const struct mohs_samples *s, const uint32_t *weight, uint32_t c,
                          double *out, struct mohs_error *err)
{
    double most = 0, middle[2] = { NAN, NAN };
    uint64_t total = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double x = s->value[(size_t)r * s->n_columns + c];
        most = x > most ? x : most;
    }
    size_t buckets = (size_t)most + 1;
    uint64_t *count = calloc(buckets, sizeof *count);
    struct ranked *room = malloc(((size_t)s->n_rows + 1) * sizeof *room);
    if (!count || !room) {
        free(count);
        free(room);
        return mohs_fail(err, MOHS_E_NOMEM, "retrieval: no memory for %u rows", s->n_rows);
    }
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double x = s->value[(size_t)r * s->n_columns + c];
        uint32_t w = weight ? weight[r] : 1;
        if (isnan(x))
            continue;
        count[(size_t)x] += w;
        total += w;
    }
    uint64_t place[2] = { total ? (total - 1) / 2 : 0, total / 2 }, before = 0;
    for (size_t b = 0; total && b < buckets; before += count[b++])
        for (int i = 0; i < 2; i++)
            if (place[i] >= before && place[i] < before + count[b])
                middle[i] = pick(s, weight, c, (double)b, before, place[i], room);
    *out = (middle[0] + middle[1]) / 2;
    free(count);
    free(room);
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

static uint64_t pairs(void *self, uint32_t n_images, uint32_t n_texts)
{
    return rerank_pairs(self, n_images, n_texts);
}

static const struct mohs_pair_need need = {
    .size = sizeof need,
    .pairs = pairs,
};

static const void *extension(void *self, const char *id)
{
    (void)self;
    return strcmp(id, MOHS_EXT_PAIR_NEED) ? NULL : &need;
}

static const struct mohs_metric_ops ops = {
    .size = sizeof ops,
    .create = create,
    .destroy = destroy,
    .columns = columns,
    .values = values,
    .measure = measure,
    .summarise = summarise,
    .get_extension = extension,
};

static const char *const ranked_by[] = { "sum", "match", "probability", NULL };
static const struct mohs_param params[] = {
    { "k", "cut-offs of recall", MOHS_P_INTS, offsetof(struct params, k), 0, 1, 1e6, NULL,
      "1,5,10" },
    { "rerank",
      "first candidates of each query, by similarity, that the model's "
      "matching head ranks anew: 256 on Flickr30K and 128 on COCO in BLIP; "
      "0: none",
      MOHS_P_INT, offsetof(struct params, rerank), 0, 0, 1e6, NULL, NULL },
    { "rerank_by",
      "what they are ranked by: sum, the logit of a match plus the "
      "similarity, as BLIP does; match, the logit; probability, its softmax",
      MOHS_P_CHOICE, offsetof(struct params, rerank_by), RERANK_SUM, 0, 2, ranked_by,
      NULL },
};

static const struct mohs_item retrieval = {
    .size = sizeof retrieval,
    .param_stride = sizeof *params,
    .kind = MOHS_KIND_METRIC,
    .id = "retrieval",
    .summary = "image-text retrieval: recall at k, mean recall, MRR, median rank",
    .params = params,
    .n_params = sizeof params / sizeof *params,
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
