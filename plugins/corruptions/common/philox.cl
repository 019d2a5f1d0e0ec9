/* SPDX-License-Identifier: MIT */
/* Sixteen blocks of mohs_philox at once, and fields of draws made of them. */

/* Blocks first..first+15 of stream (seed, key); first + 15 < 2^32. Lane b of
 * word w is word 4 (first + b) + w of the stream. */
static inline void philox16(ulong seed, ulong key, uint first, uint16 *w0,
                            uint16 *w1, uint16 *w2, uint16 *w3)
{
    uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
    uint16 c0 = (uint16)(first) +
                (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint16 c1 = (uint16)(0), c2 = (uint16)((uint)key);
    uint16 c3 = (uint16)((uint)(key >> 32));
    for (int r = 0; r < 10; r++) {
        uint16 h0 = mul_hi((uint16)(0xD2511F53u), c0), l0 = c0 * 0xD2511F53u;
        uint16 h1 = mul_hi((uint16)(0xCD9E8D57u), c2), l1 = c2 * 0xCD9E8D57u;
        c0 = h1 ^ c1 ^ k0;
        c2 = h0 ^ c3 ^ k1;
        c1 = l1;
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    *w0 = c0;
    *w1 = c1;
    *w2 = c2;
    *w3 = c3;
}

static inline float16 unit16(uint16 x)
{
    return (convert_float16(x >> 8) + 0.5f) * 5.9604644775390625e-8f;
}

/* Box-Muller as mohs_rng_normal. */
static inline float16 normal16(uint16 u, uint16 v)
{
    return sqrt(-2.0f * log(unit16(u))) * cospi(2.0f * unit16(v));
}

/* Draws 0..count-1 of stream (seed, key[n]), picture after picture, in 0..1. */
__kernel void field_uniform(__global float *out, __global const ulong *key,
                            ulong seed, uint count)
{
    uint first = get_global_id(0) * 64 * STRIP, n = get_global_id(1);
    __global float *q = out + (size_t)n * count;
    for (uint i = first; i < min(count, first + 64 * STRIP); i += 64) {
        uint16 w0, w1, w2, w3;
        float u[64];
        philox16(seed, key[n], i / 4, &w0, &w1, &w2, &w3);
        vstore16(unit16(w0), 0, u);
        vstore16(unit16(w1), 1, u);
        vstore16(unit16(w2), 2, u);
        vstore16(unit16(w3), 3, u);
        for (uint k = 0; k < min(count - i, 64u); k++)
            q[i + k] = u[(k & 3) * 16 + (k >> 2)];
    }
}

/* Standard normal draws likewise. */
__kernel void field_normal(__global float *out, __global const ulong *key,
                           ulong seed, uint count)
{
    uint first = get_global_id(0) * 32 * STRIP, n = get_global_id(1);
    __global float *q = out + (size_t)n * count;
    for (uint i = first; i < min(count, first + 32 * STRIP); i += 32) {
        uint16 w0, w1, w2, w3;
        float z[32];
        philox16(seed, key[n], i / 2, &w0, &w1, &w2, &w3);
        vstore16(normal16(w0, w1), 0, z);
        vstore16(normal16(w2, w3), 1, z);
        for (uint k = 0; k < min(count - i, 32u); k++)
            q[i + k] = z[(k & 1) * 16 + (k >> 1)];
    }
}
