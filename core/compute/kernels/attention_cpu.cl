/* SPDX-License-Identifier: MIT */
/*
 * Attention for CPU devices. A work-item takes a block of LANES rows of one
 * head, one row per vector lane: with the block transposed, scores, softmax
 * and sums need no reduction across lanes, and the other side's rows are
 * read as they are, broadcast element by element. Keys come in blocks of
 * STEP at fixed positions with a running maximum, so a row depends neither
 * on batch nor on padding. Layout and arguments as in attention.cl.
 * BACKWARD: the kernels of the gradient instead.
 */
#ifndef NV
#define NV 2 /* float16 vectors of a block */
#endif
#ifndef STEP
#define STEP 128 /* rows of the other side at a time */
#endif
#define LANES (NV * 16)
#define STEP_ROOM ((STEP + GROUP - 1) / GROUP * GROUP)
#define D16 ((D + 15) / 16 * 16)
#ifndef GROUP
#define GROUP 8 /* accumulators per vector */
#endif

typedef struct {
    float16 v[NV];
} lanes_t;

static inline lanes_t lanes_of(float x)
{
    lanes_t r;
    UNROLL for (int v = 0; v < NV; v++)
        r.v[v] = (float16)(x);
    return r;
}

static inline lanes_t lanes_load(const float *p)
{
    lanes_t r;
    UNROLL for (int v = 0; v < NV; v++)
        r.v[v] = vload16(v, p);
    return r;
}

static inline void lanes_store(float *p, lanes_t x)
{
    UNROLL for (int v = 0; v < NV; v++)
        vstore16(x.v[v], v, p);
}

/* xt[e][lane] = x[lane][e] for `rows` rows; zeros beyond. */
static inline void read_block(float *xt, global const float *x, ulong ld, uint rows)
{
    ROLLED for (uint l = 0; l < LANES; l += 16)
        ROLLED for (uint e = 0; e < D; e += 16) {
            float16 r[16];
            UNROLL for (uint i = 0; i < 16; i++)
                r[i] = l + i < rows ? load_n(x + (l + i) * ld + e, D - e) :
                                      (float16)(0.0f);
            transpose16(r);
            UNROLL for (uint i = 0; i < 16; i++)
                vstore16(r[i], 0, xt + (e + i) * LANES + l);
        }
}

/* The reverse, times `scale` per lane. */
static inline void write_block(global float *x, ulong ld, uint rows,
                               const float *xt, lanes_t scale)
{
    UNROLL for (uint v = 0; v < NV; v++)
        ROLLED for (uint e = 0; e < D; e += 16) {
            float16 r[16];
            UNROLL for (uint i = 0; i < 16; i++)
                r[i] = vload16(v, xt + (e + i) * LANES) * scale.v[v];
            transpose16(r);
            ROLLED for (uint i = 0; i < 16 && v * 16 + i < rows; i++)
                store_n(x + (v * 16 + i) * ld + e, D - e, r[i]);
        }
}

/* s[r] = sum over e of x[r][e] xt[e] for n rows; s has room for a multiple
 * of GROUP rows. */
static inline void scores(float *s, global const float *x, ulong ld, uint n,
                          const float *xt)
{
    for (uint r = 0; r < n; r += GROUP) {
        lanes_t c[GROUP];
        global const float *row[GROUP];
        UNROLL for (uint i = 0; i < GROUP; i++) {
            c[i] = lanes_of(0.0f);
            row[i] = x + min(r + i, n - 1) * ld;
        }
        __attribute__((opencl_unroll_hint(4)))
        for (uint e = 0; e < D; e++) {
            lanes_t y = lanes_load(xt + e * LANES);
            UNROLL for (uint i = 0; i < GROUP; i++) {
                float16 t = (float16)(row[i][e]);
                UNROLL for (int v = 0; v < NV; v++)
                    c[i].v[v] = fma(t, y.v[v], c[i].v[v]);
            }
        }
        UNROLL for (uint i = 0; i < GROUP; i++)
            lanes_store(s + (r + i) * LANES, c[i]);
    }
}

