/* SPDX-License-Identifier: MIT */
/* place: first pixel, width, height, left, top, resampling of each picture's
 * texture; step: texture pixels a pixel. */
enum { AS_IT_IS, LINEAR, CUBIC };

static inline float3 texel(__global const uchar *t, int x, int y, int w, int h)
{
    size_t at = 3 * ((size_t)clamp(y, 0, h - 1) * w + clamp(x, 0, w - 1));
    return (float3)(t[at], t[at + 1], t[at + 2]);
}

/* OpenCV's cubic, a = -0.75. */
static inline float4 cubic(float t)
{
    const float a = -0.75f;
    float s = t + 1.0f, u = 1.0f - t;
    float4 w;
    w.x = fma(fma(fma(a, s, -5.0f * a), s, 8.0f * a), s, -4.0f * a);
    w.y = fma(fma(a + 2.0f, t, -(a + 3.0f)), t * t, 1.0f);
    w.z = fma(fma(a + 2.0f, u, -(a + 3.0f)), u * u, 1.0f);
    w.w = 1.0f - w.x - w.y - w.z;
    return w;
}

static inline float3 linear_at(__global const uchar *t, float x, float y, int w,
                               int h)
{
    float fx = floor(x), fy = floor(y), u = x - fx, v = y - fy;
    int px = (int)fx, py = (int)fy;
    float3 a = mix(texel(t, px, py, w, h), texel(t, px + 1, py, w, h), u);
    float3 b =
        mix(texel(t, px, py + 1, w, h), texel(t, px + 1, py + 1, w, h), u);
    return mix(a, b, v);
}

static inline float3 cubic_at(__global const uchar *t, float x, float y, int w,
                              int h)
{
    float fx = floor(x), fy = floor(y);
    int px = (int)fx - 1, py = (int)fy - 1;
    float4 wx = cubic(x - fx), wy = cubic(y - fy);
    float down[4] = { wy.x, wy.y, wy.z, wy.w };
    float3 s = 0;
    for (int i = 0; i < 4; i++) {
        float3 line = texel(t, px, py + i, w, h) * wx.x;
        line = fma(texel(t, px + 1, py + i, w, h), (float3)(wx.y), line);
        line = fma(texel(t, px + 2, py + i, w, h), (float3)(wx.z), line);
        line = fma(texel(t, px + 3, py + i, w, h), (float3)(wx.w), line);
        s = fma(line, (float3)(down[i]), s);
    }
    return s;
}

__kernel void frost(__global const uchar *in, __global uchar *out,
                    __global const uchar *atlas, __global const uint *place,
                    __global const float *step, float keep, float add,
                    int width)
{
    int y = get_global_id(0);
    size_t n = get_global_id(1);
    __global const uint *p = place + 6 * n;
    __global const uchar *t = atlas + 3 * (size_t)p[0];
    int w = p[1], h = p[2], ty = p[4] + y;
    size_t at = 3 * (n * get_global_size(0) + y) * width;
    for (int x = 0; x < width; x++, at += 3) {
        int tx = p[3] + x;
        float3 ice;
        if (p[5] == AS_IT_IS) {
            ice = texel(t, tx, ty, w, h);
        } else {
            float fx = fma((float)tx + 0.5f, step[2 * n], -0.5f);
            float fy = fma((float)ty + 0.5f, step[2 * n + 1], -0.5f);
            ice = p[5] == LINEAR ? linear_at(t, fx, fy, w, h)
                                 : cubic_at(t, fx, fy, w, h);
            ice = clamp(floor(ice + 0.5f), 0.0f, 255.0f);
        }
        float3 s = fma(ice, (float3)(add),
                       (float3)(in[at], in[at + 1], in[at + 2]) * keep);
        // sums are often whole; rounding must not cut them
        s = clamp(s + 1e-4f, 0.0f, 255.0f);
        out[at] = (uchar)s.x;
        out[at + 1] = (uchar)s.y;
        out[at + 2] = (uchar)s.z;
    }
}
