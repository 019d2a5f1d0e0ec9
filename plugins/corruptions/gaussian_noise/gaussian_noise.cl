/* SPDX-License-Identifier: MIT */
/* x + N(0, c) per value; draw i of the picture's stream for value i. */
__kernel void gaussian_noise(__global const uchar *in, __global uchar *out,
                             __global const ulong *key, ulong seed, float c,
                             uint values)
{
    uint i = get_global_id(0), n = get_global_id(1);
    size_t at = (size_t)n * values + i;
    float x = (float)in[at] / 255.0f;
    x = fma(mohs_rng_normal(seed, key[n], i), c, x);
    out[at] = (uchar)(clamp(x, 0.0f, 1.0f) * 255.0f);
}
