/* SPDX-License-Identifier: MIT */
/* `field` is a smoothed standard normal field; loc and scale come on top. */

static inline float drop_height(float z, float loc, float scale,
                                float threshold)
{
    float v = fma(z, scale, loc);
    return v < threshold ? 0.0f : v;
}

/* Whole where nothing changes; rounding must not cut it. */
static inline uchar16 wet(float16 x)
{
    return convert_uchar16(clamp(x + 1e-4f, 0.0f, 255.0f));
}

/* ---- mud ---- */

__kernel void spatter_mask(__global float *field, float loc, float scale,
                           float threshold, uint pixels)
{
    uint first = get_global_id(0) * 16 * STRIP;
    for (uint i = first; i < min(pixels, first + 16 * STRIP); i++)
        field[i] = drop_height(field[i], loc, scale, threshold) > threshold
                       ? 1.0f
                       : 0.0f;
}

__kernel void spatter_mud(__global const uchar *in, __global uchar *out,
                          __global const float *mask, uint pixels)
{
    uint first = get_global_id(0) * 16 * STRIP;
    for (uint i = first; i < min(pixels, first + 16 * STRIP); i += 16) {
        uint left = pixels - i;
        float16 m = vload16(0, mask + i);
        struct pixels x;
        m = select(m, (float16)(0.0f), m < 0.8f);
        load_pixels(in + 3 * (size_t)i, left, &x);
        store_pixels(out + 3 * (size_t)i, left,
                     wet(fma(x.r, 1.0f - m, 63.0f * m)),
                     wet(fma(x.g, 1.0f - m, 42.0f * m)),
                     wet(fma(x.b, 1.0f - m, 20.0f * m)));
    }
}

/* ---- water ---- */

/* Bytes, wrapped around like NumPy's. */
__kernel void spatter_drops(__global const float *field, __global uchar *drops,
                            float loc, float scale, float threshold,
                            uint pixels)
{
    uint first = get_global_id(0) * 16 * STRIP;
    for (uint i = first; i < min(pixels, first + 16 * STRIP); i++) {
        float v = drop_height(field[i], loc, scale, threshold);
        drops[i] = (uchar)((int)(v * 255.0f) & 255);
    }
}

/* Sobel 3x3, border repeated: dx in the low half, dy in the high. */
__kernel void spatter_slope(__global const uchar *in, __global int *slope,
                            int w)
{
    int y = get_global_id(0), h = get_global_size(0);
    size_t plane = get_global_id(1) * (size_t)w * h;
    __global const uchar *a = in + plane + (size_t)max(y - 1, 0) * w;
    __global const uchar *b = in + plane + (size_t)y * w;
    __global const uchar *c = in + plane + (size_t)min(y + 1, h - 1) * w;
    for (int x = 0; x < w; x++) {
        int l = max(x - 1, 0), r = min(x + 1, w - 1);
        int dx = (a[r] - a[l]) + 2 * (b[r] - b[l]) + (c[r] - c[l]);
        int dy = (c[l] - a[l]) + 2 * (c[x] - a[x]) + (c[r] - a[r]);
        slope[plane + (size_t)y * w + x] = (dx & 0xFFFF) | dy << 16;
    }
}

static inline int steep(__global const int *slope, int x, int y, int w, int h)
{
    if (x < 0 || y < 0 || x >= w || y >= h)
        return 0;
    int s = slope[(size_t)y * w + x];
    return abs((int)(short)s) + abs(s >> 16);
}

/* Canny with thresholds 50 and 150: 0 no edge, 1 an edge if it touches one,
 * 2 an edge. The ranges of direction are OpenCV's, tan(22.5) in 15 bits. */
