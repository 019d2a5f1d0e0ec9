/* SPDX-License-Identifier: MIT */
/* The ops in double; see ops_ref.h. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ops_ref.h"

static const double pi = 3.14159265358979323846;

double ref_attr(const struct ref_call *c, const char *name, double def)
{
    for (uint32_t i = 0; i < c->n_attr; i++)
        if (c->attr_name[i] && strcmp(c->attr_name[i], name) == 0)
            return c->attr[i];
    return def;
}

static size_t last(const struct ref_array *a)
{
    return a->dims[a->n_dims - 1];
}

static size_t rows(const struct ref_array *a)
{
    return a->n / last(a);
}

static const double *in_v(const struct ref_call *c, uint32_t i)
{
    return i < c->n_in ? c->in[i].v : NULL;
}

static size_t product(const uint32_t *d, uint32_t from, uint32_t to)
{
    size_t n = 1;
    for (uint32_t i = from; i < to; i++)
        n *= d[i];
    return n;
}

/* ---- elementwise ------------------------------------------------------ */

/* Codes as MOHS_ACT_*, then sigmoid and softplus. */
double ref_act(int f, double x)
{
    switch (f) {
    case 1:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case 2:
        return x / (1 + exp(-1.702 * x));
    case 3:
        return x / (1 + exp(-x));
    case 4:
        return x > 0 ? x : 0;
    case 5:
        return 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
    case 6:
        return tanh(x);
    case 7:
        return 1 / (1 + exp(-x));
    case 8:
        return log1p(exp(x));
    default:
        return x;
    }
}

static void each(const struct ref_call *c, int f)
{
    for (size_t i = 0; i < c->out->n; i++)
        c->out->v[i] = ref_act(f, c->in[0].v[i]);
}

#define ACT(name, f)                                 \
    static void name(const struct ref_call *c)       \
    {                                                \
        each(c, f);                                  \
    }
ACT(r_gelu, 1)
ACT(r_quick_gelu, 2)
ACT(r_silu, 3)
ACT(r_relu, 4)
ACT(r_gelu_tanh, 5)
ACT(r_tanh, 6)
ACT(r_sigmoid, 7)
ACT(r_softplus, 8)

#define UNARY(name, expr)                            \
    static void name(const struct ref_call *c)       \
    {                                                \
        for (size_t i = 0; i < c->out->n; i++) {     \
            double x = c->in[0].v[i];                \
            c->out->v[i] = (expr);                   \
        }                                            \
    }
UNARY(r_exp, exp(x))
UNARY(r_log, log(x))
UNARY(r_square, x * x)
UNARY(r_sqrt, sqrt(x))
UNARY(r_copy, x)
UNARY(r_affine, ref_attr(c, "mul", 1) * x + ref_attr(c, "add", 0))
UNARY(r_clamp, fmin(fmax(x, ref_attr(c, "lo", -1e30)), ref_attr(c, "hi", 1e30)))

/* b repeats over a: all of it, or the trailing dims of a. */
static double other(const struct ref_call *c, size_t i)
{
    const struct ref_array *a = &c->in[0], *b = &c->in[1];
    if (b->n == 1)
        return b->v[0];
    return b->v[i % product(a->dims, a->n_dims - b->n_dims, a->n_dims)];
}

#define BINARY(name, expr)                           \
    static void name(const struct ref_call *c)       \
    {                                                \
        for (size_t i = 0; i < c->out->n; i++) {     \
            double a = c->in[0].v[i];                \
            double b = other(c, i);                  \
            c->out->v[i] = (expr);                   \
        }                                            \
    }
BINARY(r_add, a + b)
BINARY(r_sub, a - b)
BINARY(r_mul, a * b)
BINARY(r_div, a / b)

static void r_pixels(const struct ref_call *c)
{
    const struct ref_array *x = &c->in[0];
    size_t hw = (size_t)x->dims[2] * x->dims[3];
    double shift = ref_attr(c, "shift", 1);
    for (size_t i = 0; i < x->n; i++) {
        size_t ch = i / hw % x->dims[1];
        c->out->v[i] = (x->v[i] - shift * c->in[1].v[ch]) / c->in[2].v[ch];
    }
}

