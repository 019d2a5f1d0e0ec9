/* SPDX-License-Identifier: MIT */
/* Spatter in plain C; the steps of water are OpenCV's. */
#include "config.h"

#include "spatter.h"

/* A plane of ints with a border rule of its own at each use. */
struct plane {
    int w, h;
    int *v;
};

static struct plane plane_new(struct job *j)
{
    struct plane p = { (int)j->width, (int)j->height,
                       job_scratch(j, j->pixels, sizeof(int)) };
    return p;
}

static int at_edge(const struct plane *p, int x, int y)
{
    return p->v[clamp_index(y, p->h) * p->w + clamp_index(x, p->w)];
}

static int at_mirror(const struct plane *p, int x, int y)
{
    return p->v[mirror101(y, p->h) * p->w + mirror101(x, p->w)];
}

static int at_zero(const struct plane *p, int x, int y)
{
    return x < 0 || y < 0 || x >= p->w || y >= p->h ? 0 : p->v[y * p->w + x];
}

static void sobel(const struct plane *in, struct plane *dx, struct plane *dy,
                  struct plane *m)
{
    for (int y = 0; y < in->h; y++)
        for (int x = 0; x < in->w; x++) {
            int i = y * in->w + x, a = 0, b = 0;
            for (int k = -1; k <= 1; k++) {
                int f = k ? 1 : 2;
                a +=
                    f * (at_edge(in, x + 1, y + k) - at_edge(in, x - 1, y + k));
                b +=
                    f * (at_edge(in, x + k, y + 1) - at_edge(in, x + k, y - 1));
            }
            dx->v[i] = a;
            dy->v[i] = b;
            m->v[i] = abs(a) + abs(b);
        }
}

/* Does the slope at (x, y) stand out along its direction? */
static int ridge(const struct plane *m, int dx, int dy, int x, int y)
{
    int own = at_zero(m, x, y), d = (dx ^ dy) < 0 ? -1 : 1;
    int64_t ax = abs(dx), ay = (int64_t)abs(dy) << 15, low = ax * 13573;
    if (ay < low)
        return own > at_zero(m, x - 1, y) && own >= at_zero(m, x + 1, y);
    if (ay > low + (ax << 16))
        return own > at_zero(m, x, y - 1) && own >= at_zero(m, x, y + 1);
    return own > at_zero(m, x - d, y - 1) && own > at_zero(m, x + d, y + 1);
}

/* Canny, thresholds 50 and 150: 2 where there is an edge. */
static void canny(struct job *j, const struct plane *in, struct plane *edge)
{
    struct plane dx = plane_new(j), dy = plane_new(j), m = plane_new(j);
    if (j->st < 0)
        return;
    sobel(in, &dx, &dy, &m);
    for (int i = 0; i < in->w * in->h; i++)
        edge->v[i] =
            m.v[i] <= 50 || !ridge(&m, dx.v[i], dy.v[i], i % in->w, i / in->w)
                ? 0
            : m.v[i] > 150 ? 2
                           : 1;
    for (int changed = 1; changed;) {
        changed = 0;
        for (int i = 0; i < in->w * in->h; i++)
            for (int k = 0; k < 9 && edge->v[i] == 1; k++)
                if (at_zero(edge, i % in->w + k % 3 - 1,
                            i / in->w + k / 3 - 1) == 2) {
                    edge->v[i] = 2;
                    changed = 1;
                }
    }
}

/* The 5x5 chamfer distance between two pixels, in 1/65536. */
static int chamfer(int dx, int dy)
{
    int a = abs(dx) > abs(dy) ? abs(dx) : abs(dy), b = abs(dx) + abs(dy) - a;
    return a >= 2 * b ? (a - 2 * b) * 65536 + b * 143976
                      : (a - b) * 143976 + (2 * b - a) * 91750;
}

/* Distance to the nearest edge, at most 20: looked for far enough. */
static double distance(const struct plane *edge, int x, int y)
{
    int best = 20 * 65536;
    for (int v = -20; v <= 20; v++)
        for (int u = -20; u <= 20; u++)
            if (at_zero(edge, x + u, y + v) == 2 && chamfer(u, v) < best)
                best = chamfer(u, v);
    return best / 65536.0;
}

