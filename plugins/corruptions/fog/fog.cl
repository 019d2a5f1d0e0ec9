/* SPDX-License-Identifier: MIT */
/* Maps are side x side, side a power of two; `add` scales draws of -1..1. */

static inline float fogged(float four, float u, float add)
{
    return fma(fma(2.0f, u, -1.0f), add, four * 0.25f);
}

/* The middle of each square of `step` cells, from its corners; a line of
 * squares a work-item. */
__kernel void fog_squares(__global const float *field, __global float *map,
                          uint side, uint step, float add)
{
    uint y = get_global_id(0) * step, y1 = (y + step) & (side - 1);
    size_t n = get_global_id(1);
    __global const float *u = field + n * side * side + (y + step / 2) * side;
    __global float *m = map + n * side * side;
    if (step == side)
        m[0] = 0;
    for (uint x = 0; x < side; x += step) {
        uint x1 = (x + step) & (side - 1);
        float four = (m[y * side + x] + m[y1 * side + x]) +
                     (m[y * side + x1] + m[y1 * side + x1]);
        uint at = x + step / 2;
        m[(y + step / 2) * side + at] = fogged(four, u[at], add);
    }
}

/* The middles of two sides of each square, from corners and middles. */
__kernel void fog_diamonds(__global const float *field, __global float *map,
                           uint side, uint step, float add)
{
    uint half_step = step / 2, y = get_global_id(0) * step, ym = y + half_step;
    uint y1 = (y + step) & (side - 1), y0 = (y - half_step) & (side - 1);
    size_t n = get_global_id(1);
    __global const float *u = field + n * side * side;
    __global float *m = map + n * side * side;
    for (uint x = 0; x < side; x += step) {
        uint xm = x + half_step, x1 = (x + step) & (side - 1);
        uint x0 = (x - half_step) & (side - 1);
        float corner = m[y * side + x], middle = m[ym * side + xm];
        float across =
            (middle + m[y0 * side + xm]) + (corner + m[y * side + x1]);
        float down = (middle + m[ym * side + x0]) + (corner + m[y1 * side + x]);
        m[y * side + xm] = fogged(across, u[y * side + xm], add);
        m[ym * side + x] = fogged(down, u[ym * side + x], add);
    }
}

/* Of each picture: the least of its map, 1 / (greatest - least), its largest
 * byte. cells is a multiple of 16. */
__kernel void fog_range(__global const float *map, __global const uchar *in,
                        __global float *range, uint cells, uint values)
{
    size_t n = get_global_id(0);
    __global const float *m = map + n * cells;
    __global const uchar *p = in + n * values;
    float16 low = vload16(0, m), high = low;
    uchar16 top = 0;
    for (uint i = 1; i < cells / 16; i++) {
        float16 v = vload16(i, m);
        low = fmin(low, v);
        high = fmax(high, v);
    }
    for (uint i = 0; i < values / 16; i++)
        top = max(top, vload16(i, p));
    float a[16], b[16], least, most;
    uchar t[16];
    vstore16(low, 0, a);
    vstore16(high, 0, b);
    vstore16(top, 0, t);
    for (uint i = values / 16 * 16; i < values; i++)
        t[0] = max(t[0], p[i]);
    least = a[0];
    most = b[0];
    for (int i = 1; i < 16; i++) {
        least = fmin(least, a[i]);
        most = fmax(most, b[i]);
        t[0] = max(t[0], t[i]);
    }
    range[3 * n] = least;
    range[3 * n + 1] = 1.0f / (most - least);
    range[3 * n + 2] = t[0];
}

static inline uchar16 misty(float16 x, float16 add, float scale)
{
    return convert_uchar16(clamp((x + add) * scale, 0.0f, 255.0f));
}

__kernel void fog_blend(__global const uchar *in, __global uchar *out,
                        __global const float *map, __global const float *range,
                        float density, uint width, uint side)
{
    uint y = get_global_id(0);
    size_t n = get_global_id(1);
    size_t at = 3 * (n * get_global_size(0) + y) * width;
    float top = range[3 * n + 2] / 255.0f, scale = top / (top + density);
    float least = range[3 * n], part = range[3 * n + 1] * (density * 255.0f);
    for (uint x = 0; x < width; x += 16) {
        float16 m = vload16(0, map + (n * side + y) * side + x);
        struct pixels p;
        m = (m - least) * part;
        load_pixels(in + at + 3 * x, width - x, &p);
        store_pixels(out + at + 3 * x, width - x, misty(p.r, m, scale),
                     misty(p.g, m, scale), misty(p.b, m, scale));
    }
}
