/* SPDX-License-Identifier: MIT */
/* Camera motion in plain C, in the single precision of the kernel. */
#include "config.h"

#include <limits.h>

#include "motion_3d.h"

/* One frame; near and face hold 1 / depth, 0 where nothing is. */
struct frame {
    const uint8_t *rgb;
    const float *z;
    float *near, *face, *behind, *seen; /* seen: r, g, b, weight */
    int w, h;
};

struct spot {
    int x, y; /* parts of a pixel */
    float one;
};

static int mirror(int i, int n)
{
    i = i < 0 ? -i : i;
    return i < n ? i : 2 * n - 2 - i;
}

static int seen_at(const struct frame *f, const struct view *v, int x, int y,
                   float z, struct spot *s)
{
    float mx = (float)(f->w - 1) * 0.5f, my = (float)(f->h - 1) * 0.5f;
    float to = z + v->oz;
    if (!(z > 0) || !(to > 1e-5f))
        return 0;
    float one = 1 / to;
    float px = (((float)x - mx) * z + v->ox) * one + mx;
    float py = (((float)y - my) * z + v->oy) * one + my;
    if (!(px > -1) || !(py > -1) || !(px < (float)f->w) || !(py < (float)f->h))
        return 0;
    s->x = (int)floorf(px * MOTION_GRID + 0.5f);
    s->y = (int)floorf(py * MOTION_GRID + 0.5f);
    s->one = one;
    return 1;
}

/* floor(i / MOTION_GRID); i is no less than -MOTION_GRID. */
static int whole(int i)
{
    return (i + MOTION_GRID) / MOTION_GRID - 1;
}

static void nearest_point(const struct frame *f, const struct spot *s)
{
    int x = whole(s->x + MOTION_GRID / 2), y = whole(s->y + MOTION_GRID / 2);
    if (x < 0 || y < 0 || x >= f->w || y >= f->h)
        return;
    float *p = f->near + y * f->w + x;
    *p = s->one > *p ? s->one : *p;
}

static void close_grid(const struct frame *f)
{
    static const int dx[4] = { 1, 0, 1, 1 }, dy[4] = { 0, 1, 1, -1 };
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            float here = f->near[y * f->w + x], sum = 0;
            int count = 0;
            for (int k = 0; k < 4; k++) {
                int ax = x + dx[k], ay = y + dy[k];
                int bx = x - dx[k], by = y - dy[k];
                if (ax >= f->w || bx < 0 || ay >= f->h || by < 0 || ay < 0 ||
                    by >= f->h)
                    continue;
                float a = f->near[ay * f->w + ax], b = f->near[by * f->w + bx];
                if (here <= a - MOTION_SAME && here <= b - MOTION_SAME) {
                    sum = sum + a + b;
                    count += 2;
                }
            }
            float mean = count ? sum / (float)count : 0;
            f->face[y * f->w + x] = mean > here ? mean : here;
        }
}

static void spread(const struct frame *f, int x, int y, int part, float one,
                   int from)
{
    int i = y * f->w + x;
    if (part == 0 || x < 0 || y < 0 || x >= f->w || y >= f->h ||
        one < f->face[i] - MOTION_SAME)
        return;
    for (int c = 0; c < 3; c++)
        f->seen[4 * i + c] += (float)(part * f->rgb[3 * from + c]);
    f->seen[4 * i + 3] += (float)part;
    f->behind[i] += (float)part * f->z[from];
}

static void spread_point(const struct frame *f, const struct spot *s, int from)
{
    int x = whole(s->x), y = whole(s->y);
    int ax = s->x - x * MOTION_GRID, ay = s->y - y * MOTION_GRID;
    int bx = MOTION_GRID - ax, by = MOTION_GRID - ay;
    spread(f, x, y, bx * by, s->one, from);
    spread(f, x + 1, y, ax * by, s->one, from);
    spread(f, x, y + 1, bx * ay, s->one, from);
    spread(f, x + 1, y + 1, ax * ay, s->one, from);
}

static void points(const struct frame *f, const struct path *p,
                   const struct view *v, int spreading)
{
    for (int y = -p->top; y < f->h + p->bottom; y++)
        for (int x = -p->left; x < f->w + p->right; x++) {
            int from = mirror(y, f->h) * f->w + mirror(x, f->w);
            struct spot s;
            if (!seen_at(f, v, x, y, f->z[from], &s))
                continue;
            if (spreading)
                spread_point(f, &s, from);
            else
                nearest_point(f, &s);
        }
}

