/* SPDX-License-Identifier: MIT */
/*
 * Attention row by row, softmax(q k^T / sqrt(d)) v per head, and its
 * gradients from the stored log-sum-exp. q, k, v [n, t, heads * d]; one item
 * per (sample, head, row). Keys are visited in order, so a row's value
 * depends on nothing else. mask: 1 causal, 2 lengths.
 */

enum { VECTORS = 16 }; /* d <= 256 */

uint keys_of(uint i, uint row, uint t, uint s, int mask, const global int *len)
{
    if (mask == 1)
        return min(row + 1, s);
    return mask == 2 ? (uint)clamp(len[i], 0, (int)s) : s;
}

float dot_n(const float16 *a, const global float *b, uint d)
{
    float16 s = 0.0f;
    for (uint j = 0; j * 16 < d; j++)
        s = fma(a[j], load_n(b + j * 16, d - j * 16), s);
    return sum16(s);
}

void read_n(float16 *a, const global float *b, uint d, float scale)
{
    for (uint j = 0; j * 16 < d; j++)
        a[j] = load_n(b + j * 16, d - j * 16) * scale;
}

void add_n(float16 *a, const global float *b, uint d, float scale)
{
    for (uint j = 0; j * 16 < d; j++)
        a[j] = fma((float16)(scale), load_n(b + j * 16, d - j * 16), a[j]);
}

void write_n(global float *b, const float16 *a, uint d, float scale)
{
    for (uint j = 0; j * 16 < d; j++)
        store_n(b + j * 16, d - j * 16, a[j] * scale);
}

kernel void attend(const global float *q, const global float *k,
                   const global float *v, const global int *len,
                   global float *out, global float *lse, uint n, uint t, uint s,
                   uint heads, uint d, int mask, int keep)
{
    uint row = get_global_id(0), ih = get_global_id(1);
    if (row >= t)
        return;
    uint i = ih / heads, h = ih % heads, w = heads * d;
    float16 qr[VECTORS], acc[VECTORS];
    ulong at = ((ulong)i * t + row) * w + h * d;
    k += (ulong)i * s * w + h * d;
    v += (ulong)i * s * w + h * d;
    read_n(qr, q + at, d, 1.0f / sqrt((float)d));
    for (uint j = 0; j * 16 < d; j++)
        acc[j] = 0.0f;
    float top = -INFINITY, sum = 0.0f;
    uint keys = keys_of(i, row, t, s, mask, len);
    for (uint c = 0; c < keys; c++) {
        float x = dot_n(qr, k + (ulong)c * w, d);
        if (x > top) {
            float shrink = exp(top - x);
            sum *= shrink;
            for (uint j = 0; j * 16 < d; j++)
                acc[j] *= shrink;
            top = x;
        }
        float p = exp(x - top);
        sum += p;
        add_n(acc, v + (ulong)c * w, d, p);
    }
    write_n(out + at, acc, d, keys ? 1.0f / sum : 0.0f);
    if (keep)
        lse[(ulong)ih * t + row] = top + log(sum);
}

/* dq of one row. */
kernel void attend_grad_q(const global float *q, const global float *k,
                          const global float *v, const global int *len,
                          const global float *out, const global float *lse,
                          const global float *dy, global float *dq, uint n,
                          uint t, uint s, uint heads, uint d, int mask)
{
    uint row = get_global_id(0), ih = get_global_id(1);
    if (row >= t)
        return;
    uint i = ih / heads, h = ih % heads, w = heads * d;
    float scale = 1.0f / sqrt((float)d);
    float16 qr[VECTORS], dr[VECTORS], acc[VECTORS];
    ulong at = ((ulong)i * t + row) * w + h * d;
    k += (ulong)i * s * w + h * d;
    v += (ulong)i * s * w + h * d;
    read_n(qr, q + at, d, scale);
    read_n(dr, dy + at, d, 1.0f);
    for (uint j = 0; j * 16 < d; j++)
        acc[j] = 0.0f;
    float rest = dot_n(dr, out + at, d), l = lse[(ulong)ih * t + row];
    uint keys = keys_of(i, row, t, s, mask, len);
    for (uint c = 0; c < keys; c++) {
        float p = exp(dot_n(qr, k + (ulong)c * w, d) - l);
        float dp = dot_n(dr, v + (ulong)c * w, d);
        add_n(acc, k + (ulong)c * w, d, p * (dp - rest) * scale);
    }
    write_n(dq + at, acc, d, 1.0f);
}

/* dk and dv of one key. */
kernel void attend_grad_kv(const global float *q, const global float *k,
                           const global float *v, const global int *len,
                           const global float *out, const global float *lse,
                           const global float *dy, global float *dk,
                           global float *dv, uint n, uint t, uint s, uint heads,
                           uint d, int mask)
{
    uint c = get_global_id(0), ih = get_global_id(1);
    if (c >= s)
        return;
    uint i = ih / heads, h = ih % heads, w = heads * d;
    float scale = 1.0f / sqrt((float)d);
    float16 kr[VECTORS], vr[VECTORS], ak[VECTORS], av[VECTORS];
    ulong at = ((ulong)i * s + c) * w + h * d;
    q += (ulong)i * t * w + h * d;
    dy += (ulong)i * t * w + h * d;
    out += (ulong)i * t * w + h * d;
    read_n(kr, k + at, d, scale);
    read_n(vr, v + at, d, 1.0f);
    for (uint j = 0; j * 16 < d; j++)
        ak[j] = av[j] = 0.0f;
    for (uint row = mask == 1 ? c : 0; row < t; row++) {
        if (c >= keys_of(i, row, t, s, mask, len))
            continue;
        const global float *qp = q + (ulong)row * w;
        const global float *yp = dy + (ulong)row * w;
        float16 o[VECTORS];
        read_n(o, out + (ulong)row * w, d, 1.0f);
        float p = exp(dot_n(kr, qp, d) - lse[(ulong)ih * t + row]);
        float ds = p * (dot_n(vr, yp, d) - dot_n(o, yp, d));
        add_n(av, yp, d, p);
        add_n(ak, qp, d, ds * scale);
    }
    write_n(dk + at, ak, d, 1.0f);
    write_n(dv + at, av, d, 1.0f);
}
