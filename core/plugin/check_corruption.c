/* SPDX-License-Identifier: MIT */
/* Checks of image corruptions: pure, complete, inside their buffers. */
#include "config.h"

#include "plugin/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD = 256, WIDTH = 48, HEIGHT = 40 };
static const uint64_t run_seed = 20240607;

/* ---- pictures ---- */

/* A batch whose pictures are numbers which[0..n) of one endless series. */
struct pictures {
    struct mohs_images im;
    uint64_t key[4];
};

static uint8_t pixel(uint32_t which, uint32_t x, uint32_t y, uint32_t ch,
                     uint32_t w, uint32_t h)
{
    // Ramps, an edge, a disc and grain: something for every filter to act on.
    double fx = (x + 0.5) / w, fy = (y + 0.5) / h;
    double v = 60 + 120 * (ch == 0 ? fx : ch == 1 ? fy : 1 - fx);
    double dx = fx - 0.3 - 0.1 * (which % 4), dy = fy - 0.5;
    if (dx * dx + dy * dy < 0.04)
        v = ch == which % 3 ? 250 : 10;
    if (fx > 0.75)
        v = 255 - v;
    v += 20 * (double)mohs_rng_uniform(7, which, (y * w + x) * 3 + ch) - 10;
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

static void pictures_free(struct pictures *p)
{
    free(p->im.rgb);
    free((void *)p->im.depth);
}

static struct pictures pictures_new(const struct check_run *c,
                                    const uint32_t *which, uint32_t n,
                                    uint32_t w, uint32_t h)
{
    const struct mohs_corruption_ops *ops = c->it->item->ops;
    struct pictures p = { .im = { sizeof p.im, n, h, w, NULL, NULL, NULL } };
    size_t count = (size_t)w * h;
    float *depth = NULL;
    p.im.rgb = xmalloc(n * count * 3);
    if (ops->flags & MOHS_CORRUPTION_DEPTH)
        p.im.depth = depth = xmalloc(n * count * sizeof *depth);
    for (uint32_t i = 0; i < n; i++) {
        p.key[i] = 1000 + which[i];
        for (uint32_t y = 0; y < h; y++)
            for (uint32_t x = 0; x < w; x++) {
                size_t at = i * count + (size_t)y * w + x;
                for (uint32_t ch = 0; ch < 3; ch++)
                    p.im.rgb[at * 3 + ch] = pixel(which[i], x, y, ch, w, h);
                if (depth)
                    depth[at] = 1 + 9 * (float)(h - y) / (float)h +
                                0.1f * (float)(which[i] % 5);
            }
    }
    return p;
}

/* ---- one guarded call ---- */

static mohs_status create(struct check_run *c, const void *params, void **self,
                          struct mohs_error *err)
{
    const struct mohs_corruption_ops *ops = c->it->item->ops;
    return ops->create(c->host, params, self, err);
}

static void destroy(struct check_run *c, void *self)
{
    const struct mohs_corruption_ops *ops = c->it->item->ops;
    ops->destroy(self);
    scratch_reset();
}

static bool instance_open(struct check_run *c, struct instance *in)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    mohs_status st = instance_make(c, item_params_new(c->it), create, in, &err);
    return check_status(c, "create", st, &err);
}

static void instance_close(struct check_run *c, struct instance *in)
{
    destroy(c, in->self);
    instance_free(c, in);
}

static bool guards_hold(const uint8_t *block, size_t bytes)
{
    for (size_t i = 0; i < GUARD; i++)
        if (block[i] != 0x5a || block[GUARD + bytes + i] != 0x5a)
            return false;
    return true;
}

/*
 * Calls apply() on p with every byte of the result set to `fill` before and
 * guard bytes around it. The result is malloc'ed; NULL after a failure.
 */
static uint8_t *call(struct check_run *c, void *self, struct pictures *p,
                     uint32_t severity, uint64_t seed, int fill,
                     mohs_status *status, struct mohs_error *err)
{
    const struct mohs_corruption_ops *ops = c->it->item->ops;
    size_t bytes = (size_t)p->im.n * p->im.width * p->im.height * 3;
    uint8_t *block = xmalloc(bytes + 2 * GUARD), *copy = xmalloc(bytes);
    struct mohs_images out = p->im;
    uint64_t keys[4];
    memset(block, 0x5a, bytes + 2 * GUARD);
    memset(block + GUARD, fill, bytes);
    memcpy(copy, p->im.rgb, bytes);
    memcpy(keys, p->key, sizeof keys);
    p->im.key = out.key = p->key;
    out.rgb = block + GUARD;
    err->text[0] = 0;
    *status = ops->apply(self, &p->im, &out, severity, seed, err);
    scratch_reset();
    bool ok = true;
    if (!guards_hold(block, bytes))
        ok = check_fail(c, "wrote outside its output (severity %u, %ux%u)",
                        severity, p->im.width, p->im.height);
    else if (memcmp(copy, p->im.rgb, bytes) ||
             memcmp(keys, p->key, sizeof keys))
        ok = check_fail(c, "changed its input (severity %u)", severity);
    memmove(block, block + GUARD, bytes);
    free(copy);
    if (ok && *status >= 0)
        return block;
    free(block);
    return NULL;
}