static int hit(const struct frame *f, int x, int y, float dx, float dy)
{
    float fx = (float)x, fy = (float)y;
    int reach = (f->w > f->h ? f->w : f->h) / 8;
    for (int k = 0; k < (reach > 8 ? reach : 8); k++) {
        fx = fx + dx;
        fy = fy + dy;
        int ix = (int)floorf(fx + 0.5f), iy = (int)floorf(fy + 0.5f);
        if (ix < 0 || iy < 0 || ix >= f->w || iy >= f->h)
            return -1;
        if (f->seen[4 * (iy * f->w + ix) + 3] > 0)
            return iy * f->w + ix;
    }
    return -1;
}

static int squared(const struct frame *f, int a, int b)
{
    int x = a % f->w - b % f->w, y = a / f->w - b / f->w;
    return x * x + y * y;
}

static float depth_at(const struct frame *f, int i)
{
    return f->behind[i] / f->seen[4 * i + 3];
}

static int filler(const struct frame *f, int x, int y)
{
    static const float ray[N_RAYS][2] = {
        { -0.70710678f, 0.70710678f }, { 0, 1 },
        { 0.70710678f, 0.70710678f },  { 1, 0 },
        { -0.44721360f, 0.89442719f }, { 0.44721360f, 0.89442719f },
        { 0.89442719f, 0.44721360f },  { 0.89442719f, -0.44721360f },
        { -0.55470020f, 0.83205029f }, { -0.31622777f, 0.94868330f },
        { 0.31622777f, 0.94868330f },  { 0.55470020f, 0.83205029f },
        { 0.83205029f, 0.55470020f },  { 0.94868330f, 0.31622777f },
        { 0.94868330f, -0.31622777f }, { 0.83205029f, -0.55470020f },
    };
    int best = -1, single = -1, shortest = INT_MAX, closest = INT_MAX;
    for (int k = 0; k < N_RAYS; k++) {
        int end[2] = { hit(f, x, y, -ray[k][0], -ray[k][1]),
                       hit(f, x, y, ray[k][0], ray[k][1]) };
        for (int e = 0; e < 2; e++)
            if (end[e] >= 0 && squared(f, end[e], y * f->w + x) < closest) {
                closest = squared(f, end[e], y * f->w + x);
                single = end[e];
            }
        if (end[0] >= 0 && end[1] >= 0 &&
            squared(f, end[0], end[1]) < shortest) {
            shortest = squared(f, end[0], end[1]);
            best = end[depth_at(f, end[0]) < depth_at(f, end[1])];
        }
    }
    return best >= 0 ? best : single;
}

static void add_frame(const struct frame *f, uint32_t *sum)
{
    for (int i = 0; i < f->w * f->h; i++) {
        int from = f->seen[4 * i + 3] > 0 ? i : filler(f, i % f->w, i / f->w);
        const float *s = f->seen + 4 * from;
        for (int c = 0; c < 3; c++)
            sum[3 * i + c] += from < 0 ? f->rgb[3 * i + c]
                                       : keep_byte(s[c] / s[3]);
    }
}

static void reference(struct job *j, uint32_t n, uint8_t *out, int along)
{
    float *z = job_scratch(j, j->pixels, sizeof *z);
    float *work = job_scratch(j, (size_t)j->pixels * 7, sizeof *work);
    uint32_t *sum = job_scratch(j, j->values, sizeof *sum);
    struct path p;
    if (j->st < 0)
        return;
    motion_depth(j, n, z);
    motion_path(j, n, along, &p);
    struct frame f = {
        .rgb = j->rgb + (size_t)n * j->values,
        .z = z,
        .near = work,
        .face = work + j->pixels,
        .behind = work + 2 * (size_t)j->pixels,
        .seen = work + 3 * (size_t)j->pixels,
        .w = (int)j->width,
        .h = (int)j->height,
    };
    memset(sum, 0, j->values * sizeof *sum);
    for (uint32_t k = 0; k < p.frames; k++) {
        memset(work, 0, (size_t)j->pixels * 7 * sizeof *work);
        points(&f, &p, &p.view[k], 0);
        close_grid(&f);
        points(&f, &p, &p.view[k], 1);
        add_frame(&f, sum);
    }
    for (uint32_t i = 0; i < j->values; i++)
        out[i] = (uint8_t)(sum[i] / p.frames);
}

void xy_motion_blur_reference(struct job *j, uint32_t n, uint8_t *out)
{
    reference(j, n, out, 0);
}

void z_motion_blur_reference(struct job *j, uint32_t n, uint8_t *out)
{
    reference(j, n, out, 1);
}
