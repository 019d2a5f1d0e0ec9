/* SPDX-License-Identifier: MIT */
/*
 * Convolutions of pictures [n, h, w, c] that are no matrix product (depthwise,
 * 16 channels an item), windows written out, and batch norm's two vectors.
 */

/* y [n, oh, ow, kh kw c]: one item a row. */
kernel void windows_gather(const global float *x, global float *y, uint rows,
                           uint h, uint w, uint c, uint oh, uint ow, uint kh,
                           uint kw, uint stride, uint pad)
{
    uint r = get_global_id(0);
    if (r >= rows)
        return;
    int y0 = (int)(r / ow % oh * stride) - (int)pad;
    int x0 = (int)(r % ow * stride) - (int)pad;
    y += (ulong)r * kh * kw * c;
    for (int i = y0; i < y0 + (int)kh; i++)
        for (int j = x0; j < x0 + (int)kw; j++, y += c) {
            bool in = i >= 0 && i < (int)h && j >= 0 && j < (int)w;
            ulong at = (((ulong)(r / (oh * ow)) * h + (uint)i) * w + (uint)j) * c;
            for (uint q = 0; q < c; q += 16)
                store_n(y + q, c - q,
                        in ? load_n(x + at + q, c - q) : (float16)(0.0f));
        }
}

/* flags: 1 gain, 2 bias. */
kernel void batch_norm_fold(const global float *mean, const global float *var,
                            const global float *gain, const global float *bias,
                            global float *y, uint c, int flags, float eps)
{
    uint i = get_global_id(0) * 256, end = min(c, i + 256);
    for (; i < end; i++) {
        float s = (flags & 1 ? gain[i] : 1.0f) / sqrt(var[i] + eps);
        y[i] = s;
        y[c + i] = (flags & 2 ? bias[i] : 0.0f) - mean[i] * s;
    }
}

/* ---- depthwise: weights [k k, c] ---- */

#define PIXELS 6 /* results that share the weights they load */

/* Result row get_global_id(0) of n * oh, channels from 16 get_global_id(1).
 * flags: 1 bias. */
kernel void depthwise_rows(const global float *x, const global float *wt,
                           const global float *bias, global float *y, uint rows,
                           uint h, uint w, uint c, uint oh, uint ow, uint k,
                           uint stride, uint pad, int flags)
{
    uint row = get_global_id(0), ch = get_global_id(1) * 16, left = c - ch;
    if (row >= rows)
        return;
    int y0 = (int)(row % oh * stride) - (int)pad;
    x += (ulong)(row / oh) * h * w * c + ch;
    wt += ch;
    y += (ulong)row * ow * c + ch;
    float16 b = flags & 1 ? load_n(bias + ch, left) : (float16)(0.0f);
    for (uint ox = 0; ox < ow; ox += PIXELS) {
        float16 acc[PIXELS];
        uint many = min((uint)PIXELS, ow - ox);
        int x0 = (int)(ox * stride) - (int)pad;
        bool inside = many == PIXELS && left >= 16 && x0 >= 0 &&
                      x0 + (int)((PIXELS - 1) * stride + k) <= (int)w;
        UNROLL for (uint p = 0; p < PIXELS; p++)
            acc[p] = b;
        for (uint i = 0; i < k; i++) {
            int iy = y0 + (int)i;
            if (iy < 0 || iy >= (int)h)
                continue;
            const global float *line = x + ((long)iy * (int)w + x0) * (long)c;
            for (uint j = 0; j < k; j++) {
                float16 t = load_n(wt + (i * k + j) * c, left);
                if (inside) {
                    UNROLL for (uint p = 0; p < PIXELS; p++)
                        acc[p] = fma(vload16(0, line + (p * stride + j) * c), t,
                                     acc[p]);
                    continue;
                }
                UNROLL for (uint p = 0; p < PIXELS; p++) {
                    int ix = x0 + (int)(p * stride + j);
                    if (p < many && ix >= 0 && ix < (int)w)
                        acc[p] = fma(load_n(line + (p * stride + j) * c, left), t,
                                     acc[p]);
                }
            }
        }
        UNROLL for (uint p = 0; p < PIXELS; p++)
            if (p < many)
                store_n(y + (ulong)(ox + p) * c, left, acc[p]);
    }
}

/* Gradient by x: row get_global_id(0) of n * h; + acc with flags 1. */
kernel void depthwise_rows_grad(const global float *dy, const global float *wt,
                                const global float *acc, global float *dx,
                                uint rows, uint h, uint w, uint c, uint oh,
                                uint ow, uint k, uint stride, uint pad,
                                int flags)
{
    uint row = get_global_id(0), ch = get_global_id(1) * 16, left = c - ch;
    if (row >= rows)
        return;
    int iy = (int)(row % h), s = (int)stride;
    dy += (ulong)(row / h) * oh * ow * c + ch;
    wt += ch;
    for (uint ix = 0; ix < w; ix++) {
        ulong at = ((ulong)row * w + ix) * c + ch;
        float16 v = flags & 1 ? load_n(acc + at, left) : (float16)(0.0f);
        for (uint i = 0; i < k; i++) {
            int oy = iy + (int)pad - (int)i;
            if (oy < 0 || oy % s || oy / s >= (int)oh)
                continue;
            for (uint j = 0; j < k; j++) {
                int ox = (int)(ix + pad) - (int)j;
                if (ox < 0 || ox % s || ox / s >= (int)ow)
                    continue;
                v = fma(load_n(dy + ((ulong)(oy / s) * ow + (uint)(ox / s)) * c,
                               left),
                        load_n(wt + (i * k + j) * c, left), v);
            }
        }
        store_n(dx + at, left, v);
    }
}

/* Gradient by the weights: tap get_global_id(0). */
kernel void depthwise_taps_grad(const global float *dy, const global float *x,
                                global float *dw, uint n, uint h, uint w,
                                uint c, uint oh, uint ow, uint k, uint stride,
                                uint pad)
{
    uint tap = get_global_id(0), ch = get_global_id(1) * 16, left = c - ch;
    if (tap >= k * k)
        return;
    float16 sum = 0.0f;
    for (uint r = 0; r < n * oh; r++) {
        int iy = (int)(r % oh * stride + tap / k) - (int)pad;
        if (iy < 0 || iy >= (int)h)
            continue;
        float16 line = 0.0f; // rows are summed first: fewer additions in a chain
        for (uint ox = 0; ox < ow; ox++) {
            int ix = (int)(ox * stride + tap % k) - (int)pad;
            if (ix < 0 || ix >= (int)w)
                continue;
            ulong at = (((ulong)(r / oh) * h + (uint)iy) * w + (uint)ix) * c;
            line = fma(load_n(dy + ((ulong)r * ow + ox) * c + ch, left),
                       load_n(x + at + ch, left), line);
        }
        sum += line;
    }
    store_n(dw + (ulong)tap * c + ch, left, sum);
}