/* As call(), and the corruption has to work. */
static uint8_t *must(struct check_run *c, void *self, struct pictures *p,
                     uint32_t severity, uint64_t seed, int fill)
{
    mohs_status st;
    struct mohs_error err = MOHS_ERROR_INIT;
    uint8_t *out = call(c, self, p, severity, seed, fill, &st, &err);
    if (!out && !c->detail[0])
        check_status(c, "apply", st, &err);
    return out;
}

/* Whether two results are equal; both are freed. A missing one has its
 * detail already. */
static bool same(struct check_run *c, uint8_t *a, uint8_t *b, size_t bytes,
                 const char *what)
{
    bool ok = a && b;
    if (ok && memcmp(a, b, bytes)) {
        size_t at = 0, n = 0;
        for (size_t i = 0; i < bytes; i++)
            if (a[i] != b[i] && !n++)
                at = i;
        ok = check_fail(c, "%s: %zu of %zu bytes differ, the first at %zu",
                        what, n, bytes, at);
    }
    free(a);
    free(b);
    return ok;
}

/* ---- the checks ---- */

static bool run_params(struct check_run *c)
{
    return check_params(c, create, destroy);
}

/* Input right before a page that must not be touched, and read-only. */
static bool run_bounds(struct check_run *c)
{
    static const uint32_t one[] = { 0 };
    struct instance in;
    if (!instance_open(c, &in))
        return false;
    struct pictures p = pictures_new(c, one, 1, WIDTH, HEIGHT);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = WIDTH * HEIGHT * 3;
    size_t room = (bytes + page - 1) / page * page;
    uint8_t *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool ok = map != MAP_FAILED;
    if (ok) {
        uint8_t *own = p.im.rgb;
        memcpy(map + room - bytes, own, bytes);
        mprotect(map, room, PROT_READ);
        mprotect(map + room, page, PROT_NONE);
        p.im.rgb = map + room - bytes;
        for (uint32_t s = 1; s <= 5 && ok; s++) {
            uint8_t *out = must(c, in.self, &p, s, run_seed, 0);
            ok = out != NULL;
            free(out);
        }
        p.im.rgb = own;
        munmap(map, room + page);
    }
    pictures_free(&p);
    instance_close(c, &in);
    return ok;
}

static double mean_change(const struct pictures *p, const uint8_t *out)
{
    size_t bytes = (size_t)p->im.n * p->im.width * p->im.height * 3;
    double sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += abs((int)out[i] - (int)p->im.rgb[i]);
    return sum / (double)bytes;
}

static bool run_severities(struct check_run *c)
{
    static const uint32_t two[] = { 0, 1 };
    struct instance in;
    if (!instance_open(c, &in))
        return false;
    struct pictures p = pictures_new(c, two, 2, WIDTH, HEIGHT);
    double change[5], most = 0;
    bool ok = true;
    for (uint32_t s = 1; s <= 5 && ok; s++) {
        uint8_t *out = must(c, in.self, &p, s, run_seed, 0);
        ok = out != NULL;
        change[s - 1] = out ? mean_change(&p, out) : 0;
        most = change[s - 1] > most ? change[s - 1] : most;
        free(out);
    }
    if (ok && most == 0)
        ok = check_fail(c, "no severity changes any pixel");
    if (ok)
        check_note(c, "mean change %.1f %.1f %.1f %.1f %.1f of 255", change[0],
                   change[1], change[2], change[3], change[4]);
    pictures_free(&p);
    instance_close(c, &in);
    return ok;
}

/* Same call twice, other calls in between, a fresh instance; the bytes that
 * lay in the output before must not matter. */
