/* SPDX-License-Identifier: MIT */
/* air: the air light of each picture. */
__kernel void fog_3d(__global const uchar *in, __global uchar *out,
                     __global const float *depth, __global const float *air,
                     float alpha, uint pixels)
{
    uint first = get_global_id(0) * 16 * STRIP;
    size_t n = get_global_id(1);
    for (uint i = first; i < min(pixels, first + 16 * STRIP); i += 16) {
        size_t at = n * pixels + i;
        float16 t = exp(-alpha * vload16(0, depth + at)), a = air[n];
        struct pixels p;
        load_pixels(in + 3 * at, pixels - i, &p);
        store_pixels(out + 3 * at, pixels - i, keep16(fma(t, p.r - a, a)),
                     keep16(fma(t, p.g - a, a)), keep16(fma(t, p.b - a, a)));
    }
}
