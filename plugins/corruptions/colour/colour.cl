/* SPDX-License-Identifier: MIT */

/* Sums of each channel of a line: exact integers, so any order will do. */
__kernel void contrast_lines(__global const uchar *in, __global uint *lines,
                             uint row)
{
    size_t line = get_global_id(1) * get_global_size(0) + get_global_id(0);
    __global const uchar *p = in + line * row;
    uint16 a = 0, b = 0, c = 0;
    uint i = 0;
    for (; i + 48 <= row; i += 48) {
        a += convert_uint16(vload16(0, p + i));
        b += convert_uint16(vload16(1, p + i));
        c += convert_uint16(vload16(2, p + i));
    }
    uint v[48], sum[3] = { 0, 0, 0 };
    vstore16(a, 0, v);
    vstore16(b, 1, v);
    vstore16(c, 2, v);
    for (uint k = 0; k < 48; k++)
        sum[k % 3] += v[k];
    for (; i < row; i++)
        sum[i % 3] += p[i];
    for (uint k = 0; k < 3; k++)
        lines[3 * line + k] = sum[k];
}

__kernel void contrast_mean(__global const uint *lines, __global float *mean,
                            uint height, uint pixels)
{
    uint c = get_global_id(0), n = get_global_id(1);
    ulong sum = 0;
    for (uint y = 0; y < height; y++)
        sum += lines[((size_t)n * height + y) * 3 + c];
    // whole part and remainder apart: a 64-bit sum does not fit a float
    mean[3 * n + c] =
        (float)(sum / pixels) + (float)(sum % pixels) / (float)pixels;
}

static inline uchar16 contrasted(uchar16 x, float16 mean, float c)
{
    float16 v = fma(convert_float16(x) - mean, (float16)(c), mean);
    return convert_uchar16(clamp(v, 0.0f, 255.0f));
}

/* (x - mean) * c + mean, 48 values at a time: 16 pixels. */
__kernel void contrast_apply(__global const uchar *in, __global uchar *out,
                             __global const float *mean, float c, uint values)
{
    uint first = get_global_id(0) * 48 * STRIP, n = get_global_id(1);
    uint end = min(values, first + 48 * STRIP), i = first;
    float r = mean[3 * n], g = mean[3 * n + 1], b = mean[3 * n + 2];
    float16 ma = (float16)(r, g, b, r, g, b, r, g, b, r, g, b, r, g, b, r);
    float16 mb = (float16)(g, b, r, g, b, r, g, b, r, g, b, r, g, b, r, g);
    float16 mc = (float16)(b, r, g, b, r, g, b, r, g, b, r, g, b, r, g, b);
    in += (size_t)n * values;
    out += (size_t)n * values;
    for (; i + 48 <= end; i += 48) {
        vstore16(contrasted(vload16(0, in + i), ma, c), 0, out + i);
        vstore16(contrasted(vload16(1, in + i), mb, c), 1, out + i);
        vstore16(contrasted(vload16(2, in + i), mc, c), 2, out + i);
    }
    for (; i < end; i++) {
        float m = i % 3 == 0 ? r : i % 3 == 1 ? g : b;
        float v = fma((float)in[i] - m, c, m);
        out[i] = (uchar)clamp(v, 0.0f, 255.0f);
    }
}

/* Whole results up to rounding count as whole. */
static inline uchar16 cut_up(float16 v)
{
    return convert_uchar16(clamp(v + 1e-4f, 0.0f, 255.0f));
}

/* With hue and saturation kept, a larger value scales all channels alike. */
__kernel void brightness(__global const uchar *in, __global uchar *out,
                         __global const uchar *flat, float add, uint pixels)
{
    uint first = get_global_id(0) * 16 * STRIP, n = get_global_id(1);
    for (uint i = first; i < min(pixels, first + 16 * STRIP); i += 16) {
        size_t at = ((size_t)n * pixels + i) * 3;
        struct pixels x;
        load_pixels(in + at, pixels - i, &x);
        float16 top = fmax(x.r, fmax(x.g, x.b));
        float16 scale = fmin(top + add, 255.0f) / top;
        // also where top is 0: black becomes grey
        float16 full = fmin(top + add, 255.0f);
        full = convert_float16(cut16(full, flat));
        store_pixels(out + at, pixels - i,
                     cut_up(select(x.r * scale, full, x.r == top)),
                     cut_up(select(x.g * scale, full, x.g == top)),
                     cut_up(select(x.b * scale, full, x.b == top)));
    }
}

/* A channel lies at v (1 - s k), k = (max - it) / (max - min); of a grey, hue
 * 0, red is the largest and the others have k = 1. */
__kernel void saturate(__global const uchar *in, __global uchar *out,
                       float scale, float offset, uint pixels)
{
    uint first = get_global_id(0) * 16 * STRIP, n = get_global_id(1);
    for (uint i = first; i < min(pixels, first + 16 * STRIP); i += 16) {
        size_t at = ((size_t)n * pixels + i) * 3;
        struct pixels x;
        load_pixels(in + at, pixels - i, &x);
        float16 top = fmax(x.r, fmax(x.g, x.b));
        float16 delta = top - fmin(x.r, fmin(x.g, x.b));
        int16 grey = delta == 0.0f;
        float16 s = select(delta / top, (float16)(0.0f), grey);
        s = fmin(fma(s, (float16)(scale), (float16)(offset)), 1.0f);
        float16 part = s / select(delta, (float16)(1.0f), grey);
        float16 low = top * (1.0f - s);
        float16 r = select(fma((x.r - top) * part, top, top), top, grey);
        float16 g = select(fma((x.g - top) * part, top, top), low, grey);
        float16 b = select(fma((x.b - top) * part, top, top), low, grey);
        store_pixels(out + at, pixels - i, cut_up(r), cut_up(g), cut_up(b));
    }
}