static bool run_determinism(struct check_run *c)
{
    static const uint32_t two[] = { 0, 1 }, other[] = { 2, 3 };
    struct instance a, b;
    bool ok = true;
    if (!instance_open(c, &a))
        return false;
    if (!instance_open(c, &b)) {
        instance_close(c, &a);
        return false;
    }
    struct pictures p = pictures_new(c, two, 2, WIDTH, HEIGHT);
    struct pictures q = pictures_new(c, other, 2, HEIGHT, WIDTH);
    size_t bytes = 2 * WIDTH * HEIGHT * 3;
    for (uint32_t s = 1; s <= 5 && ok; s++) {
        ok = same(c, must(c, a.self, &p, s, run_seed, 0),
                  must(c, a.self, &p, s, run_seed, 255), bytes,
                  "two calls, or bytes never written");
        free(ok ? must(c, a.self, &q, 6 - s, run_seed + 1, 0) : NULL);
        ok = ok && same(c, must(c, a.self, &p, s, run_seed, 0),
                        must(c, b.self, &p, s, run_seed, 0), bytes,
                        "a used and a fresh instance");
    }
    pictures_free(&p);
    pictures_free(&q);
    instance_close(c, &a);
    instance_close(c, &b);
    return ok;
}

/* Three pictures at once, one by one, and the other way round. */
static bool run_batch(struct check_run *c)
{
    static const uint32_t all[] = { 0, 1, 2 }, back[] = { 2, 1, 0 };
    size_t bytes = WIDTH * HEIGHT * 3;
    struct instance in;
    if (!instance_open(c, &in))
        return false;
    struct pictures p = pictures_new(c, all, 3, WIDTH, HEIGHT);
    struct pictures r = pictures_new(c, back, 3, WIDTH, HEIGHT);
    bool ok = true;
    for (uint32_t s = 1; s <= 5 && ok; s += 2) {
        uint8_t *whole = must(c, in.self, &p, s, run_seed, 0);
        uint8_t *turned = must(c, in.self, &r, s, run_seed, 0);
        ok = whole && turned;
        for (uint32_t i = 0; i < 3 && ok; i++) {
            struct pictures one = pictures_new(c, &all[i], 1, WIDTH, HEIGHT);
            uint8_t *alone = must(c, in.self, &one, s, run_seed, 0);
            if (!alone)
                ok = false;
            else if (memcmp(alone, whole + i * bytes, bytes))
                ok = check_fail(c,
                                "picture %u differs in a batch of 3 and alone "
                                "(severity %u)",
                                i, s);
            else if (memcmp(alone, turned + (2 - i) * bytes, bytes))
                ok = check_fail(c,
                                "picture %u differs at another place of the "
                                "batch (severity %u)",
                                i, s);
            free(alone);
            pictures_free(&one);
        }
        free(whole);
        free(turned);
    }
    pictures_free(&p);
    pictures_free(&r);
    instance_close(c, &in);
    return ok;
}

/* What is marked stochastic depends on seed and key; the rest on neither. */
static bool run_seed_check(struct check_run *c)
{
    static const uint32_t one[] = { 0 };
    const struct mohs_corruption_ops *ops = c->it->item->ops;
    bool random = ops->flags & MOHS_CORRUPTION_STOCHASTIC, ok = true;
    size_t bytes = WIDTH * HEIGHT * 3;
    struct instance in;
    if (!instance_open(c, &in))
        return false;
    struct pictures p = pictures_new(c, one, 1, WIDTH, HEIGHT);
    bool by_seed = false, by_key = false;
    for (uint32_t s = 1; s <= 5 && ok; s++) {
        uint8_t *a = must(c, in.self, &p, s, run_seed, 0);
        uint8_t *b = must(c, in.self, &p, s, run_seed + 1, 0);
        p.key[0]++;
        uint8_t *k = must(c, in.self, &p, s, run_seed, 0);
        p.key[0]--;
        ok = a && b && k;
        by_seed |= ok && memcmp(a, b, bytes);
        by_key |= ok && memcmp(a, k, bytes);
        free(a);
        free(b);
        free(k);
    }
    if (ok && random && !by_seed)
        ok = check_fail(c, "flagged stochastic, but the seed changes nothing");
    else if (ok && random && !by_key)
        ok = check_fail(c, "items with different keys get the same draws");
    else if (ok && !random && (by_seed || by_key))
        ok = check_fail(c, "depends on the %s without the stochastic flag",
                        by_seed ? "seed" : "key");
    pictures_free(&p);
    instance_close(c, &in);
    return ok;
}