/* ---- dense ------------------------------------------------------------ */

static void r_linear(const struct ref_call *c)
{
    size_t k = last(&c->in[0]), n = c->in[1].dims[0], m = rows(&c->in[0]);
    const double *b = in_v(c, 2), *res = in_v(c, 3);
    int f = (int)ref_attr(c, "act", 0);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double s = b ? b[j] : 0;
            for (size_t q = 0; q < k; q++)
                s += c->in[0].v[i * k + q] * c->in[1].v[j * k + q];
            c->out->v[i * n + j] = ref_act(f, s) + (res ? res[i * n + j] : 0);
        }
}

static void r_matmul(const struct ref_call *c)
{
    const struct ref_array *a = &c->in[0], *b = &c->in[1];
    int at = ref_attr(c, "a_trans", 0) != 0;
    int bt = ref_attr(c, "b_trans", 0) != 0;
    size_t m = at ? last(a) : rows(a), k = at ? rows(a) : last(a);
    size_t n = bt ? rows(b) : last(b);
    const double *acc = in_v(c, 2);
    double alpha = ref_attr(c, "alpha", 1);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double s = 0;
            for (size_t q = 0; q < k; q++)
                s += a->v[at ? q * m + i : i * k + q] *
                     b->v[bt ? j * k + q : q * n + j];
            c->out->v[i * n + j] = alpha * s + (acc ? acc[i * n + j] : 0);
        }
}

/* Sample i of x [n, rows, cols]. */
static struct ref_array sample(const struct ref_array *x, size_t i)
{
    struct ref_array s = { .n_dims = 2, .n = x->n / x->dims[0] };
    memcpy(s.dims, x->dims + 1, 2 * sizeof *s.dims);
    s.v = x->v + i * s.n;
    return s;
}

static void r_batch_matmul(const struct ref_call *c)
{
    for (size_t i = 0; i < c->in[0].dims[0]; i++) {
        struct ref_call one = *c;
        struct ref_array out = sample(c->out, i);
        one.out = &out;
        for (uint32_t j = 0; j < c->n_in; j++)
            one.in[j] = sample(&c->in[j], i);
        r_matmul(&one);
    }
}

static void split(const struct ref_array *x, double *out, size_t p, int join)
{
    // x: the image's shape; out: patches, or the other way round
    size_t ch = x->dims[1], h = x->dims[2], w = x->dims[3], cols = w / p;
    for (size_t i = 0; i < x->n; i++) {
        size_t col = i % w, row = i / w % h, c = i / (w * h) % ch;
        size_t img = i / (w * h * ch);
        size_t patch = (img * (h / p) + row / p) * cols + col / p;
        size_t at = patch * ch * p * p + (c * p + row % p) * p + col % p;
        if (join)
            x->v[i] = out[at];
        else
            out[at] = x->v[i];
    }
}

static void r_patches(const struct ref_call *c)
{
    split(&c->in[0], c->out->v, (size_t)ref_attr(c, "p", 1), 0);
}

static void r_unpatches(const struct ref_call *c)
{
    split(c->out, c->in[0].v, (size_t)ref_attr(c, "p", 1), 1);
}

static void r_patch_embed(const struct ref_call *c)
{
    const struct ref_array *x = &c->in[0], *w = &c->in[1];
    size_t p = w->dims[2], len = x->dims[1] * p * p, width = w->dims[0];
    double *patch = calloc(x->n, sizeof *patch);
    split(x, patch, p, 0);
    for (size_t i = 0; i < x->n / len; i++)
        for (size_t j = 0; j < width; j++) {
            double s = in_v(c, 2) ? in_v(c, 2)[j] : 0;
            for (size_t q = 0; q < len; q++)
                s += patch[i * len + q] * w->v[j * len + q];
            c->out->v[i * width + j] = s;
        }
    free(patch);
}

