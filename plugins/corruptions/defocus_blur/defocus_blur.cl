/* SPDX-License-Identifier: MIT */
/* Index i mirrored at 0 and n - 1 without repeating them (OpenCV's
 * reflect-101), as often as it takes. */
static int mirror(int i, int n)
{
    if (n == 1)
        return 0;
    int period = 2 * n - 2;
    i = i % period;
    i = i < 0 ? i + period : i;
    return i < n ? i : period - i;
}

/* Correlation with a square kernel of side 2r+1; rows[j] gives the first and
 * last column of row j that is not zero. */
__kernel void defocus_blur(__global const uchar *in, __global uchar *out,
                           __global const float *weight, __global const int *rows,
                           int r, int width, int height)
{
    int x = get_global_id(0), y = get_global_id(1), n = get_global_id(2);
    __global const uchar *p = in + (size_t)n * width * height * 3;
    int side = 2 * r + 1;
    float a = 0, b = 0, c = 0;
    bool inside = x >= r && x + r < width;
    for (int j = 0; j < side; j++) {
        __global const uchar *row = p + (size_t)mirror(y + j - r, height) * width * 3;
        int first = rows[2 * j], last = rows[2 * j + 1];
        for (int i = first; i <= last; i++) {
            int at = inside ? x + i - r : mirror(x + i - r, width);
            float w = weight[j * side + i];
            a = fma(w, (float)row[3 * at], a);
            b = fma(w, (float)row[3 * at + 1], b);
            c = fma(w, (float)row[3 * at + 2], c);
        }
    }
    __global uchar *q = out + 3 * (((size_t)n * height + y) * width + x);
    q[0] = (uchar)clamp(a, 0.0f, 255.0f);
    q[1] = (uchar)clamp(b, 0.0f, 255.0f);
    q[2] = (uchar)clamp(c, 0.0f, 255.0f);
}
