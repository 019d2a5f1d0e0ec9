/* SPDX-License-Identifier: MIT */
/* Pixels as four bytes, so that one load fetches one. */
__kernel void zoom_pack(__global const uchar *in, __global uchar *out,
                        int width)
{
    size_t line = get_global_id(0);
    in += 3 * line * width;
    out += 4 * line * width;
    for (int i = 0; i < width; i++)
        vstore4((uchar4)(in[3 * i], in[3 * i + 1], in[3 * i + 2], 0), i, out);
}

struct tap {
    int from;
    float w0, w1;
};

static inline uchar cut(float v, __global const uchar *flat)
{
    float whole = floor(v + 0.0009765625f);
    int byte = clamp((int)whole, 0, 255);
    return v - whole < 0.0009765625f ? flat[byte] : (uchar)byte;
}

/* Two lines of bytes mixed to `count` floats; lines may be read to 15 beyond.
 */
static inline void mix_lines(__global const uchar *restrict a,
                             __global const uchar *restrict b, float wa,
                             float wb, __global float *restrict out, int count)
{
    for (int i = 0; i < count; i += 16) {
        float16 v = convert_float16(vload16(0, a + i)) * wa;
        v = fma(convert_float16(vload16(0, b + i)), (float16)(wb), v);
        vstore16(v, 0, out + i);
    }
}

/* The pixels between pixels of a line; where the next is none, w1 is 0. */
static inline void add_pixels(__global const float *restrict line,
                              __global const struct tap *restrict h,
                              __global float *restrict sum, int width)
{
    for (int x = 0; x < width; x++) {
        __global const float *p = line + 4 * h[x].from;
        float4 s = fma(vload4(0, p), (float4)(h[x].w0), vload4(x, sum));
        vstore4(fma(vload4(1, p), (float4)(h[x].w1), s), x, sum);
    }
}

/*
 * `lines` lines of a picture: for each zoom the line between two lines, then
 * the pixels between its pixels, summed up. across and down hold the taps of
 * each zoom; `scratch` two lines of `pitch` floats for each work-item.
 */
__kernel void zoom_blur(__global const uchar *in, __global uchar *out,
                        __global const struct tap *across,
                        __global const struct tap *down,
                        __global const uchar *flat, __global float *scratch,
                        int width, int height, int pitch, int lines, int zooms)
{
    size_t n = get_global_id(1), picture = n * width * height;
    __global float *line =
        scratch + (n * get_global_size(0) + get_global_id(0)) * 2 * pitch;
    __global float *sum = line + pitch;
    int first = get_global_id(0) * lines;
    in += 4 * picture;
    vstore4((float4)(0.0f), width, line);
    for (int y = first; y < min(first + lines, height); y++) {
        __global const uchar *own = in + 4 * (size_t)y * width;
        mix_lines(own, own, 1.0f, 0.0f, sum, 4 * width);
        for (int k = 0; k < zooms; k++) {
            struct tap v = down[k * height + y];
            mix_lines(in + 4 * (size_t)v.from * width,
                      in + 4 * (size_t)min(v.from + 1, height - 1) * width,
                      v.w0, v.w1, line, 4 * width);
            __global const struct tap *h = across + k * width;
            add_pixels(line, h, sum, width);
        }
        __global uchar *q = out + 3 * (picture + (size_t)y * width);
        for (int x = 0; x < width; x++) {
            float4 s = vload4(x, sum) / (float)(zooms + 1);
            q[3 * x] = cut(s.x, flat);
            q[3 * x + 1] = cut(s.y, flat);
            q[3 * x + 2] = cut(s.z, flat);
        }
    }
}
