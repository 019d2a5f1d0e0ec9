/* SPDX-License-Identifier: MIT */
/* Parameters and single layers; see net.h. blocks.c has the transformer. */
#include "common/net.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- walks ---- */

mohs_status net_list(net_walk walk, const void *model, uint32_t towers,
                     const struct rename *map,
                     mohs_status (*put)(void *user,
                                        const struct mohs_weight_spec *,
                                        struct mohs_error *),
                     void *user, struct mohs_error *err)
{
    struct net n = { .put = put, .user = user, .err = err, .map = map };
    struct mohs_tower_inputs none = { .size = sizeof none };
    static const uint32_t all[] = { 0, MOHS_TOWER_IMAGE, MOHS_TOWER_TEXT };
    for (int i = 0; i < 3; i++) {
        n.at[0] = 0;
        if (!all[i] || (towers & all[i]))
            walk(model, &n, all[i], &none);
    }
    return n.st;
}

static mohs_status check_tensor(void *user, const struct mohs_weight_spec *s,
                                struct mohs_error *err)
{
    const struct config *c = user;
    return c->api->fits(c->w, s, err);
}

mohs_status net_check(net_walk walk, const void *model, uint32_t towers,
                      const struct config *c)
{
    return net_list(walk, model, towers, c->map, check_tensor, (void *)c,
                    c->err);
}

/* The tensors that a model reads, to look others up among them. */
struct used {
    const struct config *c;
    char **v;
    size_t n, cap;
};

