/* SPDX-License-Identifier: MIT */
/*
 * Attention for any device: one work-item per row. Scores add over the head
 * width d in ascending order, softmax sums and outputs over the keys in
 * ascending order, one fma each; so a row depends on its own sample and on
 * the keys it may see, never on batch or padding. D (the head width) is a
 * build option.
 *
 * Token (b, i) of head h begins at x + off + (b * t + i) * ld + h * D.
 * lse[b, h, i] = log sum exp of the scaled scores.
 */

/* Keys of sample b under MASK_LENGTH or MASK_LAST, all under the others. */
static inline int sample_keys(int mask, global const int *lengths, uint b,
                              uint tk)
{
    if (mask == MASK_LAST)
        return clamp(lengths[b], -1, (int)tk - 1) + 1;
    return mask == MASK_LENGTH ? clamp(lengths[b], 0, (int)tk) : (int)tk;
}

/* Number of keys that query i of sample b may see. */
static inline uint key_count(int mask, global const int *lengths, uint b, uint i,
                      uint tk)
{
    if (mask == MASK_CAUSAL)
        return min(i + 1, tk);
    return (uint)sample_keys(mask, lengths, b, tk);
}

static inline float dot_row(const float *x, global const float *y)
{
    float s = 0.0f;
    for (int e = 0; e < D; e++)
        s = fma(x[e], y[e], s);
    return s;
}

kernel void attention_fwd(global const float *q, ulong q_off, uint ldq,
                          global const float *k, ulong k_off, uint ldk,
                          global const float *v, ulong v_off, uint ldv,
                          global float *out, ulong o_off, uint ldo,
                          global float *lse, ulong lse_off, int has_lse,
                          global const int *lengths, ulong len_off, int mask,
                          float scale, uint tq, uint tk)
{
    uint i = get_global_id(0), h = get_global_id(1), b = get_global_id(2);
    if (i >= tq)
        return;
    uint heads = get_global_size(1);
    uint n = key_count(mask, lengths + len_off, b, i, tk);
    float x[D], o[D];
    q += q_off + ((ulong)b * tq + i) * ldq + h * D;
    k += k_off + (ulong)b * tk * ldk + h * D;
    v += v_off + (ulong)b * tk * ldv + h * D;
    for (int e = 0; e < D; e++) {
        x[e] = q[e];
        o[e] = 0.0f;
    }
    float top = -INFINITY, sum = 0.0f;
    for (uint j = 0; j < n; j++)
        top = fmax(top, dot_row(x, k + (ulong)j * ldk) * scale);
    for (uint j = 0; j < n; j++) {
        float p = exp1(dot_row(x, k + (ulong)j * ldk) * scale - top);
        sum += p;
        for (int e = 0; e < D; e++)
            o[e] = fma(p, v[(ulong)j * ldv + e], o[e]);
    }
    out += o_off + ((ulong)b * tq + i) * ldo + h * D;
    float r = n ? 1.0f / sum : 0.0f;
    for (int e = 0; e < D; e++)
        out[e] = o[e] * r;
    if (has_lse)
        lse[lse_off + ((ulong)b * heads + h) * tq + i] =
            n ? top + log(sum) : 0.0f;
}

/* delta[b, h, i] = <dout, out> */
kernel void attention_delta(global const float *out, ulong o_off, uint ldo,
                            global const float *dout, ulong do_off, uint lddo,
                            global float *delta, uint tq)
{
    uint i = get_global_id(0), h = get_global_id(1), b = get_global_id(2);
    if (i >= tq)
        return;
    ulong row = (ulong)b * tq + i;
    out += o_off + row * ldo + h * D;
    dout += do_off + row * lddo + h * D;
    float s = 0.0f;
    for (int e = 0; e < D; e++)
        s = fma(dout[e], out[e], s);
    delta[((ulong)b * get_global_size(1) + h) * tq + i] = s;
}

