/* SPDX-License-Identifier: MIT */
/* Sums are of integers, so they are exact in any order. */
__kernel void contrast_sum(__global const uchar *in, __global uchar *out,
                           __global ulong *sum, uint pixels)
{
    uint c = get_global_id(0), n = get_global_id(1);
    __global const uchar *p = in + (size_t)n * pixels * 3 + c;
    ulong s = 0;
    for (uint i = 0; i < pixels; i++)
        s += p[(size_t)3 * i];
    sum[3 * n + c] = s;
}

/* (x - mean) * c + mean */
__kernel void contrast_apply(__global const uchar *in, __global uchar *out,
                             __global const ulong *sum, uint pixels, float c)
{
    uint i = get_global_id(0), n = get_global_id(1);
    size_t at = (size_t)n * pixels * 3 + i;
    ulong s = sum[3 * n + i % 3];
    // whole part and remainder apart: a 64-bit sum does not fit a float
    float mean = (float)(s / pixels) + (float)(s % pixels) / (float)pixels;
    float x = fma((float)in[at] - mean, c, mean);
    out[at] = (uchar)clamp(x, 0.0f, 255.0f);
}