/* ---- attention -------------------------------------------------------- */

static void attend(const struct ref_call *c, size_t i, size_t h, size_t heads)
{
    size_t t = c->in[0].dims[1], s = c->in[1].dims[1], w = c->in[0].dims[2];
    size_t d = w / heads;
    int mask = (int)ref_attr(c, "mask", 0);
    double *p = calloc(s, sizeof *p);
    for (size_t a = 0; a < t; a++) {
        const double *q = c->in[0].v + (i * t + a) * w + h * d;
        size_t n = mask == 1 ? a + 1 : s;
        if (mask >= 2)
            n = (size_t)c->in[3].v[i] + (mask == 3);
        double top = -1e300, sum = 0;
        for (size_t b = 0; b < n; b++) {
            const double *k = c->in[1].v + (i * s + b) * w + h * d;
            p[b] = 0;
            for (size_t j = 0; j < d; j++)
                p[b] += q[j] * k[j];
            p[b] /= sqrt((double)d);
            top = fmax(top, p[b]);
        }
        for (size_t b = 0; b < n; b++)
            sum += p[b] = exp(p[b] - top);
        for (size_t j = 0; j < d; j++) {
            double o = 0;
            for (size_t b = 0; b < n; b++)
                o += p[b] / sum * c->in[2].v[(i * s + b) * w + h * d + j];
            c->out->v[(i * t + a) * w + h * d + j] = o;
        }
    }
    free(p);
}

static void r_attention(const struct ref_call *c)
{
    size_t heads = (size_t)ref_attr(c, "heads", 1);
    for (size_t i = 0; i < c->in[0].dims[0]; i++)
        for (size_t h = 0; h < heads; h++)
            attend(c, i, h, heads);
}

/* rows x w^T + b -> [n, t, w] of a new array. */
static struct ref_array projected(const struct ref_array *x,
                                  const struct ref_array *w, const double *b)
{
    size_t k = last(x), n = w->dims[0], t = rows(x);
    struct ref_array y = { .n_dims = 3,
                           .dims = { x->dims[0], (uint32_t)(t / x->dims[0]),
                                     (uint32_t)n },
                           .n = t * n };
    y.v = calloc(y.n, sizeof *y.v);
    for (size_t i = 0; i < y.n; i++) {
        y.v[i] = b ? b[i % n] : 0;
        for (size_t q = 0; q < k; q++)
            y.v[i] += x->v[i / n * k + q] * w->v[i % n * k + q];
    }
    return y;
}

static void r_attention_pool(const struct ref_call *c)
{
    const struct ref_array *q = &c->in[0], *x = &c->in[1];
    struct ref_call full = *c;
    full.n_in = 3;
    full.in[0].n_dims = 3;
    full.in[0].dims[1] = 1;
    full.in[0].dims[2] = q->dims[1];
    full.in[1] = projected(x, &c->in[2], NULL);
    full.in[2] = projected(x, &c->in[3], in_v(c, 4));
    r_attention(&full);
    free(full.in[1].v);
    free(full.in[2].v);
}

/* ---- rows ------------------------------------------------------------- */

static void norm(const struct ref_call *c, int centre, double eps)
{
    size_t k = last(&c->in[0]);
    for (size_t r = 0; r < rows(&c->in[0]); r++) {
        const double *x = c->in[0].v + r * k;
        double mean = 0, var = 0;
        for (size_t i = 0; i < k && centre; i++)
            mean += x[i] / (double)k;
        for (size_t i = 0; i < k; i++)
            var += (x[i] - mean) * (x[i] - mean) / (double)k;
        for (size_t i = 0; i < k; i++) {
            double y = (x[i] - mean) / sqrt(var + eps);
            y *= in_v(c, 1) ? in_v(c, 1)[i] : 1;
            c->out->v[r * k + i] = y + (in_v(c, 2) ? in_v(c, 2)[i] : 0);
        }
    }
}

static void r_layer_norm(const struct ref_call *c)
{
    norm(c, 1, ref_attr(c, "eps", 1e-5));
}

