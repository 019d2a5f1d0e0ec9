/* SPDX-License-Identifier: MIT */
/* Images [n, c, h, w] to patches [n, (h/p)(w/p), c p p] and back. */

/* One item: a row of patches of one image. */
kernel void patches_split(const global float *x, global float *y, uint n,
                          uint c, uint h, uint w, uint p)
{
    uint id = get_global_id(0), rows = h / p, cols = w / p;
    if (id >= n * rows)
        return;
    uint img = id / rows, row = id % rows;
    ulong len = (ulong)c * p * p;
    global float *out = y + ((ulong)img * rows + row) * cols * len;
    for (uint ch = 0; ch < c; ch++)
        for (uint i = 0; i < p; i++) {
            const global float *src =
                x + (((ulong)img * c + ch) * h + (ulong)row * p + i) * w;
            for (uint q = 0; q < cols; q++)
                for (uint j = 0; j < p; j++)
                    out[q * len + (ch * p + i) * p + j] = src[q * p + j];
        }
}

kernel void patches_join(const global float *x, global float *y, uint n, uint c,
                         uint h, uint w, uint p)
{
    uint id = get_global_id(0), rows = h / p, cols = w / p;
    if (id >= n * rows)
        return;
    uint img = id / rows, row = id % rows;
    ulong len = (ulong)c * p * p;
    const global float *in = x + ((ulong)img * rows + row) * cols * len;
    for (uint ch = 0; ch < c; ch++)
        for (uint i = 0; i < p; i++) {
            global float *dst =
                y + (((ulong)img * c + ch) * h + (ulong)row * p + i) * w;
            for (uint q = 0; q < cols; q++)
                for (uint j = 0; j < p; j++)
                    dst[q * p + j] = in[q * len + (ch * p + i) * p + j];
        }
}