/* o[e] += sum over n rows of x[r][e] s[r], for WIDTH values of e. */
#define DEFINE_GATHER(name, WIDTH)                                            \
    static inline void name(float *o, global const float *x, ulong ld, uint n, \
                            const float *s)                                   \
    {                                                                         \
        lanes_t c[WIDTH];                                                     \
        UNROLL for (uint i = 0; i < WIDTH; i++)                               \
            c[i] = lanes_load(o + i * LANES);                                 \
        for (uint r = 0; r < n; r++) {                                        \
            lanes_t y = lanes_load(s + r * LANES);                            \
            UNROLL for (uint i = 0; i < WIDTH; i++) {                         \
                float16 t = (float16)(x[r * ld + i]);                         \
                UNROLL for (int v = 0; v < NV; v++)                           \
                    c[i].v[v] = fma(t, y.v[v], c[i].v[v]);                    \
            }                                                                 \
        }                                                                     \
        UNROLL for (uint i = 0; i < WIDTH; i++)                               \
            lanes_store(o + i * LANES, c[i]);                                 \
    }
DEFINE_GATHER(gather_group, GROUP)
DEFINE_GATHER(gather_four, 4)
DEFINE_GATHER(gather_one, 1)

static inline void gather_all(float *o, global const float *x, ulong ld, uint n,
                              const float *s)
{
    uint e = 0;
    ROLLED for (; e + GROUP <= D; e += GROUP)
        gather_group(o + e * LANES, x + e, ld, n, s);
    ROLLED for (; e + 4 <= D; e += 4)
        gather_four(o + e * LANES, x + e, ld, n, s);
    ROLLED for (; e < D; e++)
        gather_one(o + e * LANES, x + e, ld, n, s);
}

static inline void clear(float *x, uint n)
{
    ROLLED for (uint i = 0; i < n; i += 16)
        vstore16((float16)(0.0f), 0, x + i);
}

