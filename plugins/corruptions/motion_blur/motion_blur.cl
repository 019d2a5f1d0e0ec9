/* SPDX-License-Identifier: MIT */
/* The sum of weight[i] times the bordered picture at step[i]; each picture
 * has `most` taps of its own, taps of them are used. up: 0.5 to round. */
__kernel void motion_blur(__global const uchar *in, __global uchar *out,
                          __global const int *step,
                          __global const float *weight,
                          __global const uchar *flat, int taps, int most,
                          int row, int pitch, int padded)
{
    int y = get_global_id(0), height = get_global_size(0), border = taps - 1;
    size_t n = get_global_id(1);
    __global const uchar *p =
        in + (n * padded + y + border) * pitch + 3 * border;
    __global uchar *q = out + (n * height + y) * row;
    step += n * most;
    weight += n * most;
    for (int x = 0; x < row; x += 16) {
        float16 a = 0, b = 0;
        int i = 0;
        for (; i + 2 <= taps; i += 2) {
            float16 u = convert_float16(vload16(0, p + step[i] + x));
            float16 v = convert_float16(vload16(0, p + step[i + 1] + x));
            a = fma((float16)(weight[i]), u, a);
            b = fma((float16)(weight[i + 1]), v, b);
        }
        for (; i < taps; i++)
            a = fma((float16)(weight[i]),
                    convert_float16(vload16(0, p + step[i] + x)), a);
        store_some(cut16(a + b, flat), q + x, row - x);
    }
}
