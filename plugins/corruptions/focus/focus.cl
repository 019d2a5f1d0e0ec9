/* SPDX-License-Identifier: MIT */
/*
 * One picture, layer after layer. weight starts with the nine depths of the
 * layers; a layer's 2 reach + 1 taps begin at `at`. work has lines of
 * `pitch` floats.
 */
__kernel void focus_columns(__global const uchar *in, __global float *work,
                            __global const float *weight, uint at, int reach,
                            uint row, int height, uint pitch, uint n)
{
    uint x = get_global_id(0) * 16;
    int y = get_global_id(1);
    __global const uchar *p = in + (size_t)n * row * height + x;
    float16 s = 0;
    for (int k = -reach; k <= reach; k++) {
        uchar16 v = vload16(0, p + (size_t)clamp(y + k, 0, height - 1) * row);
        s = fma((float16)(weight[at + k + reach]), convert_float16(v), s);
    }
    vstore16(s, 0, work + (size_t)y * pitch + x);
}

/* The part that layer k has in a pixel of depth d. */
static inline float focus_part(__global const float *value, int k, float d)
{
    int r = k < 8 && d > value[k] ? k + 1 : k;
    if (r == 0 || (r == k && d <= value[k - 1] && k > 1) ||
        (r == k && d > value[k]) || (r > k && r < 8 && d > value[r]))
        return 0;
    float gap = value[r] - value[r - 1];
    float a = (d - value[r - 1]) / gap, b = (value[r] - d) / gap;
    float left = 1.0f - a * a, right = 1.0f - b * b;
    return (k == r ? right : left) / (left + right);
}

__kernel void focus_rows(__global const float *work, __global float *sum,
                         __global const float *weight,
                         __global const float *depth, uint at, int reach,
                         int layer, int width, uint pitch, uint n)
{
    size_t y = get_global_id(0);
    __global const float *p = work + y * pitch;
    __global const float *d =
        depth + ((size_t)n * get_global_size(0) + y) * width;
    __global float *q = sum + y * width * 3;
    for (int x = 0; x < width; x++) {
        float part = focus_part(weight, layer, d[x]);
        float r = 0, g = 0, b = 0;
        if (part > 0)
            for (int k = -reach; k <= reach; k++) {
                int i = 3 * clamp(x + k, 0, width - 1);
                float w = weight[at + k + reach];
                r = fma(w, p[i], r);
                g = fma(w, p[i + 1], g);
                b = fma(w, p[i + 2], b);
            }
        q[3 * x] = fma(part, r, layer ? q[3 * x] : 0);
        q[3 * x + 1] = fma(part, g, layer ? q[3 * x + 1] : 0);
        q[3 * x + 2] = fma(part, b, layer ? q[3 * x + 2] : 0);
    }
}

__kernel void focus_store(__global const float *sum, __global uchar *out,
                          uint row, uint n)
{
    size_t y = get_global_id(0);
    __global const float *p = sum + y * row;
    __global uchar *q = out + ((size_t)n * get_global_size(0) + y) * row;
    for (uint x = 0; x < row; x++)
        q[x] = convert_uchar(clamp(p[x] + 0.0009765625f, 0.0f, 255.0f));
}