/* Row number of each lane. */
static inline int16 lane_rows(uint first, int v)
{
    return (int)first + v * 16 +
           (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* Keys of sample b under MASK_LENGTH or MASK_LAST, all under the others. */
static inline int sample_keys(int mask, global const int *lengths, uint b,
                              uint tk)
{
    if (mask == MASK_LAST)
        return clamp(lengths[b], -1, (int)tk - 1) + 1;
    return mask == MASK_LENGTH ? clamp(lengths[b], 0, (int)tk) : (int)tk;
}

/* Keys that some row of a block of queries may see. */
static inline uint block_keys(int mask, global const int *lengths, uint b,
                              uint i0, uint tk)
{
    if (mask == MASK_CAUSAL)
        return min(i0 + LANES, tk);
    return (uint)sample_keys(mask, lengths, b, tk);
}

/* Softmax numerators of n keys from k0 in s, in place; top, sum and the
 * factor for what was summed before are updated per lane. */
static inline void soften(float *s, uint n, uint k0, uint i0, int causal,
                          float scale, lanes_t *top, lanes_t *sum,
                          lanes_t *factor)
{
    lanes_t old = *top;
    for (uint r = 0; r < n; r++) {
        lanes_t x = lanes_load(s + r * LANES);
        UNROLL for (int v = 0; v < NV; v++) {
            x.v[v] *= scale;
            if (causal && k0 + r > i0)
                x.v[v] = lane_rows(i0, v) < (int16)(k0 + r) ?
                             (float16)(-INFINITY) : x.v[v];
            top->v[v] = fmax(top->v[v], x.v[v]);
        }
        lanes_store(s + r * LANES, x);
    }
    UNROLL for (int v = 0; v < NV; v++) {
        factor->v[v] = exp16(old.v[v] - top->v[v]);
        sum->v[v] *= factor->v[v];
    }
    for (uint r = 0; r < n; r++) {
        lanes_t x = lanes_load(s + r * LANES);
        UNROLL for (int v = 0; v < NV; v++) {
            x.v[v] = exp16(x.v[v] - top->v[v]);
            sum->v[v] += x.v[v];
        }
        lanes_store(s + r * LANES, x);
    }
}

#ifndef BACKWARD

CPU_KERNEL void attention_fwd(global const float *q, ulong q_off, uint ldq,
                              global const float *k, ulong k_off, uint ldk,
                              global const float *v, ulong v_off, uint ldv,
                              global float *out, ulong o_off, uint ldo,
                              global float *lse, ulong lse_off, int has_lse,
                              global const int *lengths, ulong len_off, int mask,
                              float scale, uint tq, uint tk)
{
    float qt[D16 * LANES] __attribute__((aligned(64)));
    float ot[D16 * LANES] __attribute__((aligned(64)));
    float s[STEP_ROOM * LANES] __attribute__((aligned(64)));
    uint i0 = get_group_id(0) * LANES, h = get_group_id(1), b = get_group_id(2);
    uint rows = min((uint)LANES, tq - i0);
    uint n = block_keys(mask, lengths + len_off, b, i0, tk);
    q += q_off + ((ulong)b * tq + i0) * ldq + h * D;
    k += k_off + (ulong)b * tk * ldk + h * D;
    v += v_off + (ulong)b * tk * ldv + h * D;
    out += o_off + ((ulong)b * tq + i0) * ldo + h * D;
    read_block(qt, q, ldq, rows);
    clear(ot, D16 * LANES);
    lanes_t top = lanes_of(-INFINITY), sum = lanes_of(0.0f), f;
    for (uint k0 = 0; k0 < n; k0 += STEP) {
        uint m = min((uint)STEP, n - k0);
        scores(s, k + (ulong)k0 * ldk, ldk, m, qt);
        soften(s, m, k0, i0, mask == MASK_CAUSAL, scale, &top, &sum, &f);
        ROLLED for (uint e = 0; k0 && e < D; e++)
            UNROLL for (int x = 0; x < NV; x++)
                vstore16(vload16(x, ot + e * LANES) * f.v[x], x, ot + e * LANES);
        gather_all(ot, v + (ulong)k0 * ldv, ldv, m, s);
    }
    UNROLL for (int x = 0; x < NV; x++)
        f.v[x] = n ? 1.0f / sum.v[x] : (float16)(0.0f);
    write_block(out, ldo, rows, ot, f);
    if (!has_lse)
        return;
    lse += lse_off + ((ulong)b * get_num_groups(1) + h) * tq + i0;
    UNROLL for (int x = 0; x < NV; x++)
        if ((uint)x * 16 < rows)
            store_n(lse + x * 16, rows - x * 16,
                    n ? top.v[x] + log(sum.v[x]) : (float16)(0.0f));
}

#else

/* delta[b, h, i] = <dout, out>; global size (1, heads, samples). */
CPU_KERNEL void attention_delta(global const float *out, ulong o_off, uint ldo,
                                global const float *dout, ulong do_off, uint lddo,
                                global float *delta, uint tq)
{
    uint h = get_group_id(1), b = get_group_id(2);
    for (uint i = 0; i < tq; i++) {
        ulong row = (ulong)b * tq + i;
        global const float *x = out + o_off + row * ldo + h * D;
        global const float *y = dout + do_off + row * lddo + h * D;
        float16 s = (float16)(0.0f);
        for (uint e = 0; e < D; e += 16)
            s = fma(load_n(x + e, D - e), load_n(y + e, D - e), s);
        delta[((ulong)b * get_num_groups(1) + h) * tq + i] = sum16(s);
    }
}

CPU_KERNEL void attention_dq(global const float *q, ulong q_off, uint ldq,
                             global const float *k, ulong k_off, uint ldk,
                             global const float *v, ulong v_off, uint ldv,
                             global const float *dout, ulong do_off, uint lddo,
                             global const float *lse, ulong lse_off,
                             global const float *delta,
                             global float *dq, ulong dq_off, uint lddq,
                             global const int *lengths, ulong len_off, int mask,
                             float scale, uint tq, uint tk)
{
    float qt[D16 * LANES] __attribute__((aligned(64)));
    float gt[D16 * LANES] __attribute__((aligned(64)));
    float ot[D16 * LANES] __attribute__((aligned(64)));
    float s[STEP_ROOM * LANES] __attribute__((aligned(64)));
    float g[STEP_ROOM * LANES] __attribute__((aligned(64)));
    uint i0 = get_group_id(0) * LANES, h = get_group_id(1), b = get_group_id(2);
    uint rows = min((uint)LANES, tq - i0);
    uint n = block_keys(mask, lengths + len_off, b, i0, tk);
    ulong at = ((ulong)b * get_num_groups(1) + h) * tq + i0;
    k += k_off + (ulong)b * tk * ldk + h * D;
    v += v_off + (ulong)b * tk * ldv + h * D;
    read_block(qt, q + q_off + ((ulong)b * tq + i0) * ldq + h * D, ldq, rows);
    read_block(gt, dout + do_off + ((ulong)b * tq + i0) * lddo + h * D, lddo,
               rows);
    clear(ot, D16 * LANES);
    lanes_t l = lanes_of(0.0f), d = l;
    UNROLL for (int x = 0; x < NV; x++)
        if ((uint)x * 16 < rows) {
            l.v[x] = load_n(lse + lse_off + at + x * 16, rows - x * 16);
            d.v[x] = load_n(delta + at + x * 16, rows - x * 16);
        }
    for (uint k0 = 0; k0 < n; k0 += STEP) {
        uint m = min((uint)STEP, n - k0);
        scores(s, k + (ulong)k0 * ldk, ldk, m, qt);
        scores(g, v + (ulong)k0 * ldv, ldv, m, gt);
        for (uint r = 0; r < m; r++)
            UNROLL for (int x = 0; x < NV; x++) {
                float16 p = exp16(vload16(x, s + r * LANES) * scale - l.v[x]);
                p *= vload16(x, g + r * LANES) - d.v[x];
                if (mask == MASK_CAUSAL && k0 + r > i0)
                    p = lane_rows(i0, x) < (int16)(k0 + r) ? (float16)(0.0f) : p;
                vstore16(p, x, s + r * LANES);
            }
        gather_all(ot, k + (ulong)k0 * ldk, ldk, m, s);
    }
    write_block(dq + dq_off + ((ulong)b * tq + i0) * lddq + h * D, lddq, rows, ot,
                lanes_of(scale));
}

CPU_KERNEL void attention_dkv(global const float *q, ulong q_off, uint ldq,
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
    float kt[D16 * LANES] __attribute__((aligned(64)));
    float vt[D16 * LANES] __attribute__((aligned(64)));
    float ok[D16 * LANES] __attribute__((aligned(64)));
    float ov[D16 * LANES] __attribute__((aligned(64)));
    float s[STEP_ROOM * LANES] __attribute__((aligned(64)));
    float g[STEP_ROOM * LANES] __attribute__((aligned(64)));
    uint j0 = get_group_id(0) * LANES, h = get_group_id(1), b = get_group_id(2);
    uint rows = min((uint)LANES, tk - j0);
    int seen = sample_keys(mask, lengths + len_off, b, tk);
    ulong at = ((ulong)b * get_num_groups(1) + h) * tq;
    q += q_off + (ulong)b * tq * ldq + h * D;
    dout += do_off + (ulong)b * tq * lddo + h * D;
    read_block(kt, k + k_off + ((ulong)b * tk + j0) * ldk + h * D, ldk, rows);
    read_block(vt, v + v_off + ((ulong)b * tk + j0) * ldv + h * D, ldv, rows);
    clear(ok, D16 * LANES);
    clear(ov, D16 * LANES);
    uint first = mask == MASK_CAUSAL ? j0 : 0; // earlier queries see no key here
    for (uint q0 = first; q0 < tq && (int)j0 < seen; q0 += STEP) {
        uint m = min((uint)STEP, tq - q0);
        scores(s, q + (ulong)q0 * ldq, ldq, m, kt);
        scores(g, dout + (ulong)q0 * lddo, lddo, m, vt);
        for (uint r = 0; r < m; r++) {
            uint i = q0 + r;
            float l = lse[lse_off + at + i], d = delta[at + i];
            int limit = mask == MASK_CAUSAL ? min((int)i + 1, seen) : seen;
            UNROLL for (int x = 0; x < NV; x++) {
                float16 p = exp16(vload16(x, s + r * LANES) * scale - l);
                p = lane_rows(j0, x) < (int16)(limit) ? p : (float16)(0.0f);
                vstore16(p, x, s + r * LANES);
                p *= vload16(x, g + r * LANES) - d;
                vstore16(p, x, g + r * LANES);
            }
        }
        gather_all(ov, dout + (ulong)q0 * lddo, lddo, m, s);
        gather_all(ok, q + (ulong)q0 * ldq, ldq, m, g);
    }
    write_block(dk + dk_off + ((ulong)b * tk + j0) * lddk + h * D, lddk, rows, ok,
                lanes_of(scale));
    write_block(dv + dv_off + ((ulong)b * tk + j0) * lddv + h * D, lddv, rows, ov,
                lanes_of(1.0f));
}

#endif
