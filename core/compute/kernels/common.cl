/* SPDX-License-Identifier: MIT */
/*
 * Prepended to every kernel file of the core: math that gives the same bits
 * on every device. Contraction is off and fma() is written out; functions
 * come for float (suffix 1) and float16 (suffix 16).
 *
 * Largest errors against double (tests/unit/test_compute_math.c): exp 1.5e-7
 * relative, results below 2^-126 are 0; erf 1.2e-7 relative; tanh 2.5e-7
 * relative. The polynomials are minimax fits made for these functions.
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

/* enum MOHS_MASK_* */
#define MASK_NONE 0
#define MASK_CAUSAL 1
#define MASK_LENGTH 2
#define MASK_LAST 3

/* One work-item per work-group: the CPU form, vectors written out. */
#define CPU_KERNEL kernel __attribute__((reqd_work_group_size(1, 1, 1)))
#define UNROLL __attribute__((opencl_unroll_hint))
#define ROLLED __attribute__((opencl_unroll_hint(1)))
/* Asks for the line at p to come to the second cache; it need not be mapped. */
#ifdef __clang__
#define FETCH(p) __builtin_prefetch(p, 0, 2)
#else
#define FETCH(p) (void)(p)
#endif

/*
 * exp<W>: x = n ln 2 + r, |r| <= ln 2 / 2; exp(r) = 1 + r + r^2 P(r); 2^n is
 * applied in two steps, since 2^128 is no float.
 * erf<W>: |x| < 1: x + x P(x^2); else 1 - exp(P(|x|)), 1 beyond 4.
 * tanh<W>: |x| < 0.66: x + x^3 P(x^2); else 1 - 2 / (exp(2 |x|) + 1).
 * act<W>, act_grad<W>: the activation and its derivative.
 */
#define C(x) ((F)(x))
#define DEFINE_MATH(exp_, erf_, tanh_, act_, act_grad_, F, I, as_f, to_int)   \
    static inline F exp_(F x)                                                 \
    {                                                                         \
        F n = rint(x * C(1.44269504f));                                       \
        F r = fma(n, C(2.12194440e-4f), fma(n, C(-0.693359375f), x));         \
        F p = fma(C(0.0013950597f), r, C(0.0083689475f));                     \
        p = fma(p, r, C(0.041666206f));                                       \
        p = fma(p, r, C(0.16666518f));                                        \
        p = fma(p, r, C(0.5f));                                               \
        p = fma(p, r * r, r) + C(1.0f);                                       \
        I e = to_int(n), h = e >> 1;                                          \
        p = p * as_f((h + 127) << 23) * as_f((e - h + 127) << 23);            \
        p = x > C(88.72283f) ? C(INFINITY) : p;                               \
        return x < C(-87.33654f) ? C(0.0f) : p;                               \
    }                                                                         \
    static inline F erf_(F x)                                                 \
    {                                                                         \
        F s = x * x, t = fmin(fabs(x), C(4.0f));                              \
        F p = fma(C(7.8537735e-5f), s, C(-8.010171e-4f));                     \
        p = fma(p, s, C(0.0051883254f));                                      \
        p = fma(p, s, C(-0.026853811f));                                      \
        p = fma(p, s, C(0.112835854f));                                       \
        p = fma(p, s, C(-0.37612626f));                                       \
        p = fma(p, s, C(0.12837917f));                                        \
        p = fma(p, x, x);                                                     \
        F q = fma(C(1.8558091e-4f), t, C(-0.0029396778f));                    \
        q = fma(q, t, C(0.021805612f));                                       \
        q = fma(q, t, C(-0.10303801f));                                       \
        q = fma(q, t, C(-0.6382249f));                                        \
        q = fma(q, t, C(-1.1270405f));                                        \
        q = fma(q, t, C(-3.535945e-4f));                                      \
        q = copysign(C(1.0f) - exp_(q), x);                                   \
        p = s > C(1.0f) ? q : p;                                              \
        return x != x ? x : p;                                                \
    }                                                                         \
    static inline F tanh_(F x)                                                \
    {                                                                         \
        F s = x * x;                                                          \
        F p = fma(C(-0.0054534f), s, C(0.020412831f));                        \
        p = fma(p, s, C(-0.05367051f));                                       \
        p = fma(p, s, C(0.13330622f));                                        \
        p = fma(p, s, C(-0.33333254f));                                       \
        p = fma(p * s, x, x);                                                 \
        F q = C(1.0f) - C(2.0f) / (exp_(C(2.0f) * fabs(x)) + C(1.0f));        \
        return copysign(s > C(0.4356f) ? q : p, x);                           \
    }                                                                         \
    static inline F act_(int act, F x)                                        \
    {                                                                         \
        F u;                                                                  \
        switch (act) {                                                        \
        case ACT_GELU:                                                        \
            return C(0.5f) * x * (C(1.0f) + erf_(x * C(0.70710678f)));        \
        case ACT_QUICK_GELU:                                                  \
            return x / (C(1.0f) + exp_(C(-1.702f) * x));                      \
        case ACT_SILU:                                                        \
            return x / (C(1.0f) + exp_(-x));                                  \
        case ACT_RELU:                                                        \
            return x < C(0.0f) ? C(0.0f) : x;                                 \
        case ACT_GELU_TANH:                                                   \
            u = C(0.79788456f) * fma(C(0.044715f) * x * x, x, x);             \
            return C(0.5f) * x * (C(1.0f) + tanh_(u));                        \
        case ACT_TANH:                                                        \
            return tanh_(x);                                                  \
        default:                                                              \
            return x;                                                         \
        }                                                                     \
    }                                                                         \
    static inline F act_grad_(int act, F x)                                   \
    {                                                                         \
        F s, u;                                                               \
        switch (act) {                                                        \
        case ACT_GELU:                                                        \
            s = C(0.5f) * (C(1.0f) + erf_(x * C(0.70710678f)));               \
            return fma(x * C(0.39894228f), exp_(C(-0.5f) * x * x), s);        \
        case ACT_QUICK_GELU:                                                  \
            s = C(1.0f) / (C(1.0f) + exp_(C(-1.702f) * x));                   \
            return s * fma(C(1.702f) * x, C(1.0f) - s, C(1.0f));              \
        case ACT_SILU:                                                        \
            s = C(1.0f) / (C(1.0f) + exp_(-x));                               \
            return s * fma(x, C(1.0f) - s, C(1.0f));                          \
        case ACT_RELU:                                                        \
            return x > C(0.0f) ? C(1.0f) : C(0.0f);                           \
        case ACT_GELU_TANH:                                                   \
            u = tanh_(C(0.79788456f) * fma(C(0.044715f) * x * x, x, x));      \
            s = C(0.79788456f) * fma(C(0.134145f) * x, x, C(1.0f));           \
            return C(0.5f) * fma(x * s, C(1.0f) - u * u, C(1.0f) + u);        \
        case ACT_TANH:                                                        \
            u = tanh_(x);                                                     \
            return C(1.0f) - u * u;                                           \
        default:                                                              \
            return C(1.0f);                                                   \
        }                                                                     \
    }

