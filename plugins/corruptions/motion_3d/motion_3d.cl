/* SPDX-License-Identifier: MIT */
/* What the camera sees along its path; struct path of motion_3d.h. Written
 * without fused operations, so that motion_3d_ref.c does the same. */
#pragma OPENCL FP_CONTRACT OFF

#define GRID 128
#define SAME 0.025f
#define REACH_LEAST 8

struct view {
    float ox, oy, oz, unused;
};

struct path {
    uint frames;
    struct view view[60];
    int left, right, top, bottom;
};

/* One frame's buffers; SURFACE and NEAR hold 1 / depth, 0 where nothing is. */
struct frame {
    __global const uchar *rgb;
    __global const float *z;
    __global float *near, *face, *behind;
    __global float4 *seen;
    int w, h;
};

static inline int mirror(int i, int n)
{
    i = i < 0 ? -i : i;
    return i < n ? i : 2 * n - 2 - i;
}

/* Where point (x, y) of depth z is seen, in parts of a pixel; false when it
 * is not. */
static inline bool seen_at(const struct frame *f, const struct view *v, int x,
                           int y, float z, int2 *at, float *inverse)
{
    float mx = (f->w - 1) * 0.5f, my = (f->h - 1) * 0.5f, to = z + v->oz;
    if (!(z > 0) || !(to > 1e-5f))
        return false;
    float one = 1.0f / to;
    float px = ((x - mx) * z + v->ox) * one + mx;
    float py = ((y - my) * z + v->oy) * one + my;
    if (!(px > -1) || !(py > -1) || !(px < f->w) || !(py < f->h))
        return false;
    *at = (int2)((int)floor(px * GRID + 0.5f), (int)floor(py * GRID + 0.5f));
    *inverse = one;
    return true;
}

static void nearest_points(const struct frame *f, const struct path *p,
                           const struct view *v)
{
    for (int y = -p->top; y < f->h + p->bottom; y++)
        for (int x = -p->left; x < f->w + p->right; x++) {
            int2 at;
            float one;
            int from = mirror(y, f->h) * f->w + mirror(x, f->w);
            if (!seen_at(f, v, x, y, f->z[from], &at, &one))
                continue;
            at = (at + GRID / 2) >> 7;
            if (at.x >= 0 && at.y >= 0 && at.x < f->w && at.y < f->h)
                f->near[at.y * f->w + at.x] =
                    fmax(f->near[at.y * f->w + at.x], one);
        }
}

/* Between two nearer points across a gap of the grid: on their surface. */
static void close_grid(const struct frame *f)
{
    const int dx[4] = { 1, 0, 1, 1 }, dy[4] = { 0, 1, 1, -1 };
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            float here = f->near[y * f->w + x], sum = 0;
            int count = 0;
            for (int k = 0; k < 4; k++) {
                int ax = x + dx[k], ay = y + dy[k];
                int bx = x - dx[k], by = y - dy[k];
                if (min(min(ax, bx), min(ay, by)) < 0 || max(ax, bx) >= f->w ||
                    max(ay, by) >= f->h)
                    continue;
                float a = f->near[ay * f->w + ax], b = f->near[by * f->w + bx];
                if (here <= a - SAME && here <= b - SAME) {
                    sum = sum + a + b;
                    count += 2;
                }
            }
            f->face[y * f->w + x] = count ? fmax(here, sum / count) : here;
        }
}

static void spread(const struct frame *f, int x, int y, int part, float one,
                   float z, __global const uchar *c)
{
    int i = y * f->w + x;
    if (part == 0 || x < 0 || y < 0 || x >= f->w || y >= f->h ||
        one < f->face[i] - SAME)
        return;
    f->seen[i] += (float4)(part * c[0], part * c[1], part * c[2], part);
    f->behind[i] = f->behind[i] + part * z;
}

static void spread_points(const struct frame *f, const struct path *p,
                          const struct view *v)
{
    for (int y = -p->top; y < f->h + p->bottom; y++)
        for (int x = -p->left; x < f->w + p->right; x++) {
            int2 at;
            float one;
            int from = mirror(y, f->h) * f->w + mirror(x, f->w);
            float z = f->z[from];
            if (!seen_at(f, v, x, y, z, &at, &one))
                continue;
            int px = at.x >> 7, py = at.y >> 7;
            int ax = at.x & (GRID - 1), ay = at.y & (GRID - 1);
            __global const uchar *c = f->rgb + 3 * from;
            spread(f, px, py, (GRID - ax) * (GRID - ay), one, z, c);
            spread(f, px + 1, py, ax * (GRID - ay), one, z, c);
            spread(f, px, py + 1, (GRID - ax) * ay, one, z, c);
            spread(f, px + 1, py + 1, ax * ay, one, z, c);
        }
}