static void r_rms_norm(const struct ref_call *c)
{
    norm(c, 0, ref_attr(c, "eps", 1e-6));
}

static void r_l2(const struct ref_call *c)
{
    size_t k = last(&c->in[0]);
    for (size_t r = 0; r < rows(&c->in[0]); r++) {
        double s = 0;
        for (size_t i = 0; i < k; i++)
            s += c->in[0].v[r * k + i] * c->in[0].v[r * k + i];
        s = fmax(sqrt(s), ref_attr(c, "eps", 1e-12));
        for (size_t i = 0; i < k; i++)
            c->out->v[r * k + i] = c->in[0].v[r * k + i] / s;
    }
}

static double lse(const double *x, size_t n, size_t step)
{
    double top = -1e300, s = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, x[i * step]);
    for (size_t i = 0; i < n; i++)
        s += exp(x[i * step] - top);
    return top + log(s);
}

static void r_log_softmax(const struct ref_call *c)
{
    size_t k = last(&c->in[0]);
    for (size_t i = 0; i < c->out->n; i++)
        c->out->v[i] = c->in[0].v[i] - lse(c->in[0].v + i / k * k, k, 1);
}

static void r_softmax(const struct ref_call *c)
{
    r_log_softmax(c);
    for (size_t i = 0; i < c->out->n; i++)
        c->out->v[i] = exp(c->out->v[i]);
}

/* ---- moving and summing ----------------------------------------------- */

static void r_transpose(const struct ref_call *c)
{
    size_t m = c->in[0].dims[0], n = c->in[0].dims[1];
    for (size_t i = 0; i < m * n; i++)
        c->out->v[i % n * m + i / n] = c->in[0].v[i];
}

/* Value at (outer, axis, inner) of `a`, seen along an axis. */
static double *at(const struct ref_array *a, uint32_t axis, size_t o, size_t m,
                  size_t i)
{
    size_t inner = product(a->dims, axis + 1, a->n_dims);
    return &a->v[(o * a->dims[axis] + m) * inner + i];
}

/* dst[.., to + m, ..] = src[.., from + m, ..] for m < n */
static void move(const struct ref_array *src, const struct ref_array *dst,
                 uint32_t axis, size_t from, size_t to, size_t n)
{
    size_t outer = product(src->dims, 0, axis);
    size_t inner = product(src->dims, axis + 1, src->n_dims);
    for (size_t o = 0; o < outer; o++)
        for (size_t m = 0; m < n; m++)
            for (size_t i = 0; i < inner; i++)
                *at(dst, axis, o, to + m, i) = *at(src, axis, o, from + m, i);
}

static void r_slice(const struct ref_call *c)
{
    move(&c->in[0], c->out, (uint32_t)ref_attr(c, "axis", 0),
         (size_t)ref_attr(c, "from", 0), 0, (size_t)ref_attr(c, "n", 1));
}

static void r_pad(const struct ref_call *c)
{
    uint32_t axis = (uint32_t)ref_attr(c, "axis", 0);
    memset(c->out->v, 0, c->out->n * sizeof *c->out->v);
    move(&c->in[0], c->out, axis, 0, (size_t)ref_attr(c, "before", 0),
         c->in[0].dims[axis]);
}

static void r_concat(const struct ref_call *c)
{
    uint32_t axis = (uint32_t)ref_attr(c, "axis", 0);
    size_t to = 0;
    for (uint32_t i = 0; i < c->n_in; i++) {
        move(&c->in[i], c->out, axis, 0, to, c->in[i].dims[axis]);
        to += c->in[i].dims[axis];
    }
}

static void reduce(const struct ref_array *x, double *out, uint32_t from,
                   uint32_t to, double scale)
{
    size_t outer = product(x->dims, 0, from), mid = product(x->dims, from, to);
    size_t inner = product(x->dims, to, x->n_dims);
    memset(out, 0, outer * inner * sizeof *out);
    for (size_t i = 0; i < outer * mid * inner; i++)
        out[i / (mid * inner) * inner + i % inner] += scale * x->v[i];
}

