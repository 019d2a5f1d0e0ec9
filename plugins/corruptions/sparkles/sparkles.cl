/* SPDX-License-Identifier: MIT */
/* Stars with rays; a line of a picture a work-item. */

#define LANES (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

/* As struct sparkle. */
enum { N_SPARKLES = 5, RAYS_LINE = 202 };
struct sparkle {
    float x, y;
    uint rays;
    float length[RAYS_LINE];
};

/* Length squared over distance squared, and how near to a ray's middle. */
static inline float16 light(__global const struct sparkle *s, float16 x,
                            float y, float16 *middle)
{
    float16 dx = x - s->x, dy = (float16)(y - s->y);
    float16 turn = (atan2pi(dx, dy) + 1.0f) * (0.5f * s->rays);
    int16 i = clamp(convert_int16(turn), 0, (int)s->rays);
    float16 f = turn - convert_float16(i);
    int at[16];
    float a[16], b[16];
    vstore16(i, 0, at);
    for (int k = 0; k < 16; k++) {
        a[k] = s->length[at[k]];
        b[k] = s->length[at[k] + 1];
    }
    float16 length = mix(vload16(0, a), vload16(0, b), f);
    *middle = 1.0f - (f - 0.5f) * (f - 0.5f);
    return length * length / (dx * dx + dy * dy + 1e-4f);
}

static inline uchar16 lit(float16 v, float16 left)
{
    return convert_uchar16(clamp(255.0f - left * (255.0f - v), 0.0f, 255.0f));
}

static inline void lit_pixels(__global const uchar *in, __global uchar *out,
                              uint count, float16 left)
{
    struct pixels p;
    load_pixels(in, count, &p);
    store_pixels(out, count, lit(p.r, left), lit(p.g, left), lit(p.b, left));
}

__kernel void sparkles(__global const uchar *in, __global uchar *out,
                       __global const struct sparkle *s, uint w)
{
    uint y = get_global_id(0);
    size_t at = 3 * w * (get_global_id(1) * get_global_size(0) + y);
    s += N_SPARKLES * get_global_id(1);
    for (uint x = 0; x < w; x += 16) {
        float16 left = 1, middle;
        for (int k = 0; k < N_SPARKLES; k++) {
            float16 g = light(s + k, (float)x + LANES, y, &middle);
            left *= 1.0f - clamp(g * middle, 0.0f, 1.0f);
        }
        lit_pixels(in + at + 3 * x, out + at + 3 * x, w - x, left);
    }
}

__kernel void inverse_sparkles(__global const uchar *in, __global uchar *out,
                               __global const struct sparkle *s, float fall,
                               uint w)
{
    uint y = get_global_id(0);
    size_t at = 3 * w * (get_global_id(1) * get_global_size(0) + y);
    s += get_global_id(1);
    for (uint x = 0; x < w; x += 16) {
        float16 middle, g = light(s, (float)x + LANES, y, &middle);
        float16 left = clamp(pow(g, (float16)(fall)) * middle, 0.0f, 1.0f);
        lit_pixels(in + at + 3 * x, out + at + 3 * x, w - x, left);
    }
}
