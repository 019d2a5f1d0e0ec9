/* SPDX-License-Identifier: MIT */
/*
 * Pictures with a border of `ry` lines and `rx` pixels, repeated (mirror 0)
 * or mirrored without the edge (mirror 1), in lines of `pitch` bytes.
 */
static inline int border_index(int i, int n, int mirror)
{
    if (!mirror)
        return clamp(i, 0, n - 1);
    if (n == 1)
        return 0;
    int period = 2 * n - 2;
    i = i % period;
    i = i < 0 ? i + period : i;
    return i < n ? i : period - i;
}

__kernel void pad_bytes(__global const uchar *in, __global uchar *out,
                        int width, int height, int channels, int rx, int ry,
                        int pitch, int mirror)
{
    int y = get_global_id(0), row = width * channels;
    size_t n = get_global_id(1);
    __global const uchar *p =
        in + (n * height + border_index(y - ry, height, mirror)) * row;
    __global uchar *q = out + (n * (height + 2 * ry) + y) * pitch;
    for (int x = 0; x < pitch; x += 16) {
        int from = x - rx * channels;
        if (from >= 0 && from + 16 <= row)
            vstore16(vload16(0, p + from), 0, q + x);
        else
            for (int i = x; i < x + 16; i++)
                q[i] = p[border_index(i / channels - rx, width, mirror) *
                             channels +
                         i % channels];
    }
}
