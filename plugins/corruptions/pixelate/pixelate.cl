/* SPDX-License-Identifier: MIT */
/* Tables as struct box has them; sums in 22 bits after the point. */
__kernel void box_across(__global const uchar *in, __global uchar *out,
                         __global const int *first, __global const int *count,
                         __global const int *weight, uint most, uint row,
                         uint small)
{
    size_t line = get_global_id(0);
    for (uint x = 0; x < small; x++) {
        __global const uchar *p = in + line * row + 3 * first[x];
        __global const int *k = weight + x * most;
        int r = 1 << 21, g = r, b = r;
        for (int i = 0; i < count[x]; i++) {
            r += p[3 * i] * k[i];
            g += p[3 * i + 1] * k[i];
            b += p[3 * i + 2] * k[i];
        }
        __global uchar *q = out + 3 * (line * small + x);
        q[0] = min(r >> 22, 255);
        q[1] = min(g >> 22, 255);
        q[2] = min(b >> 22, 255);
    }
}

/* Lines of `row` values; reads up to 15 beyond. */
__kernel void box_down(__global const uchar *in, __global uchar *out,
                       __global const int *first, __global const int *count,
                       __global const int *weight, uint most, uint height,
                       uint row)
{
    uint y = get_global_id(0);
    size_t n = get_global_id(1);
    __global const uchar *p = in + (n * height + first[y]) * row;
    __global uchar *q = out + (n * get_global_size(0) + y) * row;
    for (uint x = 0; x < row; x += 16) {
        int16 s = 1 << 21;
        for (int i = 0; i < count[y]; i++)
            s += convert_int16(vload16(0, p + (size_t)i * row + x)) *
                 weight[y * most + i];
        store_some(convert_uchar16(min(s >> 22, 255)), q + x, row - x);
    }
}

__kernel void box_grow(__global const uchar *in, __global uchar *out,
                       __global const int *px, __global const int *py,
                       uint small_w, uint small_h, uint width)
{
    uint y = get_global_id(0);
    size_t n = get_global_id(1);
    __global const uchar *p = in + 3 * (n * small_h + py[y]) * small_w;
    __global uchar *q = out + 3 * (n * get_global_size(0) + y) * width;
    for (uint x = 0; x < width; x++, q += 3) {
        __global const uchar *from = p + 3 * px[x];
        q[0] = from[0];
        q[1] = from[1];
        q[2] = from[2];
    }
}
