/* SPDX-License-Identifier: MIT */
/* The noises; a picture's values lie together. */

static inline void load32(__global const uchar *p, uint left, uchar16 *even,
                          uchar16 *odd)
{
    uchar16 a, b;
    if (left >= 32) {
        a = vload16(0, p);
        b = vload16(1, p);
    } else {
        uchar line[32];
        for (uint i = 0; i < 32; i++)
            line[i] = i < left ? p[i] : 0;
        a = vload16(0, line);
        b = vload16(1, line);
    }
    *even = (uchar16)(a.even, b.even);
    *odd = (uchar16)(a.odd, b.odd);
}

static inline void store32(__global uchar *p, uint left, uchar16 even,
                           uchar16 odd)
{
    uchar16 a, b;
    a.even = even.lo;
    a.odd = odd.lo;
    b.even = even.hi;
    b.odd = odd.hi;
    if (left >= 32) {
        vstore16(a, 0, p);
        vstore16(b, 1, p);
    } else {
        uchar line[32];
        vstore16(a, 0, line);
        vstore16(b, 1, line);
        for (uint i = 0; i < left; i++)
            p[i] = line[i];
    }
}

static inline uchar16 noisy(uchar16 in, float16 z, float c, int speckle)
{
    float16 x = convert_float16(in) / 255.0f;
    x = speckle ? fma(x, z * c, x) : fma(z, (float16)(c), x);
    return convert_uchar16(clamp(x, 0.0f, 1.0f) * 255.0f);
}

__kernel void noise_normal(__global const uchar *in, __global uchar *out,
                           __global const ulong *key, ulong seed, float c,
                           uint values, int speckle)
{
    uint first = get_global_id(0) * 32 * STRIP, n = get_global_id(1);
    for (uint i = first; i < min(values, first + 32 * STRIP); i += 32) {
        size_t at = (size_t)n * values + i;
        uint16 w0, w1, w2, w3;
        uchar16 even, odd;
        philox16(seed, key[n], i / 2, &w0, &w1, &w2, &w3);
        load32(in + at, values - i, &even, &odd);
        even = noisy(even, normal16(w0, w1), c, speckle);
        odd = noisy(odd, normal16(w2, w3), c, speckle);
        store32(out + at, values - i, even, odd);
    }
}

static inline uchar16 struck(uchar16 in, uint16 flip, uint16 salt, float amount)
{
    uchar16 hit = convert_uchar16(unit16(salt) <= 0.5f) & (uchar16)(255);
    return select(in, hit, convert_char16(unit16(flip) <= amount));
}

__kernel void noise_impulse(__global const uchar *in, __global uchar *out,
                            __global const ulong *key, ulong seed, float amount,
                            uint values)
{
    uint first = get_global_id(0) * 32 * STRIP, n = get_global_id(1);
    for (uint i = first; i < min(values, first + 32 * STRIP); i += 32) {
        size_t at = (size_t)n * values + i;
        uint16 w0, w1, w2, w3;
        uchar16 even, odd;
        philox16(seed, key[n], i / 2, &w0, &w1, &w2, &w3);
        load32(in + at, values - i, &even, &odd);
        even = struck(even, w0, w1, amount);
        odd = struck(odd, w2, w3, amount);
        store32(out + at, values - i, even, odd);
    }
}

/* Tables as in noise.h. */
__kernel void noise_shot(__global const uchar *in, __global uchar *out,
                         __global const ulong *key, ulong seed,
                         __global const uint *last,
                         __global const ushort *first_of,
                         __global const uchar *byte, uint levels, uint values)
{
    uint first = get_global_id(0) * 64 * STRIP, n = get_global_id(1);
    for (uint i = first; i < min(values, first + 64 * STRIP); i += 64) {
        __global const uchar *p = in + (size_t)n * values + i;
        __global uchar *q = out + (size_t)n * values + i;
        uint16 w0, w1, w2, w3;
        uint word[64];
        philox16(seed, key[n], i / 4, &w0, &w1, &w2, &w3);
        vstore16(w0, 0, word);
        vstore16(w1, 1, word);
        vstore16(w2, 2, word);
        vstore16(w3, 3, word);
        for (uint k = 0; k < min(values - i, 64u); k++) {
            uint d = word[(k & 3) * 16 + (k >> 2)], x = p[k];
            uint count = first_of[x * 256 + (d >> 24)];
            while (count < levels && d > last[x * levels + count])
                count++;
            q[k] = byte[count];
        }
    }
}
