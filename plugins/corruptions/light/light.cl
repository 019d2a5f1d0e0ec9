/* SPDX-License-Identifier: MIT */
/* Flash and the noise of a sensor; tables as in light.h. */

static inline float3 flash_point(__global const float *depth, float scale,
                                 float focal, int x, int y, int w, int h)
{
    x = clamp(x, 0, w - 1);
    y = clamp(y, 0, h - 1);
    float d = depth[y * w + x] * scale;
    return (float3)(d * ((x - (w - 1) * 0.5f) / focal),
                    d * ((y - (h - 1) * 0.5f) / focal), d);
}

__kernel void light_flash(__global const uchar *in, __global uchar *out,
                          __global const float *depth,
                          __global const float *near, float gain,
                          float falloff, int w, int h)
{
    int y = get_global_id(0);
    size_t n = get_global_id(1), at = n * w * h;
    float scale = 1.0f / near[n], focal = max(w, h);
    for (int x = 0; x < w; x++) {
        __global const float *d = depth + at;
        float3 p = flash_point(d, scale, focal, x, y, w, h);
        float3 a = flash_point(d, scale, focal, x + 1, y, w, h) -
                   flash_point(d, scale, focal, x - 1, y, w, h);
        float3 b = flash_point(d, scale, focal, x, y + 1, w, h) -
                   flash_point(d, scale, focal, x, y - 1, w, h);
        float3 normal = cross(a, b);
        float size = sqrt(dot(normal, normal)) * sqrt(dot(p, p));
        float facing = size > 0 ? fabs(dot(normal, p)) / size : 1.0f;
        float r = fma(facing * pow(p.z, -falloff), gain, 1.0f);
        size_t i = 3 * (at + y * w + x);
        for (int c = 0; c < 3; c++)
            out[i + c] = convert_uchar(
                clamp(fma(in[i + c], r, 0.0009765625f), 0.0f, 255.0f));
    }
}

/* The least count whose last draw is not below d. */
static inline uint photons(__global const uint *last, uint rate, uint d)
{
    uint low = 0, high = rate;
    while (low < high) {
        uint middle = (low + high) / 2;
        if (d > last[middle])
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

__kernel void light_noise(__global const uchar *in, __global uchar *out,
                          __global const ulong *key, ulong photon,
                          ulong electron, __global const uint *last,
                          __global const uint *which, uint rate, float sigma,
                          uint values)
{
    uint first = get_global_id(0) * 64 * STRIP, n = get_global_id(1);
    __global const uint *table = last + (size_t)which[n] * 256 * rate;
    for (uint i = first; i < min(values, first + 64 * STRIP); i += 64) {
        __global const uchar *p = in + (size_t)n * values + i;
        __global uchar *q = out + (size_t)n * values + i;
        uint16 w0, w1, w2, w3;
        uint word[64];
        float z[64];
        philox16(photon, key[n], i / 4, &w0, &w1, &w2, &w3);
        vstore16(w0, 0, word);
        vstore16(w1, 1, word);
        vstore16(w2, 2, word);
        vstore16(w3, 3, word);
        for (int half_ = 0; half_ < 2; half_++) {
            philox16(electron, key[n], i / 2 + 16 * half_, &w0, &w1, &w2, &w3);
            vstore16(normal16(w0, w1), 2 * half_, z);
            vstore16(normal16(w2, w3), 2 * half_ + 1, z);
        }
        for (uint k = 0; k < min(values - i, 64u); k++) {
            uint d = word[(k & 3) * 16 + (k >> 2)];
            uint count = photons(table + p[k] * rate, rate, d);
            float e = z[(k / 32) * 32 + (k & 1) * 16 + (k % 32 >> 1)];
            float v = fma(e, sigma, (float)count / (float)rate);
            q[k] = convert_uchar(clamp(v, 0.0f, 1.0f) * 255.0f);
        }
    }
}
