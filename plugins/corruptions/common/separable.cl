/* SPDX-License-Identifier: MIT */
/*
 * A symmetric filter along columns, then along rows, the border repeated.
 * Lines are `row` values of `stride` interleaved channels. The work buffer
 * has lines of `pitch` floats with pad = radius * stride values before and
 * after. weight has 7 zeros before and after its 2 radius + 1 taps, so that
 * eight output lines can share what they read.
 */
#define BLUR_COLUMNS(name, type, load)                                    \
    __kernel void name(__global const type *in, __global float *work,     \
                       __global const float *weight, int radius, int row, \
                       int height, int pitch, int pad)                    \
    {                                                                     \
        int x = get_global_id(0) * 16, y = get_global_id(1) * 8;          \
        size_t n = get_global_id(2);                                      \
        __global const type *p = in + n * row * height + x;               \
        __global float *q = work + (n * height + y) * pitch + pad + x;    \
        float16 a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0, a6 = 0,   \
                a7 = 0;                                                   \
        for (int k = 0; k < 2 * radius + 8; k++) {                        \
            int from = clamp(y + k - radius, 0, height - 1);              \
            float16 v = load(p + (size_t)from * row);                     \
            __global const float *w = weight + k;                         \
            a0 = fma((float16)(w[7]), v, a0);                             \
            a1 = fma((float16)(w[6]), v, a1);                             \
            a2 = fma((float16)(w[5]), v, a2);                             \
            a3 = fma((float16)(w[4]), v, a3);                             \
            a4 = fma((float16)(w[3]), v, a4);                             \
            a5 = fma((float16)(w[2]), v, a5);                             \
            a6 = fma((float16)(w[1]), v, a6);                             \
            a7 = fma((float16)(w[0]), v, a7);                             \
        }                                                                 \
        int left = height - y;                                            \
        vstore16(a0, 0, q);                                               \
        if (left > 1)                                                     \
            vstore16(a1, 0, q + pitch);                                   \
        if (left > 2)                                                     \
            vstore16(a2, 0, q + 2 * pitch);                               \
        if (left > 3)                                                     \
            vstore16(a3, 0, q + 3 * pitch);                               \
        if (left > 4)                                                     \
            vstore16(a4, 0, q + 4 * pitch);                               \
        if (left > 5)                                                     \
            vstore16(a5, 0, q + 5 * pitch);                               \
        if (left > 6)                                                     \
            vstore16(a6, 0, q + 6 * pitch);                               \
        if (left > 7)                                                     \
            vstore16(a7, 0, q + 7 * pitch);                               \
    }

#define LOAD_BYTES(p) convert_float16(vload16(0, p))
#define LOAD_FLOATS(p) vload16(0, p)
BLUR_COLUMNS(blur_columns_u8, uchar, LOAD_BYTES)
BLUR_COLUMNS(blur_columns_f32, float, LOAD_FLOATS)

/* Repeats the first and last pixel of every line. */
__kernel void blur_border(__global float *work, int row, int stride, int pitch,
                          int pad)
{
    __global float *p = work + get_global_id(0) * (size_t)pitch + pad;
    for (int i = 1; i <= pad; i++) {
        p[-i] = p[(stride - i % stride) % stride];
        p[row - 1 + i] = p[row - stride + (i - 1) % stride];
    }
}

static inline float16 blur_line(__global const float *p,
                                __global const float *weight, int radius,
                                int stride)
{
    float16 a = 0, b = 0;
    for (int k = 0; k < radius; k++) {
        a = fma((float16)(weight[7 + k]), vload16(0, p + k * stride), a);
        b = fma((float16)(weight[7 + k]),
                vload16(0, p + (2 * radius - k) * stride), b);
    }
    return fma((float16)(weight[7 + radius]), vload16(0, p + radius * stride),
               a + b);
}

__kernel void blur_rows_u8(__global const float *work, __global uchar *out,
                           __global const float *weight,
                           __global const uchar *flat, int radius, int stride,
                           int row, int pitch)
{
    size_t line = get_global_id(0);
    for (int x = 0; x < row; x += 16) {
        float16 v = blur_line(work + line * pitch + x, weight, radius, stride);
        store_some(cut16(v, flat), out + line * row + x, row - x);
    }
}

/* To lines of `row` floats. */
__kernel void blur_rows_f32(__global const float *work, __global float *out,
                            __global const float *weight, int radius,
                            int stride, int row, int pitch)
{
    size_t line = get_global_id(0);
    for (int x = 0; x < row; x += 16) {
        float16 v = blur_line(work + line * pitch + x, weight, radius, stride);
        float a[16];
        vstore16(v, 0, a);
        for (int i = 0; i < min(16, row - x); i++)
            out[line * row + x + i] = a[i];
    }
}
