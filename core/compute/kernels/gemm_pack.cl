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

/* r becomes its transpose: pairs of rows, fours, and the halves change places.
 * Unlike 16 rows of 16 it fits the registers of AVX2. */
static inline void transpose8(float8 *r)
{
    float8 t[8], u[8];
    UNROLL for (int i = 0; i < 8; i += 2) {
        float8 a = r[i], b = r[i + 1];
        t[i] = (float8)(a.s0, b.s0, a.s1, b.s1, a.s4, b.s4, a.s5, b.s5);
        t[i + 1] = (float8)(a.s2, b.s2, a.s3, b.s3, a.s6, b.s6, a.s7, b.s7);
    }
    UNROLL for (int i = 0; i < 8; i += 4)
        UNROLL for (int j = 0; j < 2; j++) {
            float8 a = t[i + j], b = t[i + j + 2];
            u[i + 2 * j] = (float8)(a.s01, b.s01, a.s45, b.s45);
            u[i + 2 * j + 1] = (float8)(a.s23, b.s23, a.s67, b.s67);
        }
    UNROLL for (int i = 0; i < 4; i++) {
        r[i] = (float8)(u[i].lo, u[i + 4].lo);
        r[i + 4] = (float8)(u[i].hi, u[i + 4].hi);
    }
}

/* Rows b[0..16) of 16 values, ldb apart, to columns NR apart. */
static inline void pack_block(global const float *b, ulong ldb,
                              global float *out)
{
    UNROLL for (uint j = 0; j < 16; j++)
        FETCH(b + j * ldb + 64);
    UNROLL for (uint q = 0; q < 16; q += 8)
        UNROLL for (uint j = 0; j < 16; j += 8) {
            float8 r[8];
            UNROLL for (uint i = 0; i < 8; i++)
                r[i] = vload8(0, b + (j + i) * ldb + q);
            transpose8(r);
            UNROLL for (uint i = 0; i < 8; i++)
                vstore8(r[i], 0, out + (q + i) * NR + j);
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
            if (j + 16 <= n && q + 16 <= k) {
                pack_block(b + j * ldb + q, ldb, out + q * NR + v * 16);
                continue;
            }
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

/* Values of tap rows r0, r1, r2 times G of gemm_wino.cl. */
#define WINO_G(to, r0, r1, r2)                                                \
    do {                                                                      \
        float16 even_ = (r0) + (r2);                                          \
        to[0] = r0;                                                           \
        to[1] = 0.5f * (even_ + (r1));                                        \
        to[2] = 0.5f * (even_ - (r1));                                        \
        to[3] = r2;                                                           \
    } while (0)

/* The weights of 3 x 3 taps for gemm_wino.cl: U = G g G^T as [n / NR][blocks
 * of kc channels][16][kc][NR]. One work-item per panel and 16 channels. */
CPU_KERNEL void gemm_pack_wino(global const float *b, ulong b_off,
                               global float *out, ulong out_off, uint n,
                               uint taps, uint c, uint step_n, uint step_c,
                               uint flip, uint kc)
{
    uint p = get_group_id(0), q0 = get_group_id(1) * 16;
    uint k0 = q0 / kc * kc, len = min(kc, c - k0);
    b += b_off;
    out += out_off + ((ulong)p * c + k0) * 16 * NR;
    for (uint q = q0; q < q0 + 16; q++)
        for (uint v = 0; v < NV; v++) {
            float g[9][16];
            for (uint i = 0; i < 16; i++) {
                uint j = p * NR + v * 16 + i;
                ulong at = (ulong)q * step_c + (ulong)j * step_n;
                for (uint t = 0; t < 9; t++)
                    g[t][i] = j < n ? b[at + (flip ? 8 - t : t)] : 0.0f;
            }
            float16 r[3][4], u[4];
            UNROLL for (uint x = 0; x < 3; x++)
                WINO_G(r[x], vload16(0, g[x]), vload16(0, g[3 + x]),
                       vload16(0, g[6 + x]));
            UNROLL for (uint i = 0; i < 4; i++) {
                WINO_G(u, r[0][i], r[1][i], r[2][i]);
                UNROLL for (uint j = 0; j < 4; j++)
                    vstore16(u[j], ((4 * i + j) * len + q - k0) * NV + v, out);
            }
        }
}
