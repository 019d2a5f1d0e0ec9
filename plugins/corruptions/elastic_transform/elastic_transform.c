/* SPDX-License-Identifier: MIT */
/*
 * Elastic transform of ImageNet-C: a random affine map (scripts only), then
 * displacement by smoothed random fields, bilinear, mirrored. Kernel and
 * reference differ by at most 2: a coordinate that rounds differently moves a
 * hard edge by a little.
 */
#include "config.h"

#include "elastic.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "philox.clh"
#include "bytes.clh"
#include "elastic_transform.clh"
};

struct elastic elastic_of(const struct job *j)
{
    // the scripts' 244 is history; for 64 and 32 pixels these are their own
    static const struct {
        double size, c[5][3];
    } script[3] = {
        { 244,
          { { 2, .7, .1 },
            { 2, .08, .2 },
            { .05, .01, .02 },
            { .07, .01, .02 },
            { .12, .01, .02 } } },
        { 64,
          { { 0, 0, .08 },
            { .05, .3, .06 },
            { .1, .08, .06 },
            { .1, .03, .03 },
            { .16, .03, .02 } } },
        { 32,
          { { 0, 0, .08 },
            { .05, .2, .07 },
            { .08, .06, .06 },
            { .1, .04, .05 },
            { .1, .03, .03 } } },
    };
    static const double package[5] = { 12.5, 16.25, 21.25, 25, 30 };
    double w = j->width, h = j->height;
    if (j->profile == IMAGECORRUPTIONS)
        return (struct elastic) { package[j->level], w * 0.01, h * 0.01,
                                  h * 0.005, 0 };
    const double *c = script[make_of(j)].c[j->level];
    double size = script[make_of(j)].size;
    return (struct elastic) { size * c[0], size * c[1], size * c[1], 1,
                              size * c[2] };
}

/* cv2.getAffineTransform: three points moved by the jitter. Their first
 * coordinate runs across, though it is made from the height. */
void elastic_affine(const struct job *j, uint32_t i, const struct elastic *c,
                    double m[6])
{
    uint32_t small = j->width < j->height ? j->width : j->height;
    float cx = (float)(j->height / 2), cy = (float)(j->width / 2);
    float side = (float)(small / 3);
    double p[3][2] = { { cx + side, cy + side },
                       { cx + side, cy - side },
                       { cx - side, cy - side } };
    double q[3][2];
    for (int k = 0; k < 6; k++) {
        double u = mohs_rng_uniform(j->seed, j->key[i], (uint64_t)k);
        q[k / 2][k % 2] =
            (double)((float)p[k / 2][k % 2] + (float)(c->jitter * (2 * u - 1)));
    }
    // backwards at once: from the moved points q to p
    double ax = q[1][0] - q[0][0], ay = q[1][1] - q[0][1];
    double bx = q[2][0] - q[0][0], by = q[2][1] - q[0][1],
           det = ax * by - bx * ay;
    for (int r = 0; r < 2; r++) {
        double a = p[1][r] - p[0][r], b = p[2][r] - p[0][r];
        m[3 * r] = det != 0 ? (a * by - b * ay) / det : r == 0;
        m[3 * r + 1] = det != 0 ? (b * ax - a * bx) / det : r == 1;
        m[3 * r + 2] = p[0][r] - m[3 * r] * q[0][0] - m[3 * r + 1] * q[0][1];
    }
}

struct band band_make(struct job *j, uint32_t n, double sigma)
{
    int r = (int)(3 * sigma + 0.5), size = (int)n;
    struct band b = { .n = n,
                      .len =
                          2 * (uint32_t)r + 1 < n ? 2 * (uint32_t)r + 1 : n };
    double *tap = job_scratch(j, 2 * (size_t)r + 1, sizeof *tap), sum = 0;
    b.first = job_scratch(j, n, sizeof *b.first);
    b.weight = job_scratch(j, (size_t)n * b.len, sizeof *b.weight);
    if (!tap || !b.first || !b.weight)
        return (struct band) { 0 };
    memset(b.weight, 0, (size_t)n * b.len * sizeof *b.weight);
    for (int k = -r; k <= r; k++)
        sum += tap[k + r] = r ? exp(-0.5 / (sigma * sigma) * k * k) : 1;
    for (int i = 0; i < size; i++) {
        int first = i - r < 0 ? 0 : i - r;
        b.first[i] = first + (int)b.len > size ? size - (int)b.len : first;
        for (int k = -r; k <= r; k++)
            b.weight[(size_t)i * b.len +
                     (size_t)(mirror_half(i + k, size) - b.first[i])] +=
                tap[k + r] / sum;
    }
    return b;
}