kernel void attention_dq(global const float *q, ulong q_off, uint ldq,
                         global const float *k, ulong k_off, uint ldk,
                         global const float *v, ulong v_off, uint ldv,
                         global const float *dout, ulong do_off, uint lddo,
                         global const float *lse, ulong lse_off,
                         global const float *delta,
                         global float *dq, ulong dq_off, uint lddq,
                         global const int *lengths, ulong len_off, int mask,
                         float scale, uint tq, uint tk)
{
    uint i = get_global_id(0), h = get_global_id(1), b = get_global_id(2);
    if (i >= tq)
        return;
    ulong at = ((ulong)b * get_global_size(1) + h) * tq + i;
    uint n = key_count(mask, lengths + len_off, b, i, tk);
    float x[D], g[D], s[D];
    q += q_off + ((ulong)b * tq + i) * ldq + h * D;
    dout += do_off + ((ulong)b * tq + i) * lddo + h * D;
    k += k_off + (ulong)b * tk * ldk + h * D;
    v += v_off + (ulong)b * tk * ldv + h * D;
    for (int e = 0; e < D; e++) {
        x[e] = q[e];
        g[e] = dout[e];
        s[e] = 0.0f;
    }
    float l = lse[lse_off + at], d = delta[at];
    for (uint j = 0; j < n; j++) {
        float p = exp1(dot_row(x, k + (ulong)j * ldk) * scale - l);
        float ds = p * (dot_row(g, v + (ulong)j * ldv) - d);
        for (int e = 0; e < D; e++)
            s[e] = fma(ds, k[(ulong)j * ldk + e], s[e]);
    }
    dq += dq_off + ((ulong)b * tq + i) * lddq + h * D;
    for (int e = 0; e < D; e++)
        dq[e] = s[e] * scale;
}

kernel void attention_dkv(global const float *q, ulong q_off, uint ldq,
                          global const float *k, ulong k_off, uint ldk,
                          global const float *v, ulong v_off, uint ldv,
                          global const float *dout, ulong do_off, uint lddo,
                          global const float *lse, ulong lse_off,
                          global const float *delta,
                          global float *dk, ulong dk_off, uint lddk,
                          global float *dv, ulong dv_off, uint lddv,
                          global const int *lengths, ulong len_off, int mask,
                          float scale, uint tq, uint tk)
{
    uint j = get_global_id(0), h = get_global_id(1), b = get_global_id(2);
    if (j >= tk)
        return;
    ulong at = ((ulong)b * get_global_size(1) + h) * tq;
    float x[D], y[D], sk[D], sv[D];
    k += k_off + ((ulong)b * tk + j) * ldk + h * D;
    v += v_off + ((ulong)b * tk + j) * ldv + h * D;
    q += q_off + (ulong)b * tq * ldq + h * D;
    dout += do_off + (ulong)b * tq * lddo + h * D;
    for (int e = 0; e < D; e++) {
        x[e] = k[e];
        y[e] = v[e];
        sk[e] = sv[e] = 0.0f;
    }
    for (uint i = 0; i < tq; i++) {
        if (j >= key_count(mask, lengths + len_off, b, i, tk))
            continue;
        float p = exp1(dot_row(x, q + (ulong)i * ldq) * scale -
                       lse[lse_off + at + i]);
        float ds = p * (dot_row(y, dout + (ulong)i * lddo) - delta[at + i]);
        for (int e = 0; e < D; e++) {
            sk[e] = fma(ds, q[(ulong)i * ldq + e], sk[e]);
            sv[e] = fma(p, dout[(ulong)i * lddo + e], sv[e]);
        }
    }
    dk += dk_off + ((ulong)b * tk + j) * lddk + h * D;
    dv += dv_off + ((ulong)b * tk + j) * lddv + h * D;
    for (int e = 0; e < D; e++) {
        dk[e] = sk[e] * scale;
        dv[e] = sv[e];
    }
}