static void r_reduce(const struct ref_call *c)
{
    uint32_t to = (uint32_t)ref_attr(c, "to", 0);
    reduce(&c->in[0], c->out->v, (uint32_t)ref_attr(c, "from", 0),
           to ? to : c->in[0].n_dims, ref_attr(c, "scale", 1));
}

static void r_sum(const struct ref_call *c)
{
    reduce(&c->in[0], c->out->v, 0, c->in[0].n_dims, 1);
}

static void r_mean(const struct ref_call *c)
{
    reduce(&c->in[0], c->out->v, 0, c->in[0].n_dims, 1.0 / (double)c->in[0].n);
}

static void r_mean_tokens(const struct ref_call *c)
{
    reduce(&c->in[0], c->out->v, 1, 2, 1.0 / c->in[0].dims[1]);
}

static void r_expand(const struct ref_call *c)
{
    uint32_t from = (uint32_t)ref_attr(c, "from", 0);
    uint32_t to = (uint32_t)ref_attr(c, "to", 0);
    to = to ? to : c->out->n_dims;
    size_t mid = product(c->out->dims, from, to);
    size_t inner = product(c->out->dims, to, c->out->n_dims);
    for (size_t i = 0; i < c->out->n; i++)
        c->out->v[i] = ref_attr(c, "scale", 1) *
                       c->in[0].v[i / (mid * inner) * inner + i % inner];
}

static void r_take(const struct ref_call *c)
{
    size_t t = c->in[0].dims[1], k = c->in[0].dims[2];
    for (size_t i = 0; i < c->out->n; i++) {
        size_t j = in_v(c, 1) ? (size_t)in_v(c, 1)[i / k] : 0;
        c->out->v[i] = c->in[0].v[(i / k * t + j) * k + i % k];
    }
}

static void r_put(const struct ref_call *c)
{
    size_t t = (size_t)ref_attr(c, "t", 1), k = c->in[0].dims[1];
    memset(c->out->v, 0, c->out->n * sizeof *c->out->v);
    for (size_t i = 0; i < c->in[0].n; i++) {
        size_t j = in_v(c, 1) ? (size_t)in_v(c, 1)[i / k] : 0;
        c->out->v[(i / k * t + j) * k + i % k] = c->in[0].v[i];
    }
}

static void r_embedding(const struct ref_call *c)
{
    size_t k = c->in[1].dims[1];
    for (size_t i = 0; i < c->out->n; i++)
        c->out->v[i] = c->in[1].v[(size_t)c->in[0].v[i / k] * k + i % k];
}

static void r_embedding_grad(const struct ref_call *c)
{
    size_t k = last(&c->in[0]);
    memset(c->out->v, 0, c->out->n * sizeof *c->out->v);
    for (size_t i = 0; i < c->in[0].n; i++)
        c->out->v[(size_t)c->in[1].v[i / k] * k + i % k] += c->in[0].v[i];
}

static void r_prepend(const struct ref_call *c)
{
    size_t t = c->out->dims[1], k = c->out->dims[2];
    for (size_t i = 0; i < c->out->n; i++) {
        size_t n = i / (t * k), j = i / k % t;
        c->out->v[i] = j ? c->in[0].v[(n * (t - 1) + j - 1) * k + i % k]
                         : c->in[1].v[i % k];
    }
}

/* ---- losses ----------------------------------------------------------- */

static double cross(const double *x, size_t n, size_t m, size_t row,
                    size_t column, const double *target)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) {
        size_t t = target ? (size_t)target[i] : i;
        s += lse(x + i * row, m, column) - x[i * row + t * column];
    }
    return s / (double)n;
}

static void r_cross_entropy(const struct ref_call *c)
{
    size_t n = c->in[0].dims[0], m = c->in[0].dims[1];
    c->out->v[0] = cross(c->in[0].v, n, m, m, 1, in_v(c, 1));
}

