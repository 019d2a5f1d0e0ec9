/* SPDX-License-Identifier: MIT */
/*
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel
 * Random Numbers: As Easy as 1, 2, 3", SC 2011). A stream is (seed, item
 * key); draw i of a stream is a pure function of (seed, key, i), so results
 * never depend on batch size, order, threads, device or resume. kernels get
 * the same functions from rng.clh, bit for bit.
 */
#ifndef MOHS_RNG_H
#define MOHS_RNG_H

#include <math.h>
#include <stdint.h>

struct mohs_u32x4 {
    uint32_t v[4];
};

/* Block `index` of stream (seed, key): 128 random bits. */
static inline struct mohs_u32x4 mohs_philox(uint64_t seed, uint64_t key,
                                            uint64_t index)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)key, c3 = (uint32_t)(key >> 32);
    for (int r = 0; r < 10; r++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    struct mohs_u32x4 out = { { c0, c1, c2, c3 } };
    return out;
}

/* Uniform in (0, 1): (top 24 bits + 1/2) * 2^-24, exact in float; never 0
 * or 1. */
static inline float mohs_u01(uint32_t x)
{
    return ((float)(x >> 8) + 0.5f) * 5.9604644775390625e-8f;
}

/* 32-bit word `index` of stream (seed, key). */
static inline uint32_t mohs_rng_u32(uint64_t seed, uint64_t key, uint64_t index)
{
    return mohs_philox(seed, key, index >> 2).v[index & 3];
}

/* Uniform number `index` of stream (seed, key), in (0, 1). */
static inline float mohs_rng_uniform(uint64_t seed, uint64_t key, uint64_t index)
{
    return mohs_u01(mohs_rng_u32(seed, key, index));
}

/* Standard normal number `index` of stream (seed, key), Box-Muller on words
 * (2i, 2i+1) of the stream: cosine branch only. */
static inline float mohs_rng_normal(uint64_t seed, uint64_t key, uint64_t index)
{
    struct mohs_u32x4 b = mohs_philox(seed, key, index >> 1);
    uint32_t o = (uint32_t)(index & 1) * 2;
    double u = mohs_u01(b.v[o]), v = mohs_u01(b.v[o + 1]);
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586477 * v));
}

/* Uniform integer in [0, n), n > 0, by multiplication (bias < n / 2^32). */
static inline uint32_t mohs_rng_below(uint64_t seed, uint64_t key,
                                      uint64_t index, uint32_t n)
{
    return (uint32_t)(((uint64_t)mohs_rng_u32(seed, key, index) * n) >> 32);
}

/* A sub-stream: a new seed for purpose `what` of the same seed (splitmix64
 * finaliser), so that two uses inside one item never share draws. */
static inline uint64_t mohs_rng_fork(uint64_t seed, uint64_t what)
{
    uint64_t z = seed + 0x9E3779B97F4A7C15u * (what + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

#endif
