/* SPDX-License-Identifier: MIT */
/* Where each pixel of each turn looks: draws 0..count-1, two a pixel. */
__kernel void glass_draw(__global char *out, __global const ulong *key,
                         ulong seed, int delta, uint count)
{
    uint first = get_global_id(0) * 64 * STRIP, n = get_global_id(1);
    __global char *q = out + (size_t)n * count;
    for (uint i = first; i < min(count, first + 64 * STRIP); i += 64) {
        uint16 w0, w1, w2, w3, span = 2 * delta;
        char d[64];
        philox16(seed, key[n], i / 4, &w0, &w1, &w2, &w3);
        vstore16(convert_char16(mul_hi(w0, span)), 0, d);
        vstore16(convert_char16(mul_hi(w1, span)), 1, d);
        vstore16(convert_char16(mul_hi(w2, span)), 2, d);
        vstore16(convert_char16(mul_hi(w3, span)), 3, d);
        for (uint k = 0; k < min(count - i, 64u); k++)
            q[i + k] = d[(k & 3) * 16 + (k >> 2)] - delta;
    }
}

/* Where the pixels of a line came from after the last turn. In each turn the
 * lines and columns from the last but delta down to delta + 1 changed in
 * descending order. */
__kernel void glass_mix(__global const uchar *in, __global uchar *out,
                        __global const char2 *look, int width, int delta,
                        int turns)
{
    int y = get_global_id(0), height = get_global_size(0);
    size_t n = get_global_id(1), picture = n * width * height;
    look += picture * turns;
    for (int x = 0; x < width; x++) {
        int px = x, py = y, turn = turns - 1;
        while (turn >= 0 && px > delta && px <= width - delta && py > delta &&
               py <= height - delta) {
            char2 d = look[((size_t)turn * height + py) * width + px];
            // a neighbour behind had changed before in this turn
            turn -= d.y > 0 || (d.y == 0 && d.x > 0) ? 0 : 1;
            px += d.x;
            py += d.y;
        }
        __global const uchar *p = in + 3 * (picture + (size_t)py * width + px);
        __global uchar *q = out + 3 * (picture + (size_t)y * width + x);
        q[0] = p[0];
        q[1] = p[1];
        q[2] = p[2];
    }
}