static void soften(struct job *j, const struct plane *edge, struct plane *out)
{
    double *d = job_scratch(j, j->pixels, sizeof *d);
    for (int i = 0; d && i < out->w * out->h; i++)
        d[i] = distance(edge, i % out->w, i / out->w);
    for (int i = 0; d && i < out->w * out->h; i++) {
        double s = 0;
        for (int k = 0; k < 9; k++)
            s += d[mirror101(i / out->w + k / 3 - 1, out->h) * out->w +
                   mirror101(i % out->w + k % 3 - 1, out->w)];
        out->v[i] = (int)(float)(s / 9);
    }
}

static void equalise(struct plane *p)
{
    int count[256] = { 0 }, first = 0, n = p->w * p->h, sum = 0,
        table[256] = { 0 };
    for (int i = 0; i < n; i++)
        count[p->v[i]]++;
    while (!count[first])
        first++;
    if (count[first] == n)
        return;
    float scale = 255.0f / (float)(n - count[first]);
    for (int k = first + 1; k < 256; k++) {
        sum += count[k];
        table[k] = (int)rintf((float)sum * scale);
    }
    for (int i = 0; i < n; i++)
        p->v[i] = table[p->v[i]];
}

static void slant(const struct plane *in, struct plane *out)
{
    static const int weight[9] = { -2, -1, 0, -1, 1, 1, 0, 1, 2 };
    for (int i = 0; i < in->w * in->h; i++) {
        int s = 0;
        for (int k = 0; k < 9; k++)
            s += weight[k] *
                 at_mirror(in, i % in->w + k % 3 - 1, i / in->w + k / 3 - 1);
        out->v[i] = s < 0 ? 0 : s > 255 ? 255 : s;
    }
}

static void water(struct job *j, const struct spatter *c, const double *layer,
                  const uint8_t *in, uint8_t *out)
{
    struct plane drops = plane_new(j), edge = plane_new(j), look = plane_new(j);
    struct plane slanted = plane_new(j);
    double most = 0;
    if (j->st < 0)
        return;
    for (uint32_t i = 0; i < j->pixels; i++)
        drops.v[i] = (int)(layer[i] * 255) & 255;
    canny(j, &drops, &edge);
    soften(j, &edge, &look);
    equalise(&look);
    slant(&look, &slanted);
    for (uint32_t i = 0; i < j->pixels; i++) {
        int x = (int)(i % j->width), y = (int)(i / j->width), s = 0;
        for (int k = 0; k < 9; k++)
            s += at_mirror(&slanted, x + k % 3 - 1, y + k / 3 - 1);
        look.v[i] = (s + 4) / 9 * drops.v[i];
        most = fmax(most, look.v[i]);
    }
    for (uint32_t i = 0; i < j->values; i++) {
        float m = most > 0 ? (float)look.v[i / 3] / (float)most : 0;
        double colour = (i % 3 ? 238 : 175) / 255.0;
        float x = (float)in[i] / 255.0f;
        float s = x + (m * (float)c->weight) * (float)colour;
        out[i] = (uint8_t)((s > 1 ? 1 : s) * 255.0f);
    }
}

static void mud(struct job *j, const struct spatter *c, double *layer,
                const uint8_t *in, uint8_t *out)
{
    static const double colour[3] = { 63, 42, 20 };
    struct gauss g;
    gauss_make(&g, c->weight, 4);
    for (uint32_t i = 0; i < j->pixels; i++)
        layer[i] = layer[i] > c->threshold;
    gauss_reference(j, &g, layer, 1);
    for (uint32_t i = 0; i < j->values && j->st >= 0; i++) {
        float m = (float)layer[i / 3];
        m = m < 0.8f ? 0 : m;
        float x = (float)in[i] / 255.0f * (1 - m);
        out[i] = to_byte((double)x + colour[i % 3] / 255 * (double)m);
    }
}

void spatter_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    struct spatter c = spatter_of(j);
    double *layer = job_scratch(j, j->pixels, sizeof *layer);
    struct gauss g;
    if (!layer)
        return;
    gauss_make(&g, c.sigma, 4);
    for (uint32_t i = 0; i < j->pixels; i++)
        layer[i] =
            c.loc + c.scale * (double)mohs_rng_normal(j->seed, j->key[n], i);
    gauss_reference(j, &g, layer, 1);
    for (uint32_t i = 0; i < j->pixels; i++)
        layer[i] = layer[i] < c.threshold ? 0 : layer[i];
    if (c.mud)
        mud(j, &c, layer, in, out);
    else
        water(j, &c, layer, in, out);
}