__kernel void spatter_edges(__global const int *slope, __global uchar *edge,
                            int w)
{
    int y = get_global_id(0), h = get_global_size(0);
    size_t plane = get_global_id(1) * (size_t)w * h;
    __global const int *s = slope + plane;
    for (int x = 0; x < w; x++) {
        int own = s[(size_t)y * w + x], m = steep(s, x, y, w, h);
        int dx = (short)own, dy = own >> 16, ridge = 0;
        int ax = abs(dx), ay = abs(dy) << 15, low = ax * 13573;
        if (m > 50 && ay < low)
            ridge =
                m > steep(s, x - 1, y, w, h) && m >= steep(s, x + 1, y, w, h);
        else if (m > 50 && ay > low + (ax << 16))
            ridge =
                m > steep(s, x, y - 1, w, h) && m >= steep(s, x, y + 1, w, h);
        else if (m > 50) {
            int d = (dx ^ dy) < 0 ? -1 : 1;
            ridge = m > steep(s, x - d, y - 1, w, h) &&
                    m > steep(s, x + d, y + 1, w, h);
        }
        edge[plane + (size_t)y * w + x] = ridge ? (m > 150 ? 2 : 1) : 0;
    }
}

/* Whatever touches an edge becomes one. `stack` holds a picture's pixels. */
__kernel void spatter_follow(__global uchar *edge, __global int *stack, int w,
                             int h)
{
    size_t plane = get_global_id(0) * (size_t)w * h;
    __global uchar *e = edge + plane;
    __global int *s = stack + plane;
    int n = 0;
    for (int i = 0; i < w * h; i++)
        if (e[i] == 2)
            s[n++] = i;
    while (n > 0) {
        int at = s[--n], x = at % w, y = at / w;
        for (int v = max(y - 1, 0); v <= min(y + 1, h - 1); v++)
            for (int u = max(x - 1, 0); u <= min(x + 1, w - 1); u++)
                if (e[v * w + u] == 1) {
                    e[v * w + u] = 2;
                    s[n++] = v * w + u;
                }
    }
}

/* The chamfer distance 1, 1.4, 2.1969 to the nearest edge in 16 bits after
 * the point; lines of w + 4, a frame of 2. Beyond 20 all is alike. */
#define SIDE 65536
#define DIAGONAL 91750
#define KNIGHT 143976
__kernel void spatter_distance(__global const uchar *edge,
                               __global int *distance, int w, int h)
{
    int line = w + 4;
    __global const uchar *e = edge + get_global_id(0) * (size_t)w * h;
    __global int *d = distance + get_global_id(0) * (size_t)line * (h + 4);
    for (int i = 0; i < line * (h + 4); i++)
        d[i] = 1 << 28;
    for (int y = 0; y < h; y++) {
        __global int *p = d + (y + 2) * line + 2;
        for (int x = 0; x < w; x++, p++) {
            int t = min(min(p[-2 * line - 1], p[-2 * line + 1]),
                        min(p[-line - 2], p[-line + 2])) +
                    KNIGHT;
            t = min(t, min(p[-line - 1], p[-line + 1]) + DIAGONAL);
            t = min(t, min(p[-line], p[-1]) + SIDE);
            *p = e[y * w + x] == 2 ? 0 : t;
        }
    }
    for (int y = h - 1; y >= 0; y--) {
        __global int *p = d + (y + 2) * line + 2 + w - 1;
        for (int x = w - 1; x >= 0; x--, p--) {
            int t = min(min(p[2 * line - 1], p[2 * line + 1]),
                        min(p[line - 2], p[line + 2])) +
                    KNIGHT;
            t = min(t, min(p[line - 1], p[line + 1]) + DIAGONAL);
            t = min(t, min(p[line], p[1]) + SIDE);
            *p = min(*p, t);
        }
    }
}

static inline int mirror101(int i, int n)
{
    return n == 1 ? 0 : i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
}

/* The mean of 3x3 distances, each at most 20, cut to bytes. */
__kernel void spatter_soften(__global const int *distance, __global uchar *out,
                             int w)
{
    int y = get_global_id(0), h = get_global_size(0), line = w + 4;
    size_t n = get_global_id(1);
    __global const int *d = distance + n * line * (h + 4) + 2;
    __global const int *a = d + (mirror101(y - 1, h) + 2) * line;
    __global const int *b = d + (y + 2) * line;
    __global const int *c = d + (mirror101(y + 1, h) + 2) * line;
    for (int x = 0; x < w; x++) {
        int s = 0, most = 20 * SIDE;
        for (int u = -1; u <= 1; u++) {
            int at = mirror101(x + u, w);
            s += min(a[at], most) + min(b[at], most) + min(c[at], most);
        }
        out[(n * h + y) * w + x] = (uchar)(s / (9 * SIDE));
    }
}

