/* SPDX-License-Identifier: MIT */
/*
 * C = act(alpha op(A) op(B) scale + bias) + residual (+ C) for CPU devices. One
 * work-item makes a tile of up to RB strips (MR rows each) by NP panels (NR =
 * 16 NV columns each). B comes packed in panels [k padded to 16][NR]. A block of KC
 * columns of the tile's rows is copied to private memory, where it stays in
 * the second cache; KC rows of a panel stay in the first while the strips
 * pass by, and what comes next is fetched meanwhile. MR * NV accumulators
 * live in registers. Each element adds its products in ascending k with one
 * fma each, whatever the tile.
 */
#ifndef KC
#define KC 256 /* multiple of 16 */
#endif
#ifndef RB
#define RB 8 /* most strips of a tile */
#endif
#ifndef NP
#define NP 8 /* most panels of a tile */
#endif

#ifdef CONV
/* struct gemm_conv of compute.h; room: floats behind `a`. */
struct picture {
    uint kh, kw, h, w, oh, ow, stride, up, pad_y, pad_x, c;
    ulong room;
};

/* A row of op(A) is made of runs: a row of the window where its pixels
 * neighbour each other in memory, else a pixel. This is run r of a window. */
struct run {
    long at;     /* of the run's first value, inside the picture or not */
    int lo, hi;  /* values [lo, hi) are in the picture */
};

static inline struct run gemm_run_of(const struct picture *g, ulong lda,
                                     uint row, uint r, bool wide)
{
    uint img = row / (g->oh * g->ow), pos = row % (g->oh * g->ow);
    int y = (int)(pos / g->ow * g->stride) - (int)g->pad_y;
    int x = (int)(pos % g->ow * g->stride) - (int)g->pad_x;
    int up = (int)g->up, w = (int)g->w;
    y += (int)(wide ? r : r / g->kw);
    x += (int)(wide ? 0 : r % g->kw);
    struct run run = { 0, 0, 0 };
    if (y < 0 || y % up || y / up >= (int)g->h)
        return run;
    run.at = ((long)img * g->h + y / up) * w;
    if (wide) {
        run.lo = max(-x, 0) * (int)g->c;
        run.hi = min((int)g->kw, w - x) * (int)g->c;
    } else if (x >= 0 && !(x % up) && x / up < w) {
        x /= up;
        run.hi = (int)g->c;
    }
    run.at = (run.at + x) * (long)lda;
    return run;
}

/* Values [from, from + n) of the run to a line in private memory, which has
 * 15 floats of room behind it: what is written too far, the next run or the
 * zeros at the end correct. */
static inline void gemm_run_copy(const struct run *r, global const float *a,
                                 ulong room, uint from, uint n, float *to)
{
    int e = (int)from, end = (int)(from + n);
    int lo = clamp(r->lo, e, end), hi = clamp(r->hi, lo, end);
    global const float *p = a + r->at;
    to -= e;
    for (; e < lo; e += 16)
        vstore16((float16)(0.0f), 0, to + e);
    e = lo;
    if ((ulong)(r->at + hi + 15) <= room)
        for (; e < hi; e += 16)
            vstore16(vload16(0, p + e), 0, to + e);
    else
        for (; e < hi; e++)
            to[e] = p[e];
    for (e = hi; e < end; e += 16)
        vstore16((float16)(0.0f), 0, to + e);
}

/* The same where all bounds are multiples of 16, right to their places in a
 * strip. */
static inline void gemm_run_place(const struct run *r, global const float *a,
                                  uint from, uint n, float *to)
{
    global const float *p = a + r->at;
    for (uint e = from; e < from + n; e += 16, to += 16 * MR)
        vstore16((int)e >= r->lo && (int)e < r->hi ? vload16(0, p + e) :
                                                    (float16)(0.0f), 0, to);
}

/* Rows i0.. of the gathered windows, columns k0..k0+kc, zeros beyond m and
 * kc. */
static inline void gemm_window(float *strip, global const float *a, ulong lda,
                               const struct picture *g, uint i0, uint k0,
                               uint m, uint kc)
{
    bool wide = g->up == 1 && lda == g->c;
    bool even = g->c % 16 == 0;
    uint len = wide ? g->kw * g->c : g->c;
    float line[KC + 32] __attribute__((aligned(64)));
    for (uint i = 0; i < MR; i++) {
        float *to = strip + i * 16;
        uint q = 0, r = k0 / len, from = k0 % len, have = i0 + i < m ? kc : 0;
        while (q < have) {
            struct run run = gemm_run_of(g, lda, i0 + i, r++, wide);
            uint n = min(len - from, kc - q);
            if (even)
                gemm_run_place(&run, a, from, n, to + q * MR);
            else
                gemm_run_copy(&run, a, g->room, from, n, line + q);
            q += n;
            from = 0;
        }
        if (!even)
            vstore16((float16)(0.0f), 0, line + q);
        for (q = even ? have : 0; q < kc; q += 16)
            vstore16(q < have ? vload16(0, line + q) : (float16)(0.0f), 0,
                     to + q * MR);
    }
}
#endif

/* Copies ns strips from row i0 of op(A), columns k0..k0+kc, zeros beyond m
 * and kc. */
