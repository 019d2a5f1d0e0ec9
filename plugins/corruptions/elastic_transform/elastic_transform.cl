/* SPDX-License-Identifier: MIT */

/* Columns of a `height` x `width` plane smoothed by the band (elastic.h; 8
 * zeros before and after each line's weights); the result is transposed. The
 * draws are 0..1 and come out as they are: weights sum to 1. */
__kernel void elastic_smooth(__global const float *in, __global float *out,
                             __global const float *weight,
                             __global const int *first, int len, int height,
                             int width)
{
    int x = get_global_id(0) * 16, y = get_global_id(1) * 8, line = len + 16;
    size_t plane = get_global_id(2) * (size_t)height * width;
    int last = min(y + 7, height - 1), from = first[y], to = first[last] + len;
    __global const float *w[8];
    float16 a[8];
    for (int i = 0; i < 8; i++) {
        int row = min(y + i, height - 1);
        w[i] = weight + (size_t)row * line + 8 - first[row];
        a[i] = 0;
    }
    for (int k = from; k < to; k++) {
        float16 v = vload16(0, in + plane + (size_t)k * width + x);
        __attribute__((opencl_unroll_hint(8))) for (int i = 0; i < 8; i++)
            a[i] = fma((float16)(w[i][k]), v, a[i]);
    }
    for (int i = 0; i < min(8, height - y); i++) {
        float s[16];
        vstore16(a[i], 0, s);
        for (int k = 0; k < min(16, width - x); k++)
            out[plane + (size_t)(x + k) * height + y + i] = s[k];
    }
}

/* Indices mirrored without (edge 1) or with (edge 0) the border; a fold or
 * two are quick. */
static inline int folded(int i, int n, int edge)
{
    if (n == 1)
        return 0;
    int period = 2 * n - 2 * edge;
    i = i % period;
    i = i < 0 ? i + period : i;
    return i < n ? i : 2 * n - 1 - edge - i;
}

static inline int16 mirrored(int16 i, int n, int edge)
{
    i = select(i, edge - 1 - i, i < 0);
    i = select(i, 2 * n - 1 - edge - i, i >= n);
    int16 out = i < 0 || i >= n;
    if (any(out)) {
        int a[16];
        vstore16(i, 0, a);
        for (int k = 0; k < 16; k++)
            a[k] = folded(a[k], n, edge);
        i = vload16(0, a);
    }
    return i;
}

/* Four neighbours of 16 places as pixel numbers, and how far between them. */
struct places {
    int a[16], b[16], c[16], d[16];
    float u[16], v[16];
};

static inline void places_of(struct places *p, float16 x, float16 y, int w,
                             int h, int edge)
{
    float16 fx = floor(x), fy = floor(y);
    int16 x0 = convert_int16(fx), y0 = convert_int16(fy);
    int16 x1 = mirrored(x0 + 1, w, edge), y1 = mirrored(y0 + 1, h, edge) * w;
    x0 = mirrored(x0, w, edge);
    y0 = mirrored(y0, h, edge) * w;
    vstore16(y0 + x0, 0, p->a);
    vstore16(y0 + x1, 0, p->b);
    vstore16(y1 + x0, 0, p->c);
    vstore16(y1 + x1, 0, p->d);
    vstore16(x - fx, 0, p->u);
    vstore16(y - fy, 0, p->v);
}

static inline float4 between(float4 a, float4 b, float4 c, float4 d, float u,
                             float v)
{
    float4 top = fma(b - a, (float4)(u), a), low = fma(d - c, (float4)(u), c);
    return fma(low - top, (float4)(v), top);
}

static inline float4 pixel_at(__global const uchar *p, int i)
{
    return convert_float4(vload4(0, p + 3 * i));
}

#define LANES (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

/* The affine map of each picture, a line a work-item, to four floats a pixel.
 */
__kernel void elastic_warp(__global const uchar *in, __global float *out,
                           __global const float *map, int w, int affine)
{
    int y = get_global_id(0), h = get_global_size(0);
    size_t n = get_global_id(1), plane = n * w * h;
    __global const float *m = map + 6 * n;
    __global const uchar *p = in + 3 * plane;
    __global float *q = out + 4 * (plane + (size_t)y * w);
    for (int x = 0; x < w; x += 16) {
        struct places at;
        float16 i = (float)x + LANES, j = (float)y;
        if (!affine) {
            for (int k = x; k < min(x + 16, w); k++)
                vstore4(pixel_at(p, y * w + k), k, q);
            continue;
        }
        float16 px =
            fma((float16)(m[0]), i, fma((float16)(m[1]), j, (float16)(m[2])));
        float16 py =
            fma((float16)(m[3]), i, fma((float16)(m[4]), j, (float16)(m[5])));
        places_of(&at, px, py, w, h, 1);
        for (int k = 0; k < min(16, w - x); k++)
            vstore4(between(pixel_at(p, at.a[k]), pixel_at(p, at.b[k]),
                            pixel_at(p, at.c[k]), pixel_at(p, at.d[k]), at.u[k],
                            at.v[k]),
                    x + k, q);
    }
}

/* Displaced by amount times the fields, which are 0..1 for -1..1. */
__kernel void elastic_apply(__global const float *in, __global uchar *out,
                            __global const float *across,
                            __global const float *down,
                            __global const uchar *flat, float amount, int w)
{
    int y = get_global_id(0), h = get_global_size(0);
    size_t plane = get_global_id(1) * (size_t)w * h,
           line = plane + (size_t)y * w;
    __global const float *p = in + 4 * plane;
    __global uchar *q = out + 3 * line;
    for (int x = 0; x < w; x += 16) {
        float16 px = (float)x + LANES, py = (float)y;
        struct places at;
        float s[52];
        int left = min(16, w - x);
        if (amount > 0) {
            float16 dx = fma(vload16(0, across + line + x), 2.0f, -1.0f);
            float16 dy = fma(vload16(0, down + line + x), 2.0f, -1.0f);
            // lanes beyond the line hold anything
            px = fma(clamp(dx, -1.0f, 1.0f), (float16)(amount), px);
            py = fma(clamp(dy, -1.0f, 1.0f), (float16)(amount), py);
        }
        places_of(&at, px, py, w, h, 0);
        for (int k = 0; k < left; k++)
            vstore4(between(vload4(at.a[k], p), vload4(at.b[k], p),
                            vload4(at.c[k], p), vload4(at.d[k], p), at.u[k],
                            at.v[k]),
                    0, s + 3 * k);
        for (int k = 0; k < 3; k++)
            store_some(cut16(vload16(k, s), flat), q + 3 * x + 16 * k,
                       clamp(3 * left - 16 * k, 0, 16));
    }
}
