/* SPDX-License-Identifier: MIT */
/*
 * Convolutions of 3 x 3 taps and stride 1 by F(2x2, 3x3) (Winograd 1980;
 * Lavin and Gray 2016): a tile of 2 x 2 results comes from 4 x 4 pixels d as
 * A^T (U V) A with V = B^T d B and U = G g G^T, 16 products of sums over
 * channels where direct convolution takes 36. One work-item makes up to RB
 * strips (MR tiles each) by NP panels of results, KC channels at a time: V of
 * its tiles, which stays in the second cache, times the panels of U, which
 * gemm_pack_wino laid out in just this order. Channels are a multiple of 16.
 * Results are those of the tile alone, whatever lies beside it.
 */
#ifndef KC
#define KC 128 /* multiple of 16; gemm_pack_wino is told */
#endif
#ifndef RB
#define RB 4 /* most strips of an item */
#endif
#ifndef NP
#define NP 8 /* most panels of an item */
#endif

/* struct gemm_conv of compute.h, and tiles across a picture. */
struct picture {
    global const float *a;
    ulong lda;
    int h, w, oh, ow, pad_y, pad_x, th, tw;
};

/* Tile t's first result lies at (y, x) of picture img. */
struct tile {
    int img, y, x;
};

static inline struct tile wino_tile(const struct picture *g, uint t)
{
    int per = g->th * g->tw, pos = (int)t % per;
    struct tile r = { (int)t / per, pos / g->tw * 2, pos % g->tw * 2 };
    return r;
}

/* V of kc channels from k0 of one tile; value (i, j) goes to place 4 i + j,
 * `step` floats from one place to the next. whole: no pixel is outside. */
static inline void wino_in(float *to, uint step, const struct picture *g,
                           struct tile t, uint k0, uint kc, bool whole)
{
    int y = t.y - g->pad_y, x = t.x - g->pad_x;
    long lda = (long)g->lda, line = g->w * lda;
    global const float *p = g->a + (((long)t.img * g->h + y) * g->w + x) * lda +
                            k0;
    for (uint q = 0; q < kc; q += 8) {
        float8 v[4][4];
        UNROLL for (int j = 0; j < 4; j++) {
            float8 d[4];
            UNROLL for (int i = 0; i < 4; i++)
                d[i] = whole || (y + i >= 0 && y + i < g->h && x + j >= 0 &&
                                 x + j < g->w) ?
                           vload8(0, p + i * line + j * lda + q) :
                           (float8)(0.0f);
            v[0][j] = d[0] - d[2];
            v[1][j] = d[1] + d[2];
            v[2][j] = d[2] - d[1];
            v[3][j] = d[1] - d[3];
        }
        float *at = to + q / 16 * (16 * MR) + q % 16;
        UNROLL for (int i = 0; i < 4; i++) {
            vstore8(v[i][0] - v[i][2], 0, at + (4 * i + 0) * step);
            vstore8(v[i][1] + v[i][2], 0, at + (4 * i + 1) * step);
            vstore8(v[i][2] - v[i][1], 0, at + (4 * i + 2) * step);
            vstore8(v[i][1] - v[i][3], 0, at + (4 * i + 3) * step);
        }
    }
}

static inline void wino_zero(float *to, uint step, uint kc)
{
    for (uint q = 0; q < kc; q += 16)
        for (uint e = 0; e < 16; e++)
            vstore16((float16)(0.0f), 0, to + q * MR + e * step);
}

/* V of ns strips from tile i0. */
static inline void wino_block(float *block, const struct picture *g, uint i0,
                              uint ns, uint tiles, uint k0, uint kc)
{
    uint step = ns * STRIP(kc);
    for (uint i = 0; i < ns * MR; i++) {
        float *to = block + i / MR * STRIP(kc) + i % MR * 16;
        if (i0 + i >= tiles) {
            wino_zero(to, step, kc);
            continue;
        }
        struct tile t = wino_tile(g, i0 + i);
        int y = t.y - g->pad_y, x = t.x - g->pad_x;
        if (y >= 0 && x >= 0 && y + 4 <= g->h && x + 4 <= g->w)
            wino_in(to, step, g, t, k0, kc, true);
        else
            wino_in(to, step, g, t, k0, kc, false);
    }
}

