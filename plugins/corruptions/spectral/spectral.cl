/* SPDX-License-Identifier: MIT */
/* Noise made in Fourier space. */

/* Of the plane before it is rolled; as phase() of spectral_ref.c, in halves
 * of a rotation. */
static inline float phase(__global const float *draw, uint a, uint b, uint w,
                          uint h)
{
    uint folded = w / 2;
    if (b >= w - folded) {
        a = h - 1 - a;
        b = w - 1 - b;
    }
    if (b < folded)
        return 2 * draw[a * folded + b];
    if (a == h - 1 - a)
        return 0;
    return 2 * draw[h * folded + min(a, h - 1 - a)];
}

static inline float2 value(__global const float *draw, uint v, uint u, uint w,
                           uint h, float side, int blue)
{
    // frequency v, u was rolled from a, b
    uint a = (v + h - h / 2) % h, b = (u + w - w / 2) % w;
    float y = (a - 0.5f * h) * side / h, x = (b - 0.5f * w) * side / w;
    float square = x * x + y * y, c;
    float power = blue ? sqrt(square) : 1 / (square + 1);
    float s = sincos(3.14159265358979f * phase(draw, a, b, w, h), &c);
    return power * (float2)(c, s);
}

/* X(f) + conj X(-f) of the columns 0..w/2; line v of a plane a work-item.
 * Columns that are their own mirror image count folded. */
__kernel void spectrum(__global const float *phases, __global float2 *out,
                       float side, int blue, uint draws, uint w)
{
    uint v = get_global_id(0), h = get_global_size(0);
    uint planes = get_global_size(1), plane = get_global_id(1);
    uint folded = w / 2 + 1;
    __global const float *draw =
        phases + (size_t)get_global_id(2) * draws + plane * (draws / planes);
    out += ((get_global_id(2) * planes + plane) * (size_t)h + v) * folded;
    for (uint u = 0; u < folded; u++) {
        float2 p = value(draw, v, u, w, h, side, blue);
        float2 q = value(draw, (h - v) % h, (w - u) % w, w, h, side, blue);
        float weight = u == (w - u) % w ? 0.5f : 1.0f;
        out[u] = weight * (float2)(p.x + q.x, p.y - q.y);
    }
}

/* Sums over the lines for lines k and -k: h lines of `width` in and out. */
__kernel void transform_down(__global const float2 *in, __global float2 *out,
                             __global const float2 *circle, uint width, uint h)
{
    uint k = get_global_id(0), opposite = (h - k) % h;
    size_t plane = get_global_id(1) * (size_t)h * width;
    for (uint x = 0; x < width; x += 8) {
        float16 with_cos = 0, with_sin = 0;
        for (uint v = 0, at = 0; v < h; v++) {
            float2 t = circle[at];
            float16 z = vload16(0, (__global const float *)(in + plane +
                                                            v * width + x));
            with_cos = fma(z, (float16)(t.x), with_cos);
            with_sin = fma(z, (float16)(t.y), with_sin);
            at += k;
            at -= at >= h ? h : 0;
        }
        // i (a + ib) is -b + ia
        float16 turned = 0;
        turned.even = -with_sin.odd;
        turned.odd = with_sin.even;
        float one[16], two[16];
        vstore16(with_cos + turned, 0, one);
        vstore16(with_cos - turned, 0, two);
        for (uint i = 0; i < min(8u, width - x); i++) {
            out[plane + k * width + x + i] = vload2(i, one);
            out[plane + opposite * width + x + i] = vload2(i, two);
        }
    }
}

/* The real part of the sums over `folded` columns, for x and -x; 16 lines. */
__kernel void transform_across(__global const float2 *in, __global float *out,
                               __global const float2 *circle, uint folded, uint w,
                               uint h)
{
    uint first = get_global_id(0) * 16, lines = min(16u, h - first);
    size_t plane = get_global_id(1) * (size_t)h;
    __global const float2 *z = in + (plane + first) * folded;
    __global float *q = out + (plane + first) * w;
    for (uint x = 0; x <= w / 2; x += 4) {
        float even[16][4], odd[16][4];
        for (uint i = 0; i < lines; i++) {
            float4 c = 0, s = 0;
            uint at[4] = { 0 };
            const uint step[4] = { x % w, (x + 1) % w, (x + 2) % w,
                                   (x + 3) % w };
            for (uint u = 0; u < folded; u++) {
                float2 v = z[i * folded + u], t0 = circle[at[0]],
                       t1 = circle[at[1]], t2 = circle[at[2]],
                       t3 = circle[at[3]];
                c = fma((float4)(v.x), (float4)(t0.x, t1.x, t2.x, t3.x), c);
                s = fma((float4)(v.y), (float4)(t0.y, t1.y, t2.y, t3.y), s);
                for (uint k = 0; k < 4; k++) {
                    at[k] += step[k];
                    at[k] -= at[k] >= w ? w : 0;
                }
            }
            vstore4(c - s, 0, even[i]);
            vstore4(c + s, 0, odd[i]);
        }
        for (uint i = 0; i < lines; i++)
            for (uint k = 0; k < min(4u, w / 2 + 1 - x); k++) {
                q[i * w + x + k] = even[i][k];
                q[i * w + (w - x - k) % w] = odd[i][k];
            }
    }
}

/* Sum and sum of squares of each line. */
__kernel void moments(__global const float *in, __global float2 *out, uint w)
{
    size_t line = get_global_id(1) * get_global_size(0) + get_global_id(0);
    float sum = 0, squares = 0;
    for (uint x = 0; x < w; x++) {
        float v = in[line * w + x];
        sum += v;
        squares = fma(v, v, squares);
    }
    out[line] = (float2)(sum, squares);
}

/* 1 over the standard deviation of a plane. */
static inline float scale_of(__global const float2 *sums, uint w, uint h)
{
    float2 all = 0;
    for (uint y = 0; y < h; y++)
        all += sums[y];
    all /= (float)h * w;
    float variance = all.y - all.x * all.x;
    return variance > 0 ? rsqrt(variance) : 0;
}

__kernel void sample(__global const uchar *in, __global uchar *out,
                     __global const float *noise, __global const float2 *sums,
                     float threshold, uint w)
{
    uint y = get_global_id(0), h = get_global_size(0);
    size_t n = get_global_id(1), line = n * h + y;
    float scale = scale_of(sums + n * h, w, h);
    for (uint i = 0; i < 3 * w; i++)
        out[3 * line * w + i] = noise[line * w + i / 3] * scale > threshold
                                    ? in[3 * line * w + i]
                                    : 0;
}

__kernel void add(__global const uchar *in, __global uchar *out,
                  __global const float *noise, __global const float2 *sums,
                  float intensity, uint w)
{
    uint y = get_global_id(0), h = get_global_size(0);
    size_t n = get_global_id(1), line = n * h + y;
    for (uint c = 0; c < 3; c++) {
        size_t plane = (3 * n + c) * h;
        float scale = intensity * scale_of(sums + plane, w, h);
        for (uint x = 0; x < w; x++) {
            size_t at = 3 * (line * w + x) + c;
            float v = fma(noise[(plane + y) * w + x], scale, (float)in[at]);
            out[at] = convert_uchar(clamp(v, 0.0f, 255.0f));
        }
    }
}
