/* SPDX-License-Identifier: MIT */
/*
 * op(B) [k, n] into panels [n / NR][k padded to 16][NR], zeros in the
 * padding. One work-item per panel and K_CHUNK values of k.
 */
#ifndef NV
#define NV 2
#endif
#define NR (NV * 16)
#define K_CHUNK 256

/* B stored [k, n]. */
CPU_KERNEL void gemm_pack_rows(global const float *b, ulong b_off, ulong ldb,
                               global float *out, ulong out_off, uint n, uint k)
{
    uint p = get_group_id(0), k0 = get_group_id(1) * K_CHUNK;
    uint pc = (k + 15) / 16 * 16, k1 = min(k0 + K_CHUNK, pc);
    b += b_off + p * NR;
    out += out_off + (ulong)p * pc * NR;
    for (uint q = k0; q < k1; q++)
        for (uint v = 0; v < NV; v++) {
            uint j = p * NR + v * 16;
            FETCH(b + (q + 16) * ldb + v * 16);
            float16 x = (float16)(0.0f);
            if (q < k && j < n)
                x = load_n(b + q * ldb + v * 16, n - j);
            vstore16(x, q * NV + v, out);
        }
}

/* B stored [n, k]. */
CPU_KERNEL void gemm_pack_cols(global const float *b, ulong b_off, ulong ldb,
                               global float *out, ulong out_off, uint n, uint k)
{
    uint p = get_group_id(0), k0 = get_group_id(1) * K_CHUNK;
    uint pc = (k + 15) / 16 * 16, k1 = min(k0 + K_CHUNK, pc);
    b += b_off;
    out += out_off + (ulong)p * pc * NR;
    for (uint q = k0; q < k1; q += 16)
        for (uint v = 0; v < NV; v++) {
            float16 r[16];
            uint j = p * NR + v * 16;
            UNROLL for (uint i = 0; i < 16; i++)
                r[i] = j + i < n ? load_n(b + (j + i) * ldb + q, k - q) :
                                   (float16)(0.0f);
            transpose16(r);
            UNROLL for (uint i = 0; i < 16; i++)
                vstore16(r[i], (q + i) * NV + v, out);
        }
}

/* Weights of a convolution (struct gemm_taps of compute.h): k is the tap
 * times c channels. */
CPU_KERNEL void gemm_pack_taps(global const float *b, ulong b_off,
                               global float *out, ulong out_off, uint n,
                               uint taps, uint c, uint step_n, uint step_c,
                               uint flip)
{
    uint p = get_group_id(0), k0 = get_group_id(1) * K_CHUNK, k = taps * c;
    uint pc = (k + 15) / 16 * 16, k1 = min(k0 + K_CHUNK, pc);
    b += b_off;
    out += out_off + (ulong)p * pc * NR;
    for (uint q = k0; q < k1; q++) {
        uint tap = q / c;
        ulong at = (ulong)(q % c) * step_c + (flip ? taps - 1 - tap : tap);
        for (uint v = 0; v < NR; v++) {
            uint j = p * NR + v;
            out[q * NR + v] = q < k && j < n ? b[at + (ulong)j * step_n] : 0.0f;
        }
    }
}
