/* SPDX-License-Identifier: MIT */
struct tap {
    int from;
    float w0, w1;
};

/* The field enlarged; below the threshold 0. In 0..255, cut to whole numbers
 * for the scripts. */
__kernel void snow_layer(__global const float *field, __global float *layer,
                         __global const struct tap *across,
                         __global const struct tap *down, int width, int height,
                         int size, float loc, float scale, float threshold,
                         int whole)
{
    int y = get_global_id(0);
    size_t n = get_global_id(1);
    struct tap v = down[y];
    __global const float *a = field + (n * height + v.from) * width;
    __global const float *b =
        field + (n * height + min(v.from + 1, height - 1)) * width;
    for (int x = 0; x < size; x++) {
        struct tap h = across[x];
        int x0 = h.from, x1 = min(x0 + 1, width - 1);
        float top = fma(a[x1], h.w1, a[x0] * h.w0),
              low = fma(b[x1], h.w1, b[x0] * h.w0);
        float all = (h.w0 + h.w1) * (v.w0 + v.w1);
        float s = fma(scale, fma(low, v.w1, top * v.w0), loc * all);
        s = s < threshold ? 0.0f : clamp(s, 0.0f, 1.0f) * 255.0f;
        layer[(n * get_global_size(0) + y) * size + x] = whole ? floor(s) : s;
    }
}

/* The motion blur of a line of the layer, to bytes. */
__kernel void snow_fall(__global const float *layer, __global uchar *out,
                        __global const int2 *step, __global const float *weight,
                        int taps, int most, int width, int height, int columns,
                        float round)
{
    int y = get_global_id(0);
    size_t n = get_global_id(1);
    __global const float *p = layer + n * width * height;
    __global uchar *q = out + (n * get_global_size(0) + y) * columns;
    step += n * most;
    weight += n * most;
    for (int x = 0; x < columns; x += 16) {
        float16 s = 0;
        for (int i = 0; i < taps; i++) {
            __global const float *line =
                p + (size_t)clamp(y + step[i].y, 0, height - 1) * width;
            int from = x + step[i].x;
            float16 v;
            if (from >= 0 && from + 16 <= width) {
                v = vload16(0, line + from);
            } else {
                float a[16];
                for (int k = 0; k < 16; k++)
                    a[k] = line[clamp(from + k, 0, width - 1)];
                v = vload16(0, a);
            }
            s = fma((float16)(weight[i]), v, s);
        }
        s = clamp(s + round, 0.0f, 255.0f);
        store_some(convert_uchar16(s), q + x, columns - x);
    }
}

static inline uchar16 snowy(float16 x, float16 white, float16 flakes,
                            float keep)
{
    x = fma(fmax(x, white), (float16)(1.0f - keep), x * keep) + flakes;
    return convert_uchar16(clamp(x, 0.0f, 255.0f));
}

__kernel void snow_blend(__global const uchar *in, __global uchar *out,
                         __global const uchar *flakes, float keep, uint pixels)
{
    uint first = get_global_id(0) * 16 * STRIP, n = get_global_id(1);
    size_t at = (size_t)n * pixels;
    __global const uchar *f = flakes + at;
    for (uint i = first; i < min(pixels, first + 16 * STRIP); i += 16) {
        uint left = pixels - i;
        uchar16 turned;
        if (left >= 16) {
            turned = vload16(0, f + left - 16).sfedcba9876543210;
        } else {
            uchar a[16];
            for (uint k = 0; k < 16; k++)
                a[k] = k < left ? f[left - 1 - k] : 0;
            turned = vload16(0, a);
        }
        // both together are at most 255
        float16 fall = convert_float16(add_sat(vload16(0, f + i), turned));
        struct pixels x;
        load_pixels(in + 3 * (at + i), left, &x);
        float16 grey = fma(x.b, (float16)(0.114f),
                           fma(x.g, (float16)(0.587f), x.r * 0.299f));
        float16 white = fma(grey, (float16)(1.5f), (float16)(127.5f));
        store_pixels(out + 3 * (at + i), left, snowy(x.r, white, fall, keep),
                     snowy(x.g, white, fall, keep),
                     snowy(x.b, white, fall, keep));
    }
}