static double pairs(const double *x, size_t n, size_t m)
{
    double s = 0;
    for (size_t i = 0; i < n * m; i++)
        s += log1p(exp(i / m == i % m ? -x[i] : x[i]));
    return s / (double)n;
}

static void r_sigmoid_pairs(const struct ref_call *c)
{
    c->out->v[0] = pairs(c->in[0].v, c->in[0].dims[0], c->in[0].dims[1]);
}

static double *scores(const struct ref_call *c, double bias)
{
    size_t n = c->in[0].dims[0], d = c->in[0].dims[1];
    double *s = calloc(n * n, sizeof *s);
    for (size_t i = 0; i < n * n; i++) {
        for (size_t q = 0; q < d; q++)
            s[i] += c->in[0].v[i / n * d + q] * c->in[1].v[i % n * d + q];
        s[i] = s[i] * c->in[2].v[0] + bias;
    }
    return s;
}

static void r_contrastive(const struct ref_call *c)
{
    size_t n = c->in[0].dims[0];
    double *s = scores(c, 0);
    c->out->v[0] = 0.5 * (cross(s, n, n, n, 1, NULL) +
                          cross(s, n, n, 1, n, NULL));
    free(s);
}

static void r_sigmoid_loss(const struct ref_call *c)
{
    double *s = scores(c, c->in[3].v[0]);
    c->out->v[0] = pairs(s, c->in[0].dims[0], c->in[0].dims[0]);
    free(s);
}

static void r_symmetric_kl(const struct ref_call *c)
{
    size_t k = last(&c->in[0]), n = c->in[0].n;
    double s = 0;
    for (size_t i = 0; i < n; i++) {
        double a = c->in[0].v[i] - lse(c->in[0].v + i / k * k, k, 1);
        double b = c->in[1].v[i] - lse(c->in[1].v + i / k * k, k, 1);
        s += exp(a) * (a - b) + exp(b) * (b - a);
    }
    c->out->v[0] = s / (double)(n / k);
}

static const struct {
    const char *name;
    ref_fn fn;
} table[] = {
    { "add", r_add },
    { "sub", r_sub },
    { "mul", r_mul },
    { "div", r_div },
    { "gelu", r_gelu },
    { "quick_gelu", r_quick_gelu },
    { "silu", r_silu },
    { "relu", r_relu },
    { "gelu_tanh", r_gelu_tanh },
    { "tanh", r_tanh },
    { "sigmoid", r_sigmoid },
    { "softplus", r_softplus },
    { "exp", r_exp },
    { "log", r_log },
    { "affine", r_affine },
    { "clamp", r_clamp },
    { "square", r_square },
    { "sqrt", r_sqrt },
    { "normalize_pixels", r_pixels },
    { "linear", r_linear },
    { "matmul", r_matmul },
    { "batch_matmul", r_batch_matmul },
    { "patches", r_patches },
    { "unpatches", r_unpatches },
    { "patch_embed", r_patch_embed },
    { "attention", r_attention },
    { "attention_pool", r_attention_pool },
    { "layer_norm", r_layer_norm },
    { "rms_norm", r_rms_norm },
    { "l2_normalize", r_l2 },
    { "softmax", r_softmax },
    { "log_softmax", r_log_softmax },
    { "reshape", r_copy },
    { "transpose", r_transpose },
    { "slice", r_slice },
    { "pad", r_pad },
    { "concat", r_concat },
    { "reduce", r_reduce },
    { "expand", r_expand },
    { "sum", r_sum },
    { "mean", r_mean },
    { "mean_tokens", r_mean_tokens },
    { "take", r_take },
    { "put", r_put },
    { "embedding", r_embedding },
    { "embedding_grad", r_embedding_grad },
    { "prepend", r_prepend },
    { "cross_entropy", r_cross_entropy },
    { "sigmoid_pairs", r_sigmoid_pairs },
    { "contrastive", r_contrastive },
    { "sigmoid_loss", r_sigmoid_loss },
    { "symmetric_kl", r_symmetric_kl },
};

ref_fn ref_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].fn;
    return ref_find_conv(name);
}
