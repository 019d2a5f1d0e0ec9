/* SPDX-License-Identifier: MIT */
/*
 * From floats 0..255 to bytes the way NumPy cuts doubles. A value that is a
 * whole number up to rounding (a flat area) gets what the reference makes of
 * a flat area of it, flat[value], which is that number or the one below.
 */
#define NEAR_WHOLE 0.0009765625f

static inline uchar16 cut16(float16 v, __global const uchar *flat)
{
    v = clamp(v, 0.0f, 255.0f);
    float16 whole = floor(v + NEAR_WHOLE);
    int16 near = v - whole < NEAR_WHOLE;
    uchar16 byte = convert_uchar16(whole);
    if (any(near)) {
        uchar b[16];
        int is[16];
        vstore16(byte, 0, b);
        vstore16(near, 0, is);
        for (int i = 0; i < 16; i++)
            b[i] = is[i] ? flat[b[i]] : b[i];
        byte = vload16(0, b);
    }
    return byte;
}

/* The first `left` of 16 bytes. */
static inline void store_some(uchar16 v, __global uchar *p, int left)
{
    if (left >= 16) {
        vstore16(v, 0, p);
    } else {
        uchar b[16];
        vstore16(v, 0, b);
        for (int i = 0; i < left; i++)
            p[i] = b[i];
    }
}