/* Any size works, or is refused with a text; from 8x8 on it works. */
static bool run_sizes(struct check_run *c)
{
    static const uint32_t one[] = { 3 };
    static const struct {
        uint32_t w, h;
    } sizes[] = { { 1, 1 }, { 1, 9 },   { 9, 1 },   { 2, 3 },   { 7, 5 },
                  { 8, 8 }, { 33, 17 }, { 17, 33 }, { 64, 64 }, { 101, 67 } };
    struct instance in;
    size_t refused = 0;
    bool ok = true;
    if (!instance_open(c, &in))
        return false;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && ok; i++) {
        struct pictures p = pictures_new(c, one, 1, sizes[i].w, sizes[i].h);
        for (uint32_t s = 1; s <= 5 && ok; s++) {
            mohs_status st;
            struct mohs_error err = MOHS_ERROR_INIT;
            char what[40];
            uint8_t *out = call(c, in.self, &p, s, run_seed, 0, &st, &err);
            snprintf(what, sizeof what, "%ux%u severity %u", sizes[i].w,
                     sizes[i].h, s);
            ok = out || (st < 0 && !c->detail[0]);
            if (ok && st < 0)
                ok = sizes[i].w < 8 || sizes[i].h < 8
                         ? check_refusal(c, what, st, &err)
                         : check_status(c, what, st, &err);
            refused += st < 0;
            free(out);
        }
        pictures_free(&p);
    }
    instance_close(c, &in);
    if (ok && refused)
        check_note(c, "%zu calls on tiny pictures refused with a text",
                   refused);
    return ok;
}

/* ---- threads ---- */

struct worker {
    struct check_run c; /* own detail */
    void *self;
    uint8_t *out[5];
};

static void *work(void *user)
{
    static const uint32_t two[] = { 0, 1 };
    struct worker *w = user;
    struct pictures p = pictures_new(&w->c, two, 2, WIDTH, HEIGHT);
    for (int round = 0; round < 4; round++)
        for (uint32_t s = 1; s <= 5; s++) {
            free(w->out[s - 1]);
            w->out[s - 1] = must(&w->c, w->self, &p, s, run_seed, round);
        }
    pictures_free(&p);
    return NULL;
}

static bool run_threads(struct check_run *c)
{
    struct worker w[3] = { { .c = *c }, { .c = *c }, { .c = *c } };
    struct instance in[3];
    pthread_t id[2];
    size_t bytes = 2 * WIDTH * HEIGHT * 3;
    bool ok = true;
    registry_compute_asked(c->registry, true);
    for (int i = 0; i < 3; i++) {
        if (!instance_open(c, &in[i])) {
            while (i-- > 0)
                instance_close(c, &in[i]);
            return false;
        }
        w[i].self = in[i].self;
    }
    work(&w[2]);
    bool device = registry_compute_asked(c->registry, false);
    if (!device) {
        for (int i = 0; i < 2; i++)
            if (pthread_create(&id[i], NULL, work, &w[i]))
                return check_fail(c, "cannot start a thread");
        for (int i = 0; i < 2; i++)
            pthread_join(id[i], NULL);
    }
    for (int i = 0; i < 2 && ok && !device; i++)
        for (int s = 0; s < 5 && ok; s++) {
            ok = w[i].out[s] && w[2].out[s];
            if (!ok)
                check_fail(c, "%s", w[i].c.detail);
            else if (memcmp(w[i].out[s], w[2].out[s], bytes))
                ok = check_fail(c,
                                "two instances in two threads disturb each "
                                "other (severity %d)",
                                s + 1);
        }
    for (int i = 0; i < 3; i++) {
        for (int s = 0; s < 5; s++)
            free(w[i].out[s]);
        instance_close(c, &in[i]);
    }
    if (ok && device)
        check_note(c, "uses the device: the host keeps it on one thread");
    return ok;
}

static bool run_depth(struct check_run *c)
{
    static const uint32_t one[] = { 0 };
    const struct mohs_corruption_ops *ops = c->it->item->ops;
    struct instance in;
    if (!(ops->flags & MOHS_CORRUPTION_DEPTH))
        return check_note(c, "needs none");
    if (!instance_open(c, &in))
        return false;
    struct pictures p = pictures_new(c, one, 1, WIDTH, HEIGHT);
    mohs_status st;
    struct mohs_error err = MOHS_ERROR_INIT;
    free((void *)p.im.depth);
    p.im.depth = NULL;
    free(call(c, in.self, &p, 3, run_seed, 0, &st, &err));
    bool ok = !c->detail[0] && check_refusal(c, "without depth", st, &err);
    if (ok && st >= 0)
        ok = check_fail(c, "flagged as needing depth, but works without");
    pictures_free(&p);
    instance_close(c, &in);
    return ok;
}

const struct check corruption_checks[] = {
    { "params", run_params },         { "bounds", run_bounds },
    { "severities", run_severities }, { "determinism", run_determinism },
    { "batch", run_batch },           { "seed", run_seed_check },
    { "sizes", run_sizes },           { "depth", run_depth },
    { "threads", run_threads },       { 0 },
};
