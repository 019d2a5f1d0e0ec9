/* SPDX-License-Identifier: MIT */
/*
 * C = act(alpha op(A) op(B) + bias) + residual (+ C). Every kernel here adds
 * the k products of an element in ascending k with one fma each, so all give
 * the same bits for the product.
 */

/* Strides of op(A)[i,k] and op(B)[k,j]; one work-item per element. */
kernel void gemm_any(global const float *a, ulong a_off, ulong as_i, ulong as_k,
                     global const float *b, ulong b_off, ulong bs_k, ulong bs_j,
                     global float *c, ulong c_off, ulong ldc,
                     global const float *bias, ulong bias_off,
                     global const float *res, ulong res_off, ulong ldr,
                     global float *pre, ulong pre_off, ulong ldp, uint n, uint k,
                     float alpha, int act, int flags)
{
    size_t j = get_global_id(0), i = get_global_id(1);
    if (j >= n)
        return;
    a += a_off + i * as_i;
    b += b_off + j * bs_j;
    float s = 0.0f;
    for (uint q = 0; q < k; q++)
        s = fma(a[q * as_k], b[q * bs_k], s);
    float y = s * alpha;
    if (flags & 1)
        y += bias[bias_off + j];
    if (flags & 4)
        pre[pre_off + i * ldp + j] = y;
    y = act1(act, y);
    if (flags & 2)
        y += res[res_off + i * ldr + j];
    if (flags & 8)
        y += c[c_off + i * ldc + j];
    c[c_off + i * ldc + j] = y;
}
