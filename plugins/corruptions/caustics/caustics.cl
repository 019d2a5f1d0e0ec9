/* SPDX-License-Identifier: MIT */
/* Caustic refraction; a line of a picture a work-item. */

#define LANES (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

enum { CAUSTIC_STEPS = 5, SOFT = 4 };

/* The first `left` of 16 floats. */
static inline void store_floats(float16 v, __global float *p, uint left)
{
    float a[16];
    if (left >= 16) {
        vstore16(v, 0, p);
        return;
    }
    vstore16(v, 0, a);
    for (uint i = 0; i < left; i++)
        p[i] = a[i];
}

/* Angles are kept near 0 for the sake of floats: p is 250 less than the sine
 * sees, up to whole rotations. */
__kernel void caustics(__global const float *params, __global float *out,
                       uint w)
{
    uint y = get_global_id(0), n = get_global_id(1);
    const float period = 6.28318530718f, shift = 4.9557730f; // 250 - 39 period
    float time = params[2 * n], size = params[2 * n + 1];
    float row = y * size;
    float py = (row - floor(row)) * period;
    out += (n * get_global_size(0) + y) * (size_t)w;
    for (uint x = 0; x < w; x += 16) {
        float16 column = ((float)x + LANES) * size;
        float16 px = (column - floor(column)) * period;
        float16 a = (float16)(py - shift), b = px - shift, c = 1;
        for (int k = 0; k < CAUSTIC_STEPS; k++) {
            float t = time * (1 - 3.5f / (k + 1));
            float16 next = py - shift + cos(t - a) + sin(t + b);
            b = px - shift + sin(t - b) + cos(t + a);
            a = next;
            float16 u = (py - 250) * 0.005f / sin(a + t);
            float16 v = (px - 250.0f) * 0.005f / cos(b + t);
            c += rsqrt(u * u + v * v);
        }
        c = fabs(1.17f - powr(c / 5.0f, (float16)(1.4f)));
        c *= c;
        c *= c;
        store_floats(min(c * c, 1.0f), out + x, w - x);
    }
}

static inline int mirrored(int i, int n)
{
    i %= 2 * n;
    i = i < 0 ? i + 2 * n : i;
    return i < n ? i : 2 * n - 1 - i;
}

__kernel void soften_down(__global const float *in, __global float *out,
                          __global const float *tap, uint w)
{
    int y = get_global_id(0), h = get_global_size(0);
    size_t plane = get_global_id(1) * (size_t)h * w;
    for (uint x = 0; x < w; x += 16) {
        float16 sum = 0;
        for (int k = -SOFT; k <= SOFT; k++)
            sum = fma(vload16(0, in + plane + mirrored(y + k, h) * w + x),
                      (float16)(tap[abs(k)]), sum);
        store_floats(sum, out + plane + y * w + x, w - x);
    }
}

__kernel void soften_across(__global const float *in, __global float *out,
                            __global const float *tap, uint w)
{
    size_t line = get_global_id(1) * get_global_size(0) + get_global_id(0);
    in += line * w;
    out += line * w;
    for (int x = 0; x < (int)w; x += 16) {
        float16 sum = 0;
        if (x >= SOFT && x + 16 + SOFT <= (int)w) {
            for (int k = -SOFT; k <= SOFT; k++)
                sum = fma(vload16(0, in + x + k), (float16)(tap[abs(k)]), sum);
        } else {
            float s[16];
            for (int i = 0; i < 16; i++) {
                s[i] = 0;
                for (int k = -SOFT; k <= SOFT; k++)
                    s[i] = fma(in[mirrored(x + i + k, w)], tap[abs(k)], s[i]);
            }
            sum = vload16(0, s);
        }
        store_floats(sum, out + x, w - x);
    }
}

static inline float4 pixel(__global const uchar *in, int y, int x, int h, int w)
{
    if (y < 0 || x < 0 || y >= h || x >= w)
        return 0;
    return convert_float4(vload4(0, in + 3 * (y * w + x)));
}

__kernel void refract(__global const uchar *in, __global uchar *out,
                      __global const float *field, float scale, float light,
                      int w)
{
    int y = get_global_id(0), h = get_global_size(0);
    size_t plane = get_global_id(1) * (size_t)h * w;
    field += plane;
    in += 3 * plane;
    out += 3 * (plane + (size_t)y * w);
    for (int x = 0; x < w; x++) {
        int i = y * w + x;
        float across = (x + 1 < w ? field[i + 1] : 0) -
                       (x > 0 ? field[i - 1] : 0);
        float down = (y + 1 < h ? field[i + w] : 0) -
                     (y > 0 ? field[i - w] : 0);
        float square = across * across + down * down, bend = 0;
        if (square > 0.002003004f) { // cos of the slope under 0.999
            float z = rsqrt(square + 1), sine2 = square / (square + 1);
            bend = z * (sqrt(1 - sine2 / 16) - z / 4) * scale;
        }
        float py = y + rint(down * bend * 1000) / 1000;
        float px = x + rint(across * bend * 1000) / 1000;
        float fy = floor(py), fx = floor(px), u = px - fx, v = py - fy;
        int r = (int)fy, c = (int)fx;
        float4 a = mix(pixel(in, r, c, h, w), pixel(in, r, c + 1, h, w), u);
        float4 b =
            mix(pixel(in, r + 1, c, h, w), pixel(in, r + 1, c + 1, h, w), u);
        float4 s = mix(a, b, v) + 255 * (down - across) * light;
        uchar4 byte = convert_uchar4(clamp(s, 0.0f, 255.0f));
        for (int k = 0; k < 3; k++)
            out[3 * x + k] = k == 0 ? byte.x : k == 1 ? byte.y : byte.z;
    }
}
