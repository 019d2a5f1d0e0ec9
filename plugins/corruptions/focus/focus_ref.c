/* SPDX-License-Identifier: MIT */
/* Focus in plain C and double precision. */
#include "config.h"

#include "focus.h"

/* Of pixel (x, y), channel c. */
static double blurred(const struct job *j, const double *work, const float *w,
                      int reach, uint32_t x, uint32_t y, uint32_t c)
{
    double s = 0;
    for (int i = -reach; i <= reach; i++)
        s += w[i + reach] *
             work[(size_t)y * j->row +
                  3 * (size_t)clamp_index((int)x + i, (int)j->width) + c];
    return s;
}

static void columns(const struct job *j, const uint8_t *in, const float *w,
                    int reach, double *work)
{
    for (uint32_t i = 0; i < j->values; i++) {
        double s = 0;
        int y = (int)(i / j->row), h = (int)j->height;
        for (int k = -reach; k <= reach; k++)
            s += w[k + reach] *
                 in[(size_t)clamp_index(y + k, h) * j->row + i % j->row];
        work[i] = s;
    }
}

/* The part that layer k has in a pixel of depth d. */
static double part(const struct focus *f, int k, float d)
{
    int r = 1;
    while (r < FOCUS_LAYERS - 1 && f->value[r] < d)
        r++;
    if (k != r && k != r - 1)
        return 0;
    double gap = (double)f->value[r] - f->value[r - 1];
    double a = (d - (double)f->value[r - 1]) / gap, b = (f->value[r] - d) / gap;
    double left = 1 - a * a, right = 1 - b * b;
    return (k == r ? right : left) / (left + right);
}

static void reference(struct job *j, uint32_t n, uint8_t *out, int far)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    float *depth = job_scratch(j, j->pixels, sizeof *depth);
    struct focus f;
    if (!depth)
        return;
    depth_make(j, n, depth);
    focus_plan(j, depth, far, &f);
    double *work = job_scratch(j, j->values, sizeof *work);
    double *sum = job_scratch(j, j->values, sizeof *sum);
    for (uint32_t i = 0; j->st >= 0 && i < j->values; i++)
        sum[i] = 0;
    for (int k = 0; k < FOCUS_LAYERS; k++) {
        int reach = (int)f.reach[k];
        float *w = job_scratch(j, 2 * (size_t)reach + 1, sizeof *w);
        if (j->st < 0)
            return;
        focus_weights(&f, k, w);
        columns(j, in, w, reach, work);
        for (uint32_t i = 0; i < j->values; i++) {
            double p = part(&f, k, depth[i / 3]);
            if (p > 0)
                sum[i] += p * blurred(j, work, w, reach, i / 3 % j->width,
                                      i / j->row, i % 3);
        }
    }
    for (uint32_t i = 0; i < j->values; i++)
        out[i] = keep_byte(sum[i]);
}

void near_focus_reference(struct job *j, uint32_t n, uint8_t *out)
{
    reference(j, n, out, 0);
}

void far_focus_reference(struct job *j, uint32_t n, uint8_t *out)
{
    reference(j, n, out, 1);
}
