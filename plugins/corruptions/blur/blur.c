/* SPDX-License-Identifier: MIT */
/*
 * Gaussian and defocus blur of ImageNet-C. Defocus is the correlation with a
 * disk of radius r whose edge is softened by a small Gaussian, borders
 * mirrored. The disk lies on a grid of half-width max(8, r); the Gaussian is
 * 3x3 up to r = 8, else 5x5. Kernels and references round differently by at
 * most 1.
 */
#include "config.h"

#include "../common/pad.h"
#include "blur_items.h"

static const unsigned char text[] = {
#include "bytes.clh"
#include "separable.clh"
#include "pad.clh"
#include "blur.clh"
};

double gaussian_blur_sigma(const struct job *j)
{
    static const double sigma[3][5] = {
        { 1, 2, 3, 4, 6 },
        { .5, .75, 1, 1.25, 1.5 },
        { .4, .6, .7, .8, 1 },
    };
    return sigma[make_of(j)][j->level];
}

static void gaussian_device(struct job *j)
{
    struct blur b = blur_open(j, 0, gaussian_blur_sigma(j), 3);
    blur_bytes(j, &b, j->in, j->out);
}

/* ---- the disk ---- */

static const struct lens {
    double radius, alias;
} lenses[3][5] = {
    { { 3, .1 }, { 4, .5 }, { 6, .5 }, { 8, .5 }, { 10, .5 } },
    { { .5, .6 }, { 1, .1 }, { 1.5, .1 }, { 2.5, .01 }, { 3, .1 } },
    { { .3, .4 }, { .4, .5 }, { .5, .6 }, { 1, .2 }, { 1.5, .1 } },
};

/* One pass of the small Gaussian along rows (step 1) or columns. */
static void soften(float *w, int side, const double *g, int reach, int step,
                   int line)
{
    float copy[DISK_SIDE_MAX];
    for (int k = 0; k < side; k++) {
        float *p = w + k * line;
        for (int i = 0; i < side; i++)
            copy[i] = p[i * step];
        for (int i = 0; i < side; i++) {
            double s = 0;
            for (int d = -reach; d <= reach; d++)
                s += g[d + reach] * copy[mirror101(i + d, side)];
            p[i * step] = (float)s;
        }
    }
}

/* Drops the rim that is zero all around. */
static void disk_crop(struct disk *d)
{
    int old = 2 * d->half + 1, reach = 0;
    for (int y = 0; y < old; y++)
        for (int x = 0; x < old; x++)
            if (d->weight[y * old + x] > 0) {
                int r = abs(x - d->half) > abs(y - d->half) ? abs(x - d->half)
                                                            : abs(y - d->half);
                reach = r > reach ? r : reach;
            }
    int cut = d->half - reach, side = 2 * reach + 1;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            d->weight[y * side + x] = d->weight[(y + cut) * old + x + cut];
    d->half = reach;
}

void disk_make(const struct job *j, struct disk *d)
{
    const struct lens *l = &lenses[make_of(j)][j->level];
    int reach = l->radius <= 8 ? 1 : 2, side;
    double g[5], sum = 0;
    float total = 0;
    d->half = l->radius <= 8 ? 8 : (int)l->radius;
    side = 2 * d->half + 1;
    for (int y = -d->half; y <= d->half; y++)
        for (int x = -d->half; x <= d->half; x++) {
            float in = x * x + y * y <= l->radius * l->radius;
            d->weight[(y + d->half) * side + x + d->half] = in;
            total += in;
        }
    for (int i = 0; i < side * side; i++)
        d->weight[i] /= total;
    for (int k = -reach; k <= reach; k++)
        sum += g[k + reach] = exp(-k * k / (2 * l->alias * l->alias));
    for (int k = 0; k <= 2 * reach; k++)
        g[k] /= sum;
    soften(d->weight, side, g, reach, 1, side);
    soften(d->weight, side, g, reach, side, 1);
    disk_crop(d);
}

/* For four lines at once: three lines of zeros above and below, and the
 * first and last column in use on each of side + 3 source lines. */
static void disk_upload(struct job *j, int slot, uint64_t tag,
                        const struct disk *d)
{
    int side = 2 * d->half + 1;
    float w[(DISK_SIDE_MAX + 6) * DISK_SIDE_MAX] = { 0 };
    int32_t span[2 * (DISK_SIDE_MAX + 3)];
    uint8_t flat[256];
    for (int i = 0; i < side * side; i++)
        w[3 * side + i] = d->weight[i];
    for (int k = 0; k < side + 3; k++) {
        span[2 * k] = side;
        span[2 * k + 1] = -1;
        for (int i = 0; i < 4 * side; i++)
            if (w[k * side + i] > 0) {
                int x = i % side;
                span[2 * k] = x < span[2 * k] ? x : span[2 * k];
                span[2 * k + 1] = x > span[2 * k + 1] ? x : span[2 * k + 1];
            }
    }
    for (int v = 0; v < 256; v++)
        flat[v] = (uint8_t)v;
    // softened at the rim of its grid, a disk may sum up to more than 1
    for (int v = 0; v < 256; v++) {
        double s = 0;
        for (int i = 0; i < side * side; i++)
            s += (double)d->weight[i] * (v / 255.0);
        double byte = s * 255, whole = rint(byte);
        if (whole < 256 && fabs(byte - whole) < 1e-9)
            flat[(int)whole] = to_byte(s);
    }
    job_keep(j, slot, tag, w, sizeof w);
    job_keep(j, slot + 1, tag, span, sizeof span);
    job_keep(j, slot + 2, tag, flat, sizeof flat);
}

static void defocus_device(struct job *j)
{
    enum { WORK, WEIGHT, SPAN, FLAT };
    struct disk d;
    disk_make(j, &d);
    if (!job_has(j, FLAT, j->level + 1))
        disk_upload(j, WEIGHT, j->level + 1, &d);
    uint32_t r = (uint32_t)d.half;
    struct padded p =
        pad_pictures(j, WORK, j->in, j->width, j->height, 3, r, r, 1);
    job_run(j, "blur_disk", groups_of(j->row, 16), groups_of(j->height, 4),
            j->n, BUF(p.bytes), BUF(j->out), BUF(job_slot(j, WEIGHT)),
            BUF(job_slot(j, SPAN)), BUF(job_slot(j, FLAT)), I32(2 * d.half + 1),
            U32(j->row), U32(j->height), U32(p.pitch), U32(p.height));
}

static const struct corruption gaussian_blur_corruption = {
    .id = "gaussian_blur",
    .source = text,
    .source_bytes = sizeof text,
    .device = gaussian_device,
    .reference = gaussian_blur_reference,
};
static const struct corruption defocus_blur_corruption = {
    .id = "defocus_blur",
    .source = text,
    .source_bytes = sizeof text,
    .device = defocus_device,
    .reference = defocus_blur_reference,
};
CORRUPTION_ITEM(gaussian_blur, 0, "Gaussian blur (ImageNet-C, extra)");
CORRUPTION_ITEM(defocus_blur, 0,
                "out of focus: correlation with a soft disk (ImageNet-C)");
CORRUPTION_PLUGIN("mohs.blur", "Blur", &gaussian_blur_item, &defocus_blur_item)
