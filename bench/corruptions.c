/* SPDX-License-Identifier: MIT */
/*
 * Corruptions for bench/corruptions.py. Reads requests from stdin:
 *
 *     id params severity width height n seed key how repeat
 *
 * and n pictures of raw RGB; how is "kernel" or "reference", params is
 * "name=value,name=value" or "-", picture i has key + i. Answers "ok SECONDS",
 * the shortest of `repeat` calls, and the pictures; or "error TEXT".
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugin/registry.h"

typedef mohs_status apply_fn(void *self, const struct mohs_images *in,
                             struct mohs_images *out, uint32_t severity,
                             uint64_t seed, struct mohs_error *err);

struct request {
    char id[64], params[1024], how[16];
    uint32_t severity, width, height, n;
    unsigned long long seed, key;
    int repeat;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static mohs_status params_fill(const struct item *it, void *p, const char *text,
                               struct mohs_error *err)
{
    char name[64], value[1024];
    int n;
    for (; sscanf(text, "%63[^=]=%1023[^,]%n", name, value, &n) == 2;
         text += text[n] ? n + 1 : n)
        RET_IF_ERR(item_param_set_text(it, p, name, value, err));
    return MOHS_OK;
}

/* The "mohs.reference/1" table of plugins/corruptions/common/corruption.h. */
static apply_fn *chosen(const struct mohs_corruption_ops *ops, void *self,
                        const char *how)
{
    struct table {
        uint32_t size;
        apply_fn *apply;
    };
    const struct table *t = ops->get_extension(self, "mohs.reference/1");
    return strcmp(how, "reference") ? ops->apply : t->apply;
}

static mohs_status answer(struct registry *reg, const struct request *r,
                          uint8_t *rgb, uint8_t *out, double *best,
                          struct mohs_error *err)
{
    const struct item *it;
    void *self = NULL;
    uint64_t *key = xmalloc(r->n * sizeof *key);
    for (uint32_t i = 0; i < r->n; i++)
        key[i] = r->key + i;
    struct mohs_images from = { sizeof from, r->n, r->height, r->width,
                                rgb,         key,  NULL };
    struct mohs_images to = from;
    to.rgb = out;
    mohs_status st = registry_find(reg, MOHS_KIND_CORRUPTION, r->id, &it, err);
    void *params = st < 0 ? NULL : item_params_new(it);
    const struct mohs_corruption_ops *ops = st < 0 ? NULL : it->item->ops;
    if (st >= 0)
        st = params_fill(it, params, r->params, err);
    if (st >= 0)
        st = ops->create(registry_host(reg), params, &self, err);
    *best = 1e9;
    for (int k = 0; k < r->repeat && st >= 0; k++) {
        double t = now();
        st = chosen(ops, self, r->how)(self, &from, &to, r->severity, r->seed,
                                       err);
        t = now() - t;
        *best = t < *best ? t : *best;
        scratch_reset();
    }
    if (self)
        ops->destroy(self);
    if (params)
        item_params_free(it, params);
    free(key);
    return st;
}

int main(void)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct registry_options o = { 0 };
    struct registry *reg;
    struct request r;
    if (registry_open(&o, &reg, &err) < 0) {
        printf("error %s\n", err.text);
        return 1;
    }
    while (scanf(" %63s %1023s %u %u %u %u %llu %llu %15s %d", r.id, r.params,
                 &r.severity, &r.width, &r.height, &r.n, &r.seed, &r.key, r.how,
                 &r.repeat) == 10 &&
           getchar() == '\n') {
        size_t bytes = (size_t)r.n * r.width * r.height * 3;
        uint8_t *rgb = xmalloc(bytes), *out = xmalloc(bytes);
        double best;
        bool ok = fread(rgb, 1, bytes, stdin) == bytes;
        if (ok && answer(reg, &r, rgb, out, &best, &err) >= 0) {
            printf("ok %.9f\n", best);
            fwrite(out, 1, bytes, stdout);
        } else {
            printf("error %s\n", ok ? err.text : "pictures cut short");
        }
        fflush(stdout);
        free(rgb);
        free(out);
    }
    registry_close(reg);
    return 0;
}
