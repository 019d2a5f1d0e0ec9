/* SPDX-License-Identifier: MIT */
/*
 * Pooling over pictures [n, h, w, c], 16 channels and one row of the result
 * an item, and the order of dims: [n, a, b] to [n, b, a].
 */

/* max: 0 mean of k k values, zeros around the picture counted; 1 largest. */
kernel void pool_rows(const global float *x, global float *y, uint rows, uint h,
                      uint w, uint c, uint oh, uint ow, uint k, uint stride,
                      uint pad, int max)
{
    uint row = get_global_id(0), ch = get_global_id(1) * 16, left = c - ch;
    if (row >= rows)
        return;
    int y0 = (int)(row % oh * stride) - (int)pad;
    uint i0 = (uint)(y0 < 0 ? 0 : y0), i1 = (uint)min(y0 + (int)k, (int)h);
    x += (ulong)(row / oh) * h * w * c + ch;
    y += (ulong)row * ow * c + ch;
    float part = 1.0f / (float)(k * k);
    for (uint ox = 0; ox < ow; ox++) {
        int x0 = (int)(ox * stride) - (int)pad;
        uint j0 = (uint)(x0 < 0 ? 0 : x0), j1 = (uint)min(x0 + (int)k, (int)w);
        float16 v = (float16)(max ? -INFINITY : 0.0f);
        for (uint i = i0; i < i1; i++)
            for (uint j = j0; j < j1; j++) {
                float16 t = load_n(x + ((ulong)i * w + j) * c, left);
                v = max ? fmax(v, t) : v + t;
            }
        store_n(y + (ulong)ox * c, left, max ? v : v * part);
    }
}

/* Whether pixel (i, j), worth v, is the first largest of the window at
 * (y0, x0): all ones where it is. */
static inline int16 first_largest(const global float *x, float16 v, int i, int j,
                                  int y0, int x0, int k, int h, int w, uint c,
                                  uint left)
{
    int16 best = (int16)(-1);
    for (int p = max(y0, 0); p < min(y0 + k, h); p++)
        for (int q = max(x0, 0); q < min(x0 + k, w); q++) {
            float16 t = load_n(x + ((ulong)p * (uint)w + (uint)q) * c, left);
            bool before = p < i || (p == i && q < j);
            best &= before ? v > t : v >= t;
        }
    return best;
}

/* Gradient by x: row get_global_id(0) of n * h; + acc with flags 2; flags 1:
 * of the largest. */
kernel void pool_rows_grad(const global float *dy, const global float *x,
                           const global float *acc, global float *dx, uint rows,
                           uint h, uint w, uint c, uint oh, uint ow, uint k,
                           uint stride, uint pad, int flags)
{
    uint row = get_global_id(0), ch = get_global_id(1) * 16, left = c - ch;
    if (row >= rows)
        return;
    int i = (int)(row % h), s = (int)stride, kk = (int)k;
    float part = 1.0f / (float)(k * k);
    dy += (ulong)(row / h) * oh * ow * c + ch;
    x += (ulong)(row / h) * h * w * c + ch;
    for (int j = 0; j < (int)w; j++) {
        ulong at = ((ulong)row * w + (uint)j) * c + ch;
        float16 v = 0.0f;
        float16 own = 0.0f;
        if (flags & 1)
            own = load_n(x + ((ulong)(uint)i * w + (uint)j) * c, left);
        for (int p = i + (int)pad; p > i + (int)pad - kk && p >= 0; p--)
            for (int q = j + (int)pad; q > j + (int)pad - kk && q >= 0; q--) {
                if (p % s || q % s || p / s >= (int)oh || q / s >= (int)ow)
                    continue;
                float16 d = load_n(dy + ((ulong)(p / s) * ow + (uint)(q / s)) * c,
                                   left);
                if (flags & 1)
                    d = select((float16)(0.0f), d,
                               first_largest(x, own, i, j, p - (int)pad,
                                             q - (int)pad, kk, (int)h, (int)w, c,
                                             left));
                v += d;
            }
        if (!(flags & 1))
            v *= part;
        if (flags & 2)
            v += load_n(acc + at, left);
        store_n(dx + at, left, v);
    }
}

/* y [n, b, a] from x [n, a, b]; item: rows 16 get_global_id(0).. of one
 * sample's result. */
kernel void swap_dims(const global float *x, global float *y, uint n, uint a,
                      uint b)
{
    uint blocks = (b + 15) / 16, id = get_global_id(0);
    if (id >= n * blocks)
        return;
    uint j0 = id % blocks * 16, rows = min((uint)16, b - j0);
    x += (ulong)(id / blocks) * a * b + j0;
    y += ((ulong)(id / blocks) * b + j0) * a;
    uint i = 0;
    for (; rows == 16 && i + 16 <= a; i += 16) {
        float16 r[16];
        UNROLL for (uint q = 0; q < 16; q++)
            r[q] = vload16(0, x + (ulong)(i + q) * b);
        transpose16(r);
        UNROLL for (uint q = 0; q < 16; q++)
            vstore16(r[q], 0, y + (ulong)q * a + i);
    }
    for (; i < a; i++)
        for (uint q = 0; q < rows; q++)
            y[(ulong)q * a + i] = x[(ulong)i * b + q];
}