/* The four results of a tile, 16 columns from j; m: place 0, `step` floats
 * from one to the next. */
static inline void wino_out(const float *m, uint step, const struct picture *g,
                            struct tile t, uint j, const struct results *to)
{
    float16 s[4], d[4];
    UNROLL for (int i = 0; i < 4; i++) {
        float16 m0 = vload16(0, m + i * step);
        float16 m1 = vload16(0, m + (4 + i) * step);
        float16 m2 = vload16(0, m + (8 + i) * step);
        float16 m3 = vload16(0, m + (12 + i) * step);
        s[i] = m0 + m1 + m2;
        d[i] = m1 - m2 - m3;
    }
    ulong r = ((ulong)t.img * g->oh + t.y) * g->ow + t.x;
    bool right = t.x + 1 < g->ow, below = t.y + 1 < g->oh;
    gemm_finish(to, r, j, s[0] + s[1] + s[2]);
    if (right)
        gemm_finish(to, r + 1, j, s[1] - s[2] - s[3]);
    if (below)
        gemm_finish(to, r + g->ow, j, d[0] + d[1] + d[2]);
    if (right && below)
        gemm_finish(to, r + g->ow + 1, j, d[1] - d[2] - d[3]);
}

/* Global size: as gemm_cpu. */
CPU_KERNEL void gemm_wino(global const float *a, ulong a_off, ulong lda,
                          global const float *b, ulong b_off, RESULTS, uint m,
                          uint n, uint k, float alpha, int act, int flags, uint kh, uint kw, uint h, uint w, uint oh,
                          uint ow, uint stride, uint up, uint pad_y, uint pad_x,
                          uint channels)
{
    float block[16 * RB * STRIP(KC)] __attribute__((aligned(64)));
    float acc[16 * RB * NP * MR * NR] __attribute__((aligned(64)));
    struct picture g = { a + a_off, lda, h, w, oh, ow, pad_y, pad_x,
                         (oh + 1) / 2, (ow + 1) / 2 };
    struct results to_c = RESULTS_OF;
    uint tiles = m / (oh * ow) * (uint)(g.th * g.tw);
    uint strips = (tiles + MR - 1) / MR, panels = (n + NR - 1) / NR;
    uint s0 = share_of(strips, get_group_id(0), get_num_groups(0));
    uint p0 = share_of(panels, get_group_id(1), get_num_groups(1));
    uint ns = share_of(strips, get_group_id(0) + 1, get_num_groups(0)) - s0;
    uint nps = share_of(panels, get_group_id(1) + 1, get_num_groups(1)) - p0;
    uint i0 = s0 * MR, j0 = p0 * NR;
    uint place = ns * MR * NR, share = (16 * NV + ns - 1) / ns;
    b += b_off + (ulong)j0 * 16 * channels;
    for (uint k0 = 0; k0 < channels; k0 += KC) {
        uint kc = min((uint)KC, channels - k0);
        wino_block(block, &g, i0, ns, tiles, k0, kc);
        for (uint p = 0; p < nps; p++)
            for (uint e = 0; e < 16; e++) {
                global const float *panel =
                    b + ((ulong)p * channels + k0) * 16 * NR + e * kc * NR;
                for (uint s = 0; s < ns; s++) {
                    global const float *then = panel + kc * NR + s * share * kc;
                    struct ahead next = { then, then, 16, share };
                    float *strip = block + (e * ns + s) * STRIP(kc);
                    float *to = acc + (p * 16 + e) * place + s * MR * NR;
                    if (tiles - i0 - s * MR <= MR / 2)
                        gemm_micro_half(strip, panel, to, kc, !k0, next);
                    else
                        gemm_micro(strip, panel, to, kc, !k0, next);
                }
            }
    }
    uint rows = min(ns * MR, tiles - i0);
    for (uint i = 0; i < rows; i++) {
        struct tile t = wino_tile(&g, i0 + i);
        for (uint v = 0; v < nps * NV && j0 + v * 16 < n; v++)
            wino_out(acc + v / NV * 16 * place + (i * NV + v % NV) * 16, place,
                     &g, t, j0 + v * 16, &to_c);
    }
}
