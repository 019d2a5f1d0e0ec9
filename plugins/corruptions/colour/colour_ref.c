/* SPDX-License-Identifier: MIT */
/* Contrast, brightness and saturation in plain C, operation by operation as
 * NumPy and scikit-image's rgb2hsv and hsv2rgb do them. */
#include "config.h"

#include "colour.h"

void contrast_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    double mean[3] = { 0 }, c = contrast_factor(j);
    for (uint32_t i = 0; i < j->values; i++)
        mean[i % 3] += in[i];
    for (uint32_t i = 0; i < j->values; i++) {
        double m = mean[i % 3] / j->pixels / 255;
        out[i] = to_byte((in[i] / 255.0 - m) * c + m);
    }
}

struct hsv {
    double h, s, v;
};

static struct hsv hsv_of(const uint8_t *rgb)
{
    double r = rgb[0] / 255.0, g = rgb[1] / 255.0, b = rgb[2] / 255.0;
    double max = fmax(r, fmax(g, b)), delta = max - fmin(r, fmin(g, b));
    struct hsv out = { 0, 0, max };
    if (delta == 0)
        return out;
    out.s = delta / max;
    if (b == max)
        out.h = 4 + (r - g) / delta;
    else if (g == max)
        out.h = 2 + (b - r) / delta;
    else
        out.h = (g - b) / delta;
    out.h = out.h / 6;
    out.h -= floor(out.h);
    return out;
}

static void rgb_of(struct hsv x, uint8_t *rgb)
{
    double whole = floor(x.h * 6), f = x.h * 6 - whole;
    double p = x.v * (1 - x.s), q = x.v * (1 - f * x.s);
    double t = x.v * (1 - (1 - f) * x.s), v = x.v;
    const double choice[6][3] = {
        { v, t, p }, { q, v, p }, { p, v, t },
        { p, q, v }, { t, p, v }, { v, p, q },
    };
    for (int c = 0; c < 3; c++)
        rgb[c] = to_byte(choice[(int)whole % 6][c]);
}

void brightness_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    for (uint32_t i = 0; i < j->values; i += 3) {
        struct hsv x = hsv_of(in + i);
        x.v = fmin(x.v + brightness_offset(j), 1);
        rgb_of(x, out + i);
    }
}

void saturate_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct saturation c = saturate_constants(j);
    for (uint32_t i = 0; i < j->values; i += 3) {
        struct hsv x = hsv_of(in + i);
        x.s = fmin(x.s * c.scale + c.offset, 1);
        rgb_of(x, out + i);
    }
}
