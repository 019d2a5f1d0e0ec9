/* SPDX-License-Identifier: MIT */
/*
 * C = act(alpha op(A) op(B) scale + bias) + residual (+ C) for devices with many
 * small cores. A group of 16 x 16 work-items makes a tile of 64 x 64
 * elements, 4 x 4 each, from tiles of A and B in local memory. Each element
 * adds its products in ascending k with one fma each, so the bits equal
 * those of gemm_cpu.
 */
#define TILE 64
#define STEP 16
#define PER 4 /* elements of a work-item in each direction */
#define SIDE (TILE / PER)

/* Bits of `flags`. */
#define HAS_BIAS 1
#define HAS_RESIDUAL 2
#define HAS_PRE 4
#define ACCUMULATE 8
#define HAS_SCALE 16
#define RESIDUAL_FIRST 32

/* t[STEP][TILE] = x[r0 + r, k0 + q], zero outside; element (r, q) is at
 * r * s_r + q * s_k. Neighbouring work-items read neighbours in memory. */
static inline void load_tile(local float *t, global const float *x, ulong s_r, ulong s_k,
                      uint r0, uint k0, uint rows, uint k, uint id)
{
    for (uint e = id; e < TILE * STEP; e += SIDE * SIDE) {
        uint r = s_r == 1 ? e % TILE : e / STEP;
        uint q = s_r == 1 ? e / TILE : e % STEP;
        bool in = r0 + r < rows && k0 + q < k;
        t[q * TILE + r] = in ? x[(r0 + r) * s_r + (k0 + q) * s_k] : 0.0f;
    }
}

#ifdef CONV
/* The tiles of a convolution; see struct gemm_conv of compute.h. */
static inline void load_window(local float *t, global const float *x, ulong ld,
                               uint r0, uint k0, uint rows, uint k, uint id,
                               uint kw, uint h, uint w, uint oh, uint ow,
                               uint stride, uint up, uint pad_y, uint pad_x,
                               uint channels)
{
    for (uint e = id; e < TILE * STEP; e += SIDE * SIDE) {
        uint r = r0 + e / STEP, q = k0 + e % STEP, tap = q / channels;
        int y = (int)(r / ow % oh * stride + tap / kw) - (int)pad_y;
        int z = (int)(r % ow * stride + tap % kw) - (int)pad_x;
        int s = (int)up;
        bool in = r < rows && q < k && y >= 0 && z >= 0 && !(y % s) &&
                  !(z % s) && y / s < (int)h && z / s < (int)w;
        ulong at = ((ulong)(r / (oh * ow)) * h + (uint)y / up) * w + (uint)z / up;
        t[e % STEP * TILE + e / STEP] = in ? x[at * ld + q % channels] : 0.0f;
    }
}

static inline void load_taps(local float *t, global const float *x, uint r0,
                             uint k0, uint rows, uint k, uint id, uint taps,
                             uint channels, uint step_n, uint step_c, uint flip)
{
    for (uint e = id; e < TILE * STEP; e += SIDE * SIDE) {
        uint r = r0 + e / STEP, q = k0 + e % STEP, tap = q / channels;
        ulong at = (ulong)r * step_n + (ulong)(q % channels) * step_c +
                   (flip ? taps - 1 - tap : tap);
        t[e % STEP * TILE + e / STEP] = r < rows && q < k ? x[at] : 0.0f;
    }
}
#endif

kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1)))
void gemm_tiled(global const float *a, ulong a_off, ulong as_i, ulong as_k,
                global const float *b, ulong b_off, ulong bs_k, ulong bs_j,
                global float *c, ulong c_off, ulong ldc,
                global const float *scale, ulong scale_off,
                global const float *bias, ulong bias_off,
                global const float *res, ulong res_off, ulong ldr,
                global float *pre, ulong pre_off, ulong ldp, uint m, uint n,
                uint k, float alpha, int act, int flags
#ifdef CONV
                , uint kh, uint kw, uint h, uint w, uint oh, uint ow,
                uint stride, uint up, uint pad_y, uint pad_x, uint channels,
                uint taps, uint taps_c, uint step_n, uint step_c, uint flip
#endif
                )
{
    local float ta[STEP * TILE], tb[STEP * TILE];
    uint lj = get_local_id(0), li = get_local_id(1), id = li * SIDE + lj;
    uint j0 = get_group_id(0) * TILE, i0 = get_group_id(1) * TILE;
    float s[PER][PER];
    for (int x = 0; x < PER; x++)
        for (int y = 0; y < PER; y++)
            s[x][y] = 0.0f;
    for (uint k0 = 0; k0 < k; k0 += STEP) {
#ifdef CONV
        load_window(ta, a + a_off, as_i, i0, k0, m, k, id, kw, h, w, oh, ow,
                    stride, up, pad_y, pad_x, channels);
        load_taps(tb, b + b_off, j0, k0, n, k, id, taps, taps_c, step_n, step_c,
                  flip);
#else
        load_tile(ta, a + a_off, as_i, as_k, i0, k0, m, k, id);
        load_tile(tb, b + b_off, bs_j, bs_k, j0, k0, n, k, id);
#endif
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int q = 0; q < STEP; q++)
            for (int x = 0; x < PER; x++)
                for (int y = 0; y < PER; y++)
                    s[x][y] = fma(ta[q * TILE + li + x * SIDE],
                                  tb[q * TILE + lj + y * SIDE], s[x][y]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (int x = 0; x < PER; x++)
        for (int y = 0; y < PER; y++) {
            ulong i = i0 + li + x * SIDE, j = j0 + lj + y * SIDE;
            if (i >= m || j >= n)
                continue;
            float v = s[x][y] * alpha;
            if (flags & HAS_SCALE)
                v *= scale[scale_off + j];
            if (flags & HAS_BIAS)
                v += bias[bias_off + j];
            float more = 0.0f;
            if (flags & HAS_RESIDUAL)
                more = res[res_off + i * ldr + j];
            if (flags & ACCUMULATE)
                more += c[c_off + i * ldc + j];
            if (flags & RESIDUAL_FIRST)
                v += more;
            if (flags & HAS_PRE)
                pre[pre_off + i * ldp + j] = v;
            v = act1(act, v);
            if (!(flags & RESIDUAL_FIRST))
                v += more;
            c[c_off + i * ldc + j] = v;
        }
}
