/* SPDX-License-Identifier: MIT */
/* Patterns of ImageNet-C-bar; a line of a picture a work-item. */

#define LANES (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

static inline uchar16 cut(float16 v)
{
    return convert_uchar16(clamp(v, 0.0f, 255.0f));
}

/* The line's first byte, of `w` pixels. */
static inline size_t line_at(uint w)
{
    size_t line = get_global_id(1) * get_global_size(0) + get_global_id(0);
    return 3 * w * line;
}

/* Rotations of 2^32: across, down, phase. */
__kernel void grating(__global const uchar *in, __global uchar *out,
                      __global const uint *rotation, float intensity, uint w)
{
    uint y = get_global_id(0);
    size_t at = line_at(w);
    __global const uint *r = rotation + 3 * get_global_id(1);
    for (uint x = 0; x < w; x += 16) {
        struct pixels p;
        uint16 turn = ((uint16)(x) + (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
                                              11, 12, 13, 14, 15)) *
                          r[0] +
                      y * r[1] + r[2];
        float16 wave = intensity * sinpi(convert_float16(as_int16(turn)) *
                                         4.656612873077393e-10f);
        load_pixels(in + at + 3 * x, w - x, &p);
        store_pixels(out + at + 3 * x, w - x, cut(p.r + wave), cut(p.g + wave),
                     cut(p.b + wave));
    }
}

/* x, y, frequency, amplitude, width. */
__kernel void rings(__global const uchar *in, __global uchar *out,
                    __global const float *params, float intensity, uint w)
{
    size_t at = line_at(w);
    __global const float *r = params + 5 * get_global_id(1);
    float y = get_global_id(0) - r[1];
    for (uint x = 0; x < w; x += 16) {
        struct pixels p;
        float16 dx = (float)x + LANES - r[0];
        float16 radius = sqrt(fma(dx, dx, (float16)(y * y))) +
                         sin(atan2(dx, (float16)(y)) * r[2]) * r[3];
        float16 turn = radius / r[4];
        float16 wave = intensity * (turn - floor(turn) - 0.5f);
        load_pixels(in + at + 3 * x, w - x, &p);
        store_pixels(out + at + 3 * x, w - x, cut(p.r + wave), cut(p.g + wave),
                     cut(p.b + wave));
    }
}

/* time, iterations, growth of c, scale. */
__kernel void plasma(__global const uchar *in, __global uchar *out,
                     __global const float *params, float intensity, uint w)
{
    size_t at = line_at(w);
    __global const float *r = params + 4 * get_global_id(1);
    float t = r[0], keep = 1 - intensity / 255;
    for (uint column = 0; column < w; column += 16) {
        struct pixels p;
        float16 x = ((float)column + LANES) / r[3];
        float16 y = (float16)(get_global_id(0) / r[3]);
        float a = 1, b = 1, c = 1;
        for (int k = 0; k < (int)r[1]; k++) {
            float16 u = cos(y * a + t / b) / c, v = sin(x * a + t / b) / c;
            x += u - 0.3f * v;
            y += v + 0.3f * u;
            a *= 1.93f;
            b *= 1.15f;
            c *= r[2];
        }
        load_pixels(in + at + 3 * column, w - column, &p);
        store_pixels(out + at + 3 * column, w - column,
                     cut(keep * p.r + intensity * sin(x - t)),
                     cut(keep * p.g +
                         intensity * sin((x + y + sin(t)) * 0.5f)),
                     cut(keep * p.b + intensity * sin(y + t)));
    }
}

/* As struct lattice. */
enum { LATTICE = 256, OCTAVES = 5 };
struct lattice {
    float2 gradient[LATTICE];
    uint at[LATTICE];
};

static inline float corner(__global const struct lattice *t, uint row,
                           uint column, float y, float x)
{
    return dot(t->gradient[t->at[(row + column) % LATTICE]], (float2)(y, x));
}

__kernel void perlin(__global const uchar *in, __global uchar *out,
                     __global const struct lattice *table, float step,
                     float alpha, uint w)
{
    size_t at = line_at(w);
    __global const struct lattice *t = table + get_global_id(1);
    for (uint x = 0; x < w; x += 16) {
        float f[16];
        for (int i = 0; i < 16; i++)
            f[i] = 0.5f;
        for (int k = 0; k < OCTAVES; k++) {
            float size = 1 << k, y = get_global_id(0) * step * size;
            uint row = (uint)y;
            y -= row;
            uint above = t->at[row % LATTICE], below = t->at[(row + 1) % LATTICE];
            float sy = y * y * (3 - 2 * y);
            for (int i = 0; i < 16; i++) {
                float v = (x + i) * step * size;
                uint column = (uint)v;
                v -= column;
                float a = mix(corner(t, above, column, y, v),
                              corner(t, below, column, y - 1, v), sy);
                float b = mix(corner(t, above, column + 1, y, v - 1),
                              corner(t, below, column + 1, y - 1, v - 1), sy);
                f[i] += 0.75f * fabs(mix(a, b, v * v * (3 - 2 * v))) / size;
            }
        }
        struct pixels p;
        float16 mixed = 255 * alpha * min(vload16(0, f), 1.0f);
        load_pixels(in + at + 3 * x, w - x, &p);
        store_pixels(out + at + 3 * x, w - x, cut((1 - alpha) * p.r + mixed),
                     cut((1 - alpha) * p.g + mixed),
                     cut((1 - alpha) * p.b + mixed));
    }
}

/* cos / scale, sin / scale, cells a side. */
__kernel void board(__global const uchar *in, __global uchar *out,
                    __global const float *params, __global const uchar *cells,
                    uint cells_each, uint w)
{
    size_t at = line_at(w);
    __global const float *r = params + 4 * get_global_id(1);
    __global const uchar *cell = cells + cells_each * get_global_id(1);
    float y = get_global_id(0);
    int side = r[2];
    for (uint x = 0; x < w; x++) {
        float u = r[0] * y + r[1] * x, v = r[0] * x - r[1] * y;
        int same = !(((int)floor(u) ^ (int)floor(v)) & 1);
        int row = (int)u % side, column = (int)v % side;
        row = row < 0 ? row + side : row;
        column = column < 0 ? column + side : column;
        int grey = same && cell[row * side + column];
        for (int c = 0; c < 3; c++)
            out[at + 3 * x + c] = grey ? 128 : in[at + 3 * x + c];
    }
}