/* OpenCV's histogram equalisation, as a table of bytes. */
__kernel void spatter_equalise(__global const uchar *in, __global uchar *table,
                               int pixels)
{
    size_t n = get_global_id(0);
    __global const uchar *p = in + n * pixels;
    __global uchar *t = table + n * 256;
    int count[256], i = 0, sum = 0;
    for (int k = 0; k < 256; k++)
        count[k] = 0;
    for (int k = 0; k < pixels; k++)
        count[p[k]]++;
    for (int k = 255; k >= 0; k--)
        i = count[k] ? k : i;
    bool same = count[i] == pixels;
    float scale = 255.0f / (float)max(pixels - count[i], 1);
    for (int k = 0; k < 256; k++) {
        sum += k > i ? count[k] : 0;
        t[k] = same     ? (uchar)i
               : k <= i ? 0
                        : (uchar)rint(min((float)sum * scale, 255.0f));
    }
}

/* The slanting filter on equalised values. */
__kernel void spatter_slant(__global const uchar *in,
                            __global const uchar *table, __global uchar *out,
                            int w)
{
    int y = get_global_id(0), h = get_global_size(0);
    size_t n = get_global_id(1);
    __global const uchar *p = in + n * w * h, *t = table + n * 256;
    __global const uchar *a = p + mirror101(y - 1, h) * w, *b = p + y * w;
    __global const uchar *c = p + mirror101(y + 1, h) * w;
    for (int x = 0; x < w; x++) {
        int l = mirror101(x - 1, w), r = mirror101(x + 1, w);
        int s = t[b[x]] + t[b[r]] - t[b[l]] - 2 * t[a[l]] - t[a[x]] + t[c[x]] +
                2 * t[c[r]];
        out[(n * h + y) * w + x] = (uchar)clamp(s, 0, 255);
    }
}

/* The rounded mean of 3x3, times the drops. */
__kernel void spatter_weigh(__global const uchar *in,
                            __global const uchar *drops, __global float *out,
                            int w)
{
    int y = get_global_id(0), h = get_global_size(0);
    size_t plane = get_global_id(1) * (size_t)w * h,
           line = plane + (size_t)y * w;
    __global const uchar *a = in + plane + mirror101(y - 1, h) * w,
                         *b = in + line;
    __global const uchar *c = in + plane + mirror101(y + 1, h) * w;
    for (int x = 0; x < w; x++) {
        int l = mirror101(x - 1, w), r = mirror101(x + 1, w);
        int s = a[l] + a[x] + a[r] + b[l] + b[x] + b[r] + c[l] + c[x] + c[r];
        out[line + x] = (float)((s + 4) / 9 * drops[line + x]);
    }
}

__kernel void spatter_most(__global const float *in, __global int *most,
                           int pixels)
{
    __global const float *p = in + get_global_id(0) * pixels;
    float m = 0;
    for (int i = 0; i < pixels; i++)
        m = fmax(m, p[i]);
    most[get_global_id(0)] = (int)m;
}

/* Without drops (NumPy divides 0 by 0) the picture stays. */
__kernel void spatter_water(__global const uchar *in, __global uchar *out,
                            __global const float *water,
                            __global const int *most, float weight, uint pixels)
{
    uint first = get_global_id(0) * 16 * STRIP;
    size_t n = get_global_id(1), at = n * pixels;
    float scale = most[n] ? weight / (float)most[n] : 0.0f;
    for (uint i = first; i < min(pixels, first + 16 * STRIP); i += 16) {
        uint left = pixels - i;
        float16 m = vload16(0, water + at + i) * scale;
        struct pixels x;
        load_pixels(in + 3 * (at + i), left, &x);
        store_pixels(out + 3 * (at + i), left,
                     wet(fma(m, (float16)(175.0f), x.r)),
                     wet(fma(m, (float16)(238.0f), x.g)),
                     wet(fma(m, (float16)(238.0f), x.b)));
    }
}
