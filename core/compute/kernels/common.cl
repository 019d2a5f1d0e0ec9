/* SPDX-License-Identifier: MIT */
/*
 * Prepended to every kernel file of the core. Contraction is off and fma()
 * is written out, so that every device computes the same numbers.
 */
#pragma OPENCL FP_CONTRACT OFF

/* enum MOHS_ACT_* of ext/graph.h */
#define ACT_NONE 0
#define ACT_GELU 1
#define ACT_QUICK_GELU 2
#define ACT_SILU 3
#define ACT_RELU 4
#define ACT_GELU_TANH 5
#define ACT_TANH 6

/* One work-item per work-group: the CPU form, vectors written out. */
#define CPU_KERNEL kernel __attribute__((reqd_work_group_size(1, 1, 1)))

inline float16 exp16(float16 x)
{
    return exp(x);
}

/*
 * erf on 16 lanes. |x| < 1: x + x P(x^2); 1 <= |x| < 4: 1 - exp(-Q(|x|));
 * beyond: 1. Both polynomials are least-maximum fits in float coefficients;
 * the largest error against double is stated in tests/kernels/test_gemm.c.
 */
inline float16 erf16(float16 x)
{
    return erf(x);
}

/* y = act(x), lane by lane; act is uniform. */
inline float16 act16(int act, float16 x)
{
    switch (act) {
    case ACT_GELU:
        return 0.5f * x * (1.0f + erf16(x * 0.70710678118654752f));
    case ACT_QUICK_GELU:
        return x / (1.0f + exp16(-1.702f * x));
    case ACT_SILU:
        return x / (1.0f + exp16(-x));
    case ACT_RELU:
        return fmax(x, 0.0f);
    case ACT_GELU_TANH: {
        float16 c = 0.044715f * x * x;
        return 0.5f * x * (1.0f + tanh(0.79788456080286536f * fma(c, x, x)));
    }
    case ACT_TANH:
        return tanh(x);
    default:
        return x;
    }
}

/* ---- rows of any length, sixteen values at a time ---- */

/* Sixteen values, of which the first n count; the rest are 0. */
inline float16 load_n(const global float *p, uint n)
{
    if (n >= 16)
        return vload16(0, p);
    float t[16];
    for (uint i = 0; i < 16; i++)
        t[i] = i < n ? p[i] : 0.0f;
    return vload16(0, t);
}

inline void store_n(global float *p, uint n, float16 v)
{
    if (n >= 16) {
        vstore16(v, 0, p);
        return;
    }
    float t[16];
    vstore16(v, 0, t);
    for (uint i = 0; i < n; i++)
        p[i] = t[i];
}

inline float sum16(float16 v)
{
    float8 a = v.lo + v.hi;
    float4 b = a.lo + a.hi;
    float2 c = b.lo + b.hi;
    return c.x + c.y;
}

inline float max16(float16 v)
{
    float8 a = fmax(v.lo, v.hi);
    float4 b = fmax(a.lo, a.hi);
    float2 c = fmax(b.lo, b.hi);
    return fmax(c.x, c.y);
}