/* Lines of weights with 7 zeros before and 8 after, for eight at once. */
static void band_upload(struct job *j, int slot, uint64_t tag, uint32_t n,
                        double sigma, uint32_t *len)
{
    uint32_t r = (uint32_t)(3 * sigma + 0.5);
    *len = 2 * r + 1 < n ? 2 * r + 1 : n;
    if (job_has(j, slot, tag))
        return;
    struct band b = band_make(j, n, sigma);
    size_t line = b.len + 16u;
    float *w = job_scratch(j, n * line, sizeof *w);
    if (!b.weight || !w)
        return;
    memset(w, 0, n * line * sizeof *w);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < b.len; k++)
            w[i * line + 8 + k] = (float)b.weight[i * b.len + k];
    job_keep(j, slot, tag, w, n * line * sizeof *w);
    job_keep(j, slot + 1, tag, b.first, n * sizeof *b.first);
}

/* One field to `slot` + 1; slots FIELD and HALF are free after it. */
static void field_smooth(struct job *j, const struct elastic *c, uint64_t fork,
                         struct mohs_buffer *out)
{
    enum { FIELD, HALF, COLUMNS, ROWS = 4 };
    uint32_t w = j->width, h = j->height, len;
    uint64_t tag = j->level + 1;
    size_t bytes = ((size_t)j->n * j->pixels + 16) * sizeof(float);
    struct mohs_buffer *field = job_buffer(j, FIELD, bytes);
    struct mohs_buffer *half = job_buffer(j, HALF, bytes);
    job_run(j, "field_uniform", strips_of(j->pixels, 64), j->n, 1, BUF(field),
            BUF(j->keys), U64(mohs_rng_fork(j->seed, fork)), U32(j->pixels));
    band_upload(j, COLUMNS, (uint64_t)h << 8 | tag, h, c->sigma_y, &len);
    job_run(j, "elastic_smooth", groups_of(w, 16), groups_of(h, 8), j->n,
            BUF(field), BUF(half), BUF(job_slot(j, COLUMNS)),
            BUF(job_slot(j, COLUMNS + 1)), U32(len), U32(h), U32(w));
    band_upload(j, ROWS, (uint64_t)w << 8 | tag, w, c->sigma_x, &len);
    job_run(j, "elastic_smooth", groups_of(h, 16), groups_of(w, 8), j->n,
            BUF(half), BUF(out), BUF(job_slot(j, ROWS)),
            BUF(job_slot(j, ROWS + 1)), U32(len), U32(w), U32(h));
}

static struct mohs_buffer *warp(struct job *j, const struct elastic *c,
                                int slot)
{
    float *map = job_scratch(j, (size_t)j->n * 6, sizeof *map);
    size_t bytes = (size_t)j->n * j->pixels * 4 * sizeof(float);
    struct mohs_buffer *out = job_buffer(j, slot, bytes);
    for (uint32_t i = 0; map && i < j->n; i++) {
        double m[6];
        elastic_affine(j, i, c, m);
        for (uint32_t k = 0; k < 6; k++)
            map[i * 6 + k] = (float)m[k];
    }
    struct mohs_buffer *maps =
        job_upload(j, slot + 1, map, (size_t)j->n * 6 * sizeof *map);
    job_run(j, "elastic_warp", j->height, j->n, 1, BUF(j->in), BUF(out),
            BUF(maps), U32(j->width), I32(c->jitter > 0));
    return out;
}

static void device(struct job *j)
{
    enum { ACROSS = 6, DOWN, WARPED, MAPS, FLAT };
    struct elastic c = elastic_of(j);
    size_t bytes = ((size_t)j->n * j->pixels + 16) * sizeof(float);
    struct mohs_buffer *across = job_buffer(j, ACROSS, bytes);
    struct mohs_buffer *down = job_buffer(j, DOWN, bytes);
    if (c.amount > 0) {
        field_smooth(j, &c, ELASTIC_ACROSS, across);
        field_smooth(j, &c, ELASTIC_DOWN, down);
    }
    if (!job_has(j, FLAT, 1)) {
        uint8_t flat[256];
        for (int v = 0; v < 256; v++) {
            float x = (float)v / 255.0f;
            flat[v] = (uint8_t)(x * 255.0f);
        }
        job_keep(j, FLAT, 1, flat, sizeof flat);
    }
    struct mohs_buffer *warped = warp(j, &c, WARPED);
    job_run(j, "elastic_apply", j->height, j->n, 1, BUF(warped), BUF(j->out),
            BUF(across), BUF(down), BUF(job_slot(j, FLAT)),
            F32((float)(c.amount * c.span)), U32(j->width));
}

static const struct corruption elastic_transform_corruption = {
    .id = "elastic_transform",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = elastic_transform_reference,
};
CORRUPTION_ITEM(elastic_transform, MOHS_CORRUPTION_STOCHASTIC,
                "stretched and bent (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.elastic_transform", "Elastic transform",
                  &elastic_transform_item)