static mohs_status note_use(void *user, const struct mohs_weight_spec *s,
                            struct mohs_error *err)
{
    struct used *u = user;
    const char *name = s->source ? s->source : s->name;
    mohs_status st = u->c->api->fits(u->c->w, s, err);
    if (st >= 0 && u->n == u->cap) {
        size_t cap = u->cap ? 2 * u->cap : 256;
        char **v = realloc(u->v, cap * sizeof *v);
        if (!v)
            return mohs_fail(err, MOHS_E_NOMEM, "no memory");
        u->v = v;
        u->cap = cap;
    }
    if (st < 0)
        return st;
    size_t size = strlen(name) + 1;
    u->v[u->n] = malloc(size);
    if (!u->v[u->n])
        return mohs_fail(err, MOHS_E_NOMEM, "no memory");
    memcpy(u->v[u->n++], name, size);
    return st;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int starts_with_one(const char *name, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (!strncmp(name, *prefixes, strlen(*prefixes)))
            return 1;
    return 0;
}

mohs_status net_check_whole(net_walk walk, const void *model, uint32_t towers,
                            const struct config *c, const char *const *prefixes)
{
    struct used u = { .c = c };
    const char *name;
    mohs_status st =
        net_list(walk, model, towers, c->map, note_use, &u, c->err);
    if (u.n)
        qsort(u.v, u.n, sizeof *u.v, by_bytes);
    for (uint32_t i = 0; st >= 0 && (name = c->api->name(c->w, i)); i++) {
        if (!starts_with_one(name, prefixes) || strstr(name, "position_ids") ||
            strstr(name, "num_batches_tracked"))
            continue;
        if (!u.n || !bsearch(&name, u.v, u.n, sizeof *u.v, by_bytes))
            st = mohs_fail(c->err, MOHS_E_FORMAT,
                           "%s: tensor %s has no place in this model",
                           c->api->path(c->w), name);
    }
    for (size_t i = 0; i < u.n; i++)
        free(u.v[i]);
    free(u.v);
    return st;
}

mohs_status net_build(net_walk walk, const void *model,
                      const struct mohs_graph_api *api, struct mohs_graph *g,
                      uint32_t tower, const struct mohs_tower_inputs *in,
                      struct mohs_tensor **out)
{
    struct net n = { .api = api, .g = g };
    *out = walk(model, &n, tower, in);
    return MOHS_OK;
}

/* ---- parameters ---- */

void net_at(struct net *n, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(n->at, sizeof n->at, format, ap);
    va_end(ap);
}

static struct mohs_tensor *param(struct net *n, const char *name, uint32_t init,
                                 float scale, uint32_t fixed, uint32_t n_dims,
                                 const uint32_t *dims)
{
    char full[2 * NET_NAME];
    snprintf(full, sizeof full, "%s%s", n->at, name);
    if (n->g)
        return n->api->weight(n->g, full, n_dims, dims);
    struct mohs_weight_spec s = { .size = sizeof s,
                                  .name = full,
                                  .n_dims = n_dims,
                                  .init = init,
                                  .scale = scale,
                                  .decay = n_dims >= 2,
                                  .fixed = fixed };
    char source[CONFIG_NAME];
    const struct rename *r = rename_find(n->map, full, source);
    if (n_dims)
        memcpy(s.dims, dims, n_dims * sizeof *dims);
    if (r)
        s.source = source;
    if (r && r->parts == RENAME_TURNED) {
        s.source_flags = MOHS_SOURCE_TRANSPOSED;
    } else if (r && r->parts) {
        s.source_rows = r->parts * dims[0];
        s.source_first = r->part * dims[0];
    }
    if (n->st >= 0)
        n->st = n->put(n->user, &s, n->err);
    return NULL;
}

struct mohs_tensor *net_normal(struct net *n, const char *name, float std,
                               uint32_t n_dims, const uint32_t *dims)
{
    return param(n, name, MOHS_INIT_NORMAL, std, 0, n_dims, dims);
}

struct mohs_tensor *net_constant(struct net *n, const char *name, float value,
                                 uint32_t n_dims, const uint32_t *dims)
{
    return param(n, name, MOHS_INIT_CONSTANT, value, 0, n_dims, dims);
}

struct mohs_tensor *net_fixed(struct net *n, const char *name, float value,
                              uint32_t n_dims, const uint32_t *dims)
{
    return param(n, name, MOHS_INIT_CONSTANT, value, 1, n_dims, dims);
}

static const char *part(const char *name, const char *what, char buf[NET_NAME])
{
    snprintf(buf, NET_NAME, "%s.%s", name, what);
    return buf;
}

/* ---- layers ---- */

struct mohs_tensor *net_op(struct net *n, const char *op,
                           struct mohs_tensor *const *in, uint32_t n_in,
                           const struct mohs_attr *attr, uint32_t n_attr)
{
    return n->g ? n->api->op(n->g, op, in, n_in, attr, n_attr) : NULL;
}

uint32_t net_dim(struct net *n, const struct mohs_tensor *x, uint32_t axis)
{
    uint32_t dims[MOHS_DIMS_MAX] = { 0 };
    return n->g && n->api->shape(n->g, x, dims) > axis ? dims[axis] : 1;
}

struct mohs_tensor *net_reshape(struct net *n, struct mohs_tensor *x,
                                uint32_t n_dims, const uint32_t *dims)
{
    static const char *const name[] = { "d0", "d1", "d2", "d3", "d4" };
    struct mohs_attr at[MOHS_DIMS_MAX];
    for (uint32_t i = 0; i < n_dims; i++)
        at[i] = (struct mohs_attr) { name[i], dims[i] };
    return net_op(n, "reshape", &x, 1, at, n_dims);
}

struct mohs_tensor *net_slice(struct net *n, struct mohs_tensor *x, int axis,
                              uint32_t from, uint32_t count)
{
    struct mohs_attr at[] = { { "axis", axis },
                              { "from", from },
                              { "n", count } };
    return net_op(n, "slice", &x, 1, at, 3);
}

struct mohs_tensor *net_add(struct net *n, struct mohs_tensor *a,
                            struct mohs_tensor *b)
{
    struct mohs_tensor *in[] = { a, b };
    return net_op(n, "add", in, 2, NULL, 0);
}

struct mohs_tensor *net_mul(struct net *n, struct mohs_tensor *a,
                            struct mohs_tensor *b)
{
    struct mohs_tensor *in[] = { a, b };
    return net_op(n, "mul", in, 2, NULL, 0);
}

struct mohs_tensor *net_attention(struct net *n, struct mohs_tensor *q,
                                  struct mohs_tensor *k, struct mohs_tensor *v,
                                  struct mohs_tensor *lengths, uint32_t heads,
                                  int mask)
{
    if (!n->g)
        return NULL;
    return mohs_attention(n->api, n->g, q, k, v, lengths, (int)heads, mask);
}

struct mohs_tensor *net_tap(struct net *n, const char *name,
                            struct mohs_tensor *x)
{
    return n->g ? n->api->tap(n->g, name, x) : NULL;
}

struct mohs_tensor *net_token(struct net *n, struct mohs_tensor *x, int at)
{
    uint32_t from = at < 0 ? net_dim(n, x, 1) - (uint32_t)-at : (uint32_t)at;
    uint32_t rows = net_dim(n, x, 0), width = net_dim(n, x, 2);
    return net_reshape(n, net_slice(n, x, 1, from, 1), DIMS(rows, width));
}

struct mohs_tensor *net_repeat(struct net *n, struct mohs_tensor *x,
                               const struct mohs_tensor *like, uint32_t width)
{
    struct mohs_attr at[] = { { "from", 0 },
                              { "to", 2 },
                              { "d0", net_dim(n, like, 0) },
                              { "d1", 1 },
                              { "d2", width } };
    return net_op(n, "expand", &x, 1, at, 5);
}

static void linear_params(struct net *n, const struct linear *l,
                          struct mohs_tensor **w, struct mohs_tensor **b)
{
    char name[NET_NAME];
    float std = l->std > 0 ? l->std : 1 / sqrtf((float)l->in);
    *w = net_normal(n, part(l->name, "weight", name), std, DIMS(l->out, l->in));
    *b = NULL;
    if (!l->no_bias)
        *b = net_constant(n, part(l->name, "bias", name), 0, DIMS(l->out));
}

struct mohs_tensor *net_linear(struct net *n, struct mohs_tensor *x,
                               const struct linear *l)
{
    struct mohs_tensor *w, *b;
    linear_params(n, l, &w, &b);
    return n->g ? mohs_linear(n->api, n->g, x, w, b, l->residual, l->act)
                : NULL;
}

struct mohs_tensor *net_attention_pool(struct net *n, struct mohs_tensor *q,
                                       struct mohs_tensor *x, const char *key,
                                       const char *value, uint32_t width,
                                       uint32_t in, uint32_t heads)
{
    struct mohs_tensor *wk, *none, *wv, *bv;
    char name[NET_NAME];
    linear_params(n, &(struct linear) { .name = key, .out = width, .in = in,
                                        .no_bias = 1 }, &wk, &none);
    // it moves all scores alike, so that nothing moves it
    net_fixed(n, part(key, "bias", name), 0, DIMS(width));
    linear_params(n, &(struct linear) { .name = value, .out = width, .in = in },
                  &wv, &bv);
    struct mohs_tensor *all[] = { q, x, wk, wv, bv };
    struct mohs_attr at[] = { { "heads", heads } };
    return net_op(n, "attention_pool", all, 5, at, 1);
}

struct mohs_tensor *net_norm(struct net *n, struct mohs_tensor *x,
                             const char *name, uint32_t width, double eps)
{
    char full[NET_NAME];
    struct mohs_tensor *gain =
        net_constant(n, part(name, "weight", full), 1, DIMS(width));
    struct mohs_tensor *bias =
        net_constant(n, part(name, "bias", full), 0, DIMS(width));
    return n->g ? mohs_layer_norm(n->api, n->g, x, gain, bias, eps) : NULL;
}

struct mohs_tensor *net_patches(struct net *n, struct mohs_tensor *pixels,
                                const char *name, uint32_t width,
                                uint32_t patch, int no_bias)
{
    char full[NET_NAME];
    float std = 1 / sqrtf(3 * (float)patch * (float)patch);
    struct mohs_tensor *w = net_normal(n, part(name, "weight", full), std,
                                       DIMS(width, 3, patch, patch));
    struct mohs_tensor *b = NULL;
    if (!no_bias)
        b = net_constant(n, part(name, "bias", full), 0, DIMS(width));
    for (int axis = 2; n->g && axis < 4; axis++) {
        uint32_t size = net_dim(n, pixels, (uint32_t)axis);
        if (size % patch)
            pixels = net_slice(n, pixels, axis, 0, size - size % patch);
    }
    return n->g ? mohs_patch_embed(n->api, n->g, pixels, w, b) : NULL;
}

struct mohs_tensor *net_prepend(struct net *n, struct mohs_tensor *x,
                                struct mohs_tensor *tokens)
{
    struct mohs_attr at[] = { { "from", 0 },
                              { "to", 1 },
                              { "d0", net_dim(n, x, 0) },
                              { "d1", net_dim(n, tokens, 0) },
                              { "d2", net_dim(n, tokens, 1) } };
    struct mohs_attr axis[] = { { "axis", 1 } };
    struct mohs_tensor *in[] = { net_op(n, "expand", &tokens, 1, at, 5), x };
    return net_op(n, "concat", in, 2, axis, 1);
}

struct mohs_tensor *net_embedding(struct net *n, struct mohs_tensor *ids,
                                  const char *name, uint32_t vocab,
                                  uint32_t width)
{
    struct mohs_tensor *table = net_normal(n, name, 0.02f, DIMS(vocab, width));
    return n->g ? mohs_embedding(n->api, n->g, ids, table) : NULL;
}

/* ---- names of taps ---- */

void taps_add(struct taps *t, const char *side, const char *first,
              uint32_t layers)
{
    snprintf(t->text[t->n++], sizeof *t->text, "%s.%s", side, first);
    for (uint32_t i = 0; i < layers; i++)
        snprintf(t->text[t->n++], sizeof *t->text, "%s.block.%u", side, i);
    snprintf(t->text[t->n++], sizeof *t->text, "%s.embed", side);
    for (size_t i = 0; i < t->n; i++)
        t->name[i] = t->text[i];
}
