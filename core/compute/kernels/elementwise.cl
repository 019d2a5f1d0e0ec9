/* SPDX-License-Identifier: MIT */
/*
 * Elementwise functions. Values are computed sixteen at a time, also at the
 * end of an array, so that a value never depends on where it stands.
 */

/* Function codes: 1..6 are MOHS_ACT_*; op_map.c lists the same. */
enum {
    F_SIGMOID = 7, F_SOFTPLUS, F_EXP, F_LOG, F_AFFINE, F_CLAMP, F_SQUARE,
    F_SQRT,
    G_ADD = 32, G_SUB, G_MUL, G_DIV, G_CLAMP,
    G_ACT = 64
};

float16 apply1(int f, float16 x, float p, float q)
{
    switch (f) {
    case F_SIGMOID:
        return 1.0f / (1.0f + exp16(-x));
    case F_SOFTPLUS:
        return fmax(x, 0.0f) + log1p(exp16(-fabs(x)));
    case F_EXP:
        return exp16(x);
    case F_LOG:
        return log(x);
    case F_AFFINE:
        return x * p + q;
    case F_CLAMP:
        return fmin(fmax(x, p), q);
    case F_SQUARE:
        return x * x;
    case F_SQRT:
        return sqrt(x);
    default:
        return act16(f, x);
    }
}

/* Derivative of f, an activation, sigmoid or softplus, at x. */
float16 slope(int f, float16 x)
{
    float16 s;
    switch (f) {
    case F_SIGMOID:
        s = 1.0f / (1.0f + exp16(-x));
        return s * (1.0f - s);
    case F_SOFTPLUS:
        return 1.0f / (1.0f + exp16(-x));
    default:
        return act_grad16(f, x);
    }
}

float16 apply2(int f, float16 a, float16 b, float p, float q)
{
    switch (f) {
    case G_ADD:
        return a + b;
    case G_SUB:
        return a - b;
    case G_MUL:
        return a * b;
    case G_DIV:
        return a / b;
    case G_CLAMP:
        return select((float16)(0.0f), a, b >= p && b <= q);
    default:
        return a * slope(f - G_ACT, b);
    }
}

/* y = f(x); y may be x. Each item takes `share` vectors. */
kernel void map1(const global float *x, global float *y, uint n, uint share,
                 int f, float p, float q)
{
    ulong at = (ulong)get_global_id(0) * share * 16;
    for (uint i = 0; i < share && at < n; i++, at += 16) {
        uint m = (uint)min((ulong)16, n - at);
        store_n(y + at, m, apply1(f, load_n(x + at, m), p, q));
    }
}

/* y = f(a, b), b repeating after `period` values; y may be a, or b when
 * period is n. */
kernel void map2(const global float *a, const global float *b, global float *y,
                 uint n, uint period, uint share, int f, float p, float q)
{
    ulong at = (ulong)get_global_id(0) * share * 16;
    for (uint i = 0; i < share && at < n; i++, at += 16) {
        uint m = (uint)min((ulong)16, n - at);
        uint j = (uint)(at % period);
        float16 v;
        if (period == 1) {
            v = (float16)(b[0]);
        } else if (j + m <= period) {
            v = load_n(b + j, m);
        } else {
            float t[16];
            for (uint k = 0; k < 16; k++)
                t[k] = k < m ? b[(j + k) % period] : 0.0f;
            v = vload16(0, t);
        }
        store_n(y + at, m, apply2(f, load_n(a + at, m), v, p, q));
    }
}

/* Correctly rounded a / b also where division is only good to 2.5 ulp: one
 * step with the exact remainder. */
float16 divide(float16 a, float b)
{
    float16 q = a / b;
    float16 r = fma(-q, (float16)(b), a);
    return q + r / b;
}

/* (x - mean[c]) / std[c], one item per plane of hw values. */
kernel void normalize_planes(const global float *x, const global float *mean,
                             const global float *std, global float *y,
                             uint planes, uint channels, uint hw, int shift)
{
    uint p = get_global_id(0);
    if (p >= planes)
        return;
    float m = shift ? mean[p % channels] : 0.0f, s = std[p % channels];
    x += (ulong)p * hw;
    y += (ulong)p * hw;
    for (uint i = 0; i < hw; i += 16)
        store_n(y + i, hw - i, divide(load_n(x + i, hw - i) - m, s));
}

/* found[0] = 1 when any of x is a NaN or infinite. */
kernel void find_nonfinite(const global float *x, uint n, uint share,
                           global uint *found)
{
    ulong at = (ulong)get_global_id(0) * share;
    for (uint i = 0; i < share && at + i < n; i++)
        if (!isfinite(x[at + i]))
            found[0] = 1;
}