#ifdef A_TRANS
static inline void gemm_block(float *block, global const float *a, ulong lda,
                              uint i0, uint ns, uint k0, uint m, uint kc)
{
    uint kc16 = (kc + 15) / 16 * 16, n = m - i0;
    a += (ulong)k0 * lda + i0;
    for (uint q = 0; q < kc16; q++)
        for (uint s = 0; s < ns; s++) {
            uint left = n - s * MR;
            global const float *from = a + q * lda + s * MR;
            float16 v = (float16)(0.0f);
            if (q < kc)
                v = load_n(from, min(left, (uint)16));
            vstore16(v, 0, block + s * STRIP(kc16) + q * MR);
        }
}
#elif !defined(CONV)
static inline void gemm_block(float *block, global const float *a, ulong lda,
                              uint i0, uint ns, uint k0, uint m, uint kc)
{
    uint kc16 = (kc + 15) / 16 * 16;
    for (uint i = 0; i < ns * MR; i++) {
        float *to = block + i / MR * STRIP(kc16) + i % MR * 16;
        uint have = i0 + i < m ? kc : 0;
        global const float *from = a + (ulong)(i0 + i) * lda + k0;
        uint q = 0;
        for (; q + 16 <= have; q += 16)
            vstore16(vload16(0, from + q), 0, to + q * MR);
        for (; q < kc; q += 16)
            vstore16(q < have ? load_n(from + q, have - q) : (float16)(0.0f), 0,
                     to + q * MR);
    }
}
#endif

/* Where the next block of A begins for strip s while panel p is multiplied:
 * of these rows or, behind the last column, of the tile below. The strips
 * share the rows of the panel that comes next. */
static inline struct ahead gemm_ahead(global const float *a, ulong lda, uint i0,
                                      uint rows, uint k0, uint k, uint s, uint p,
                                      global const float *panel)
{
    uint share = (16 * NV * MR + rows - 1) / rows;
    panel += s * share * 256;
    struct ahead r = { panel, panel, 16, share };
#ifndef CONV
    if (k0 >= k) {
        k0 = 0;
        i0 += rows;
    }
#ifdef A_TRANS
    // 16 rows of KC at a time, 16 columns of the block each
    uint lines = (rows + 15) / 16, at = p * rows / MR + s;
    r.a = a + (ulong)(k0 + at / lines * 16) * lda + i0 + at % lines * 16;
    r.step = lda;
#else
    r.a = a + (ulong)(i0 + s * MR + p % MR) * lda + k0;
#endif
#endif
    return r;
}

/* Global size: (items that share the strips, the panels). pc: panel length, k padded to
 * 16. */
CPU_KERNEL void gemm_cpu(global const float *a, ulong a_off, ulong lda,
                         global const float *b, ulong b_off,
                         RESULTS,
                         uint m, uint n, uint k, float alpha,
                         int act, int flags
#ifdef CONV
                         , uint kh, uint kw, uint h, uint w, uint oh, uint ow,
                         uint stride, uint up, uint pad_y, uint pad_x,
                         uint channels, ulong room
#endif
                         )
{
    float block[RB * STRIP(KC)] __attribute__((aligned(64)));
    float acc[RB * NP * MR * NR] __attribute__((aligned(64)));
    uint strips = (m + MR - 1) / MR, panels = (n + NR - 1) / NR;
    uint s0 = share_of(strips, get_group_id(0), get_num_groups(0));
    uint p0 = share_of(panels, get_group_id(1), get_num_groups(1));
    uint ns = share_of(strips, get_group_id(0) + 1, get_num_groups(0)) - s0;
    uint nps = share_of(panels, get_group_id(1) + 1, get_num_groups(1)) - p0;
    uint i0 = s0 * MR, j0 = p0 * NR;
    ulong pc = (k + 15) / 16 * 16;
    struct results to_c = RESULTS_OF;
#ifdef CONV
    struct picture g = { kh, kw, h, w, oh, ow, stride, up, pad_y, pad_x,
                         channels, room - a_off };
#endif
    a += a_off;
    b += b_off + j0 * pc;
    for (uint i = 0; !k && i < ns * nps * MR * NV; i++)
        vstore16((float16)(0.0f), i, acc);
    for (uint k0 = 0; k0 < k; k0 += KC) {
        uint kc = min((uint)KC, k - k0), kc16 = (kc + 15) / 16 * 16;
#ifdef CONV
        for (uint s = 0; s < ns; s++)
            gemm_window(block + s * STRIP(kc16), a, lda, &g, i0 + s * MR, k0, m,
                        kc);
#else
        gemm_block(block, a, lda, i0, ns, k0, m, kc);
#endif
        for (uint p = 0; p < nps; p++)
            for (uint s = 0; s < ns; s++) {
                global const float *panel = b + (p * pc + k0) * NR;
                global const float *then =
                    p + 1 < nps ? panel + pc * NR : b + (k0 + KC) * NR;
                uint i = i0 + s * MR, j = j0 + p * NR;
                if (k0 + KC >= k)
                    fetch_rows(c + c_off + (ulong)i * ldc + j, ldc);
                if (k0 + KC >= k && flags & HAS_RESIDUAL)
                    fetch_rows(res + res_off + (ulong)i * ldr + j, ldr);
                struct ahead next = gemm_ahead(a, lda, i0, ns * MR, k0 + KC, k,
                                               s, p, then);
                float *strip = block + s * STRIP(kc16);
                float *to = acc + (s * nps + p) * MR * NR;
                if (m - i <= MR / 2)
                    gemm_micro_half(strip, panel, to, kc16, !k0, next);
                else
                    gemm_micro(strip, panel, to, kc16, !k0, next);
            }
    }
    uint rows = min(ns * MR, m - i0);
    for (uint i = 0; i < rows; i++)
        for (uint v = 0; v < nps * NV && j0 + v * 16 < n; v++) {
            uint t = (i / MR * nps + v / NV) * MR + i % MR;
            gemm_finish(&to_c, i0 + i, j0 + v * 16,
                        vload16(t * NV + v % NV, acc));
        }
}