/* The first seen pixel from (x, y) along (dx, dy), -1 without. */
static int hit(const struct frame *f, int x, int y, float dx, float dy)
{
    float fx = x, fy = y;
    int reach = max(max(f->w, f->h) / 8, REACH_LEAST);
    for (int k = 0; k < reach; k++) {
        fx = fx + dx;
        fy = fy + dy;
        int ix = (int)floor(fx + 0.5f), iy = (int)floor(fy + 0.5f);
        if (ix < 0 || iy < 0 || ix >= f->w || iy >= f->h)
            return -1;
        if (f->seen[iy * f->w + ix].w > 0)
            return iy * f->w + ix;
    }
    return -1;
}

static inline int squared(const struct frame *f, int a, int b)
{
    int x = a % f->w - b % f->w, y = a / f->w - b / f->w;
    return x * x + y * y;
}

static inline float depth_at(const struct frame *f, int i)
{
    return f->behind[i] / f->seen[i].w;
}

/* The pixel that fills hole (x, y): the farther end of the shortest line
 * across it, else the nearest seen one, else -1. */
static int filler(const struct frame *f, int x, int y)
{
    // unit vectors, rounded alike here and in the reference
    const float dx[16] = { -0.70710678f, 0, 0.70710678f, 1, -0.44721360f,
                           0.44721360f, 0.89442719f, 0.89442719f,
                           -0.55470020f, -0.31622777f, 0.31622777f,
                           0.55470020f, 0.83205029f, 0.94868330f, 0.94868330f,
                           0.83205029f };
    const float dy[16] = { 0.70710678f, 1, 0.70710678f, 0, 0.89442719f,
                           0.89442719f, 0.44721360f, -0.44721360f,
                           0.83205029f, 0.94868330f, 0.94868330f, 0.83205029f,
                           0.55470020f, 0.31622777f, -0.31622777f,
                           -0.55470020f };
    int best = -1, single = -1, shortest = INT_MAX, closest = INT_MAX;
    for (int k = 0; k < 16; k++) {
        int a = hit(f, x, y, -dx[k], -dy[k]), b = hit(f, x, y, dx[k], dy[k]);
        for (int e = 0; e < 2; e++) {
            int end = e ? b : a;
            if (end >= 0 && squared(f, end, y * f->w + x) < closest) {
                closest = squared(f, end, y * f->w + x);
                single = end;
            }
        }
        if (a >= 0 && b >= 0 && squared(f, a, b) < shortest) {
            shortest = squared(f, a, b);
            best = depth_at(f, a) < depth_at(f, b) ? b : a;
        }
    }
    return best >= 0 ? best : single;
}

static inline uint level(float v)
{
    return (uint)clamp(v + 0.0009765625f, 0.0f, 255.0f);
}

static void add_frame(const struct frame *f, __global uint *sum)
{
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            int i = y * f->w + x, from = i;
            if (!(f->seen[i].w > 0))
                from = filler(f, x, y);
            if (from < 0) {
                for (int c = 0; c < 3; c++)
                    sum[3 * i + c] += f->rgb[3 * i + c];
                continue;
            }
            float4 s = f->seen[from];
            sum[3 * i] += level(s.x / s.w);
            sum[3 * i + 1] += level(s.y / s.w);
            sum[3 * i + 2] += level(s.z / s.w);
        }
}

__kernel void motion_frames(__global const uchar *in, __global const float *z,
                            __global const struct path *path,
                            __global float *near, __global float *face,
                            __global float4 *seen, __global float *behind,
                            __global uint *sum, int w, int h)
{
    size_t slot = get_global_id(0), slots = get_global_size(0);
    size_t n = get_global_id(1), pixels = (size_t)w * h;
    size_t at = (n * slots + slot) * pixels;
    struct path p;
    p.left = path[n].left;
    p.right = path[n].right;
    p.top = path[n].top;
    p.bottom = path[n].bottom;
    p.frames = path[n].frames;
    struct frame f;
    f.rgb = in + n * pixels * 3;
    f.z = z + n * pixels;
    f.near = near + at;
    f.face = face + at;
    f.behind = behind + at;
    f.seen = seen + at;
    f.w = w;
    f.h = h;
    for (size_t i = 0; i < 3 * pixels; i++)
        sum[3 * at + i] = 0;
    for (uint k = slot; k < p.frames; k += slots) {
        struct view v = path[n].view[k];
        for (size_t i = 0; i < pixels; i++) {
            f.near[i] = f.behind[i] = 0;
            f.seen[i] = (float4)(0);
        }
        nearest_points(&f, &p, &v);
        close_grid(&f);
        spread_points(&f, &p, &v);
        add_frame(&f, sum + 3 * at);
    }
}

__kernel void motion_mean(__global const uint *sum, __global uchar *out,
                          uint slots, uint frames, uint row)
{
    size_t y = get_global_id(0), h = get_global_size(0), n = get_global_id(1);
    for (uint x = 0; x < row; x++) {
        uint s = 0;
        for (uint k = 0; k < slots; k++)
            s += sum[((n * slots + k) * h + y) * row + x];
        out[(n * h + y) * row + x] = (uchar)(s / frames);
    }
}