#define F float
DEFINE_MATH(exp1, erf1, tanh1, act1, act_grad1, float, int, as_float,
            convert_int)
#undef F
#define F float16
DEFINE_MATH(exp16, erf16, tanh16, act16, act_grad16, float16, int16, as_float16,
            convert_int16)
#undef F
#undef C
#undef DEFINE_MATH

/* ---- rows of any length, sixteen values at a time ---- */

/* Sixteen values, of which the first n count; the rest are 0. */
static inline float16 load_n(const global float *p, uint n)
{
    if (n >= 16)
        return vload16(0, p);
    float t[16];
    for (uint i = 0; i < 16; i++)
        t[i] = i < n ? p[i] : 0.0f;
    return vload16(0, t);
}

static inline void store_n(global float *p, uint n, float16 v)
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

static inline float sum16(float16 v)
{
    float8 a = v.lo + v.hi;
    float4 b = a.lo + a.hi;
    float2 c = b.lo + b.hi;
    return c.x + c.y;
}

static inline float max16(float16 v)
{
    float8 a = fmax(v.lo, v.hi);
    float4 b = fmax(a.lo, a.hi);
    float2 c = fmax(b.lo, b.hi);
    return fmax(c.x, c.y);
}

/*
 * r becomes its transpose: each step rotates the eight bits of (row, column)
 * by one, four steps exchange the two.
 */
static inline void transpose16(float16 *r)
{
    UNROLL for (int step = 0; step < 4; step++) {
        float16 t[16];
        UNROLL for (int i = 0; i < 8; i++) {
            t[i] = (float16)(r[2 * i].even, r[2 * i + 1].even);
            t[i + 8] = (float16)(r[2 * i].odd, r[2 * i + 1].odd);
        }
        UNROLL for (int i = 0; i < 16; i++)
            r[i] = t[i];
    }
}
