/* SPDX-License-Identifier: MIT */
/*
 * What the products of gemm_cpu.cl and gemm_wino.cl share: strips times
 * panels in registers, and the epilogue. Prepended to both.
 */
#ifndef MR
#define MR 12 /* rows of a strip */
#endif
#ifndef NV
#define NV 2 /* float16 vectors across a panel */
#endif
#define NR (NV * 16)

/* Where element (row i, step q of 16) of a strip's block lies: rows of A are
 * copied as they are; A^T has MR neighbours per k. */
#ifdef A_TRANS
#define AT(i, q) ((q)*MR + (i))
#else
#define AT(i, q) ((i)*16 + (q))
#endif

/* Floats from one strip of a block to the next: 16 to write too far into. */
#define STRIP(kc) (MR * (kc) + 16)

/* Of n strips or panels, where those of item g of `groups` begin: equal shares
 * but for one. */
static inline uint share_of(uint n, size_t g, size_t groups)
{
    return (uint)(n * (ulong)g / groups);
}

/* What to fetch while a strip is multiplied, every 16 steps: a line of 16
 * floats of a, and `lines` of b. */
struct ahead {
    global const float *a, *b;
    ulong step; /* of a; b goes on line by line */
    uint lines;
};

/* acc[MR][NR] += strip[kc] * panel[kc] for the strip's first ROWS rows, kc a
 * multiple of 16; fresh: acc is 0, whatever it holds. */
#define DEFINE_MICRO(name, ROWS)                                              \
    static inline void name(const float *a, global const float *b, float *acc, \
                            uint kc, bool fresh, struct ahead next)           \
    {                                                                         \
        float16 c[ROWS][NV];                                                  \
        UNROLL for (int i = 0; i < ROWS; i++)                                 \
            UNROLL for (int j = 0; j < NV; j++)                               \
                c[i][j] = fresh ? (float16)(0.0f) : vload16(i * NV + j, acc); \
        for (uint k = 0; k < kc; k += 16) {                                   \
            FETCH(next.a);                                                    \
            next.a += next.step;                                              \
            for (uint i = 0; i < next.lines; i++, next.b += 16)               \
                FETCH(next.b);                                                \
            UNROLL for (int q = 0; q < 16; q++) {                             \
                float16 v[NV];                                                \
                UNROLL for (int j = 0; j < NV; j++)                           \
                    v[j] = vload16(q * NV + j, b);                            \
                UNROLL for (int i = 0; i < ROWS; i++) {                       \
                    float16 t = (float16)(a[AT(i, q)]);                       \
                    UNROLL for (int j = 0; j < NV; j++)                       \
                        c[i][j] = fma(t, v[j], c[i][j]);                      \
                }                                                             \
            }                                                                 \
            a += MR * 16;                                                     \
            b += 16 * NR;                                                     \
        }                                                                     \
        UNROLL for (int i = 0; i < ROWS; i++)                                 \
            UNROLL for (int j = 0; j < NV; j++)                               \
                vstore16(c[i][j], i * NV + j, acc);                           \
    }
DEFINE_MICRO(gemm_micro, MR)
DEFINE_MICRO(gemm_micro_half, MR / 2)

/* What the epilogue will read or write. */
static inline void fetch_rows(global const float *c, ulong ldc)
{
    UNROLL for (int i = 0; i < MR; i++)
        UNROLL for (int j = 0; j < NV; j++)
            FETCH(c + i * ldc + j * 16);
}

/* Bits of `flags`. */
#define HAS_BIAS 1
#define HAS_RESIDUAL 2
#define HAS_PRE 4
#define ACCUMULATE 8
#define HAS_SCALE 16
#define RESIDUAL_FIRST 32

/* C and the operands of the epilogue, offsets applied; absent ones are never
 * read. */
struct results {
    global float *c;
    global const float *scale, *bias, *res;
    global float *pre;
    ulong ldc, ldr, ldp;
    uint n;
    float alpha;
    int act, flags;
};
#define RESULTS                                                               \
    global float *c, ulong c_off, ulong ldc, global const float *scale,       \
        ulong scale_off, global const float *bias, ulong bias_off,            \
        global const float *res, ulong res_off, ulong ldr, global float *pre, \
        ulong pre_off, ulong ldp
#define RESULTS_OF                                                            \
    { c + c_off, scale + scale_off, bias + bias_off, res + res_off,           \
      pre + pre_off, ldc, ldr, ldp, n, alpha, act, flags }

/* Columns j.. of row r of the product, which are y, to C. */
static inline void gemm_finish(const struct results *to, ulong r, uint j,
                               float16 y)
{
    uint left = to->n - j;
    int flags = to->flags;
    y *= to->alpha;
    if (flags & HAS_SCALE)
        y *= load_n(to->scale + j, left);
    if (flags & HAS_BIAS)
        y += load_n(to->bias + j, left);
    float16 more = (float16)(0.0f);
    if (flags & HAS_RESIDUAL)
        more = load_n(to->res + r * to->ldr + j, left);
    if (flags & ACCUMULATE)
        more += load_n(to->c + r * to->ldc + j, left);
    if (flags & RESIDUAL_FIRST)
        y += more;
    if (flags & HAS_PRE)
        store_n(to->pre + r * to->ldp + j, left, y);
    y = act16(to->act, y);
    if (!(flags & RESIDUAL_FIRST))
        y += more;
    store_n(to->c + r * to->ldc + j, left, y);
}
