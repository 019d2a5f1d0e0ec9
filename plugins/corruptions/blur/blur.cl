/* SPDX-License-Identifier: MIT */
/* Correlation with a square filter; four output lines share what they read.
 * `in` is bordered; weight and span as disk_upload() lays them out. */
__kernel void blur_disk(__global const uchar *in, __global uchar *out,
                        __global const float *weight, __global const int *span,
                        __global const uchar *flat, int side, int row,
                        int height, int pitch, int padded)
{
    int x = get_global_id(0) * 16, y = get_global_id(1) * 4;
    size_t n = get_global_id(2);
    float16 a0 = 0, a1 = 0, a2 = 0, a3 = 0;
    for (int k = 0; k < side + 3; k++) {
        __global const uchar *p =
            in + (n * padded + min(y + k, padded - 1)) * pitch + x;
        __global const float *w = weight + k * side;
        for (int i = span[2 * k]; i <= span[2 * k + 1]; i++) {
            float16 v = convert_float16(vload16(0, p + 3 * i));
            a0 = fma((float16)(w[3 * side + i]), v, a0);
            a1 = fma((float16)(w[2 * side + i]), v, a1);
            a2 = fma((float16)(w[side + i]), v, a2);
            a3 = fma((float16)(w[i]), v, a3);
        }
    }
    __global uchar *q = out + (n * height + y) * row + x;
    store_some(cut16(a0, flat), q, row - x);
    if (y + 1 < height)
        store_some(cut16(a1, flat), q + row, row - x);
    if (y + 2 < height)
        store_some(cut16(a2, flat), q + 2 * row, row - x);
    if (y + 3 < height)
        store_some(cut16(a3, flat), q + 3 * row, row - x);
}
