/* SPDX-License-Identifier: MIT */
/*
 * The random numbers of mohs/rng.h on the device, prepended to every
 * program. Integers, u01, uniform, below and fork are bit-identical to the
 * host. normal is the same Box-Muller formula in float (the host uses
 * double): it differs from the host by at most 4e-6 + 1e-6 |z|.
 */
#pragma OPENCL FP_CONTRACT OFF

static inline uint4 mohs_philox(ulong seed, ulong key, ulong index)
{
    uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
    uint c0 = (uint)index, c1 = (uint)(index >> 32);
    uint c2 = (uint)key, c3 = (uint)(key >> 32);
    for (int r = 0; r < 10; r++) {
        uint n0 = mul_hi(0xCD9E8D57u, c2) ^ c1 ^ k0;
        uint n2 = mul_hi(0xD2511F53u, c0) ^ c3 ^ k1;
        c1 = 0xCD9E8D57u * c2;
        c3 = 0xD2511F53u * c0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (uint4)(c0, c1, c2, c3);
}

static inline float mohs_u01(uint x)
{
    return ((float)(x >> 8) + 0.5f) * 5.9604644775390625e-8f;
}

static inline uint mohs_rng_u32(ulong seed, ulong key, ulong index)
{
    uint4 b = mohs_philox(seed, key, index >> 2);
    return index & 2 ? (index & 1 ? b.w : b.z) : (index & 1 ? b.y : b.x);
}

static inline float mohs_rng_uniform(ulong seed, ulong key, ulong index)
{
    return mohs_u01(mohs_rng_u32(seed, key, index));
}

static inline float mohs_rng_normal(ulong seed, ulong key, ulong index)
{
    uint4 b = mohs_philox(seed, key, index >> 1);
    float u = mohs_u01(index & 1 ? b.z : b.x);
    float v = mohs_u01(index & 1 ? b.w : b.y);
    return sqrt(-2.0f * log(u)) * cospi(2.0f * v);
}

static inline uint mohs_rng_below(ulong seed, ulong key, ulong index, uint n)
{
    return (uint)(((ulong)mohs_rng_u32(seed, key, index) * n) >> 32);
}

static inline ulong mohs_rng_fork(ulong seed, ulong what)
{
    ulong z = seed + 0x9E3779B97F4A7C15ul * (what + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ul;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBul;
    return z ^ (z >> 31);
}
