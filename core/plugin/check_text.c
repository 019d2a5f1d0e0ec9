/* SPDX-License-Identifier: MIT */
/* Checks of text corruptions: one valid result per text, by seed and key. */
#include "config.h"

#include "plugin/check.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t run_seed = 20240607;

/* Ordinary captions first, then what strangers send. */
static const char *const texts[] = {
    "a photo of two dogs playing in the snow",
    "The quick brown fox jumps over the lazy dog.",
    "three red apples next to a small green cup",
    "An old man, holding an umbrella, walks past the shop",
    "",
    "x",
    " ",
    "na\xc3\xafve caf\xc3\xa9 \xe2\x80\x94 \xe4\xbd\xa0\xe5\xa5\xbd "
    "\xf0\x9f\x98\x80",
    "e\xcc\x81\xcc\xa7\xcc\x80 combining, "
    "\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7",
    "tabs\tand\nnew lines\r\n",
    "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
    "1234567890 !@#$%^&*()_+-=[]{}|;':\",./<>?",
};
enum {
    N_TEXTS = sizeof texts / sizeof *texts,
    N_PLAIN = 4,
    LONG_BYTES = 20000
};

struct sink {
    struct mohs_text_sink sink;
    const struct mohs_texts *in;
    char *text[N_TEXTS];
    uint32_t edits[N_TEXTS], puts[N_TEXTS];
    char problem[200];
};

static mohs_status put(struct mohs_text_sink *s, uint32_t index,
                       const char *text, uint32_t edits, struct mohs_error *err)
{
    struct sink *k = s->ctx;
    if (index >= k->in->n)
        snprintf(k->problem, sizeof k->problem, "put() for text %u of %u",
                 index, k->in->n);
    else if (!text)
        snprintf(k->problem, sizeof k->problem, "put() of NULL for text %u",
                 index);
    else if (k->puts[index]++)
        snprintf(k->problem, sizeof k->problem, "put() twice for text %u",
                 index);
    else if (!utf8_valid(text, strlen(text)))
        snprintf(k->problem, sizeof k->problem, "text %u became invalid UTF-8",
                 index);
    else if (!edits != !strcmp(text, k->in->text[index]))
        snprintf(k->problem, sizeof k->problem, "text %u %s, but edits is %u",
                 index, edits ? "is unchanged" : "was changed", edits);
    if (k->problem[0])
        return mohs_fail(err, MOHS_E_ARG, "%s", k->problem);
    k->text[index] = xstrdup(text);
    k->edits[index] = edits;
    return MOHS_OK;
}

static void sink_free(struct sink *k)
{
    for (size_t i = 0; i < N_TEXTS; i++)
        free(k->text[i]);
}

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

static bool open_it(struct check_run *c, struct instance *in)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    mohs_status st = instance_make(c, item_params_new(c->it), create, in, &err);
    return check_status(c, "create", st, &err);
}

static void close_it(struct check_run *c, struct instance *in)
{
    destroy(c, in->self);
    instance_free(c, in);
}

/* Corrupts n texts into *out; every index must have been put. */
static bool call(struct check_run *c, void *self, const char *const *text,
                 const uint64_t *key, uint32_t n, uint32_t severity,
                 uint64_t seed, struct sink *out)
{
    const struct mohs_corruption_ops *ops = c->it->item->ops;
    struct mohs_texts in = { sizeof in, n, text, key };
    struct mohs_error err = MOHS_ERROR_INIT;
    struct sink k = { .in = &in };
    *out = k;
    out->sink.size = sizeof out->sink;
    out->sink.ctx = out;
    out->sink.put = put;
    mohs_status st =
        ops->apply_text(self, &in, &out->sink, severity, seed, &err);
    scratch_reset();
    if (out->problem[0])
        return check_fail(c, "%s (severity %u)", out->problem, severity);
    if (!check_status(c, "apply_text", st, &err))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!out->puts[i])
            return check_fail(c, "no put() for text %u (severity %u)", i,
                              severity);
    return true;
}

static void keys_of(uint64_t *key)
{
    for (uint64_t i = 0; i < N_TEXTS; i++)
        key[i] = 5000 + i;
}

static bool equal(struct check_run *c, const struct sink *a,
                  const struct sink *b, uint32_t n, const char *what)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(a->text[i], b->text[i]))
            return check_fail(c, "%s: text %u differs", what, i);
    return true;
}

static bool run_params(struct check_run *c)
{
    return check_params(c, create, destroy);
}

static bool run_severities(struct check_run *c)
{
    struct instance in;
    uint64_t key[N_TEXTS];
    uint32_t edits[5] = { 0 }, sum = 0;
    bool ok = true;
    keys_of(key);
    if (!open_it(c, &in))
        return false;
    for (uint32_t s = 1; s <= 5 && ok; s++) {
        struct sink k;
        ok = call(c, in.self, texts, key, N_TEXTS, s, run_seed, &k);
        for (uint32_t i = 0; ok && i < N_PLAIN; i++)
            edits[s - 1] += k.edits[i];
        sum += edits[s - 1];
        sink_free(&k);
    }
    close_it(c, &in);
    if (ok && !sum)
        return check_fail(c, "no severity changes any of %d captions", N_PLAIN);
    return ok && check_note(c, "edits in %d captions: %u %u %u %u %u", N_PLAIN,
                            edits[0], edits[1], edits[2], edits[3], edits[4]);
}

static bool run_determinism(struct check_run *c)
{
    struct instance in, other;
    uint64_t key[N_TEXTS];
    bool ok = true;
    keys_of(key);
    if (!open_it(c, &in))
        return false;
    if (!open_it(c, &other)) {
        close_it(c, &in);
        return false;
    }
    for (uint32_t s = 1; s <= 5 && ok; s++) {
        struct sink a = { 0 }, b = { 0 };
        ok = call(c, in.self, texts, key, N_TEXTS, s, run_seed, &a) &&
             call(c, other.self, texts, key, N_TEXTS, s, run_seed, &b) &&
             equal(c, &a, &b, N_TEXTS, "two instances");
        sink_free(&b);
        b = (struct sink) { 0 };
        ok = ok && call(c, in.self, texts, key, N_TEXTS, s, run_seed, &b) &&
             equal(c, &a, &b, N_TEXTS, "two calls");
        sink_free(&a);
        sink_free(&b);
    }
    close_it(c, &in);
    close_it(c, &other);
    return ok;
}

static bool run_batch(struct check_run *c)
{
    struct instance in;
    uint64_t key[N_TEXTS];
    bool ok = true;
    keys_of(key);
    if (!open_it(c, &in))
        return false;
    for (uint32_t s = 1; s <= 5 && ok; s += 2) {
        struct sink all;
        ok = call(c, in.self, texts, key, N_TEXTS, s, run_seed, &all);
        for (uint32_t i = 0; i < N_TEXTS && ok; i++) {
            struct sink one;
            ok = call(c, in.self, &texts[i], &key[i], 1, s, run_seed, &one);
            if (ok && strcmp(one.text[0], all.text[i]))
                ok = check_fail(c,
                                "text %u differs in a batch and alone "
                                "(severity %u)",
                                i, s);
            sink_free(&one);
        }
        sink_free(&all);
    }
    close_it(c, &in);
    return ok;
}

static bool run_seed_check(struct check_run *c)
{
    const struct mohs_corruption_ops *ops = c->it->item->ops;
    bool random = ops->flags & MOHS_CORRUPTION_STOCHASTIC, ok = true;
    bool by_seed = false, by_key = false;
    struct instance in;
    uint64_t key[N_TEXTS], keys[N_TEXTS];
    keys_of(key);
    keys_of(keys);
    for (size_t i = 0; i < N_TEXTS; i++)
        keys[i] += 100;
    if (!open_it(c, &in))
        return false;
    for (uint32_t s = 1; s <= 5 && ok; s++) {
        struct sink a = { 0 }, b = { 0 }, k = { 0 };
        ok = call(c, in.self, texts, key, N_PLAIN, s, run_seed, &a) &&
             call(c, in.self, texts, key, N_PLAIN, s, run_seed + 1, &b) &&
             call(c, in.self, texts, keys, N_PLAIN, s, run_seed, &k);
        for (size_t i = 0; i < N_PLAIN && ok; i++) {
            by_seed |= strcmp(a.text[i], b.text[i]) != 0;
            by_key |= strcmp(a.text[i], k.text[i]) != 0;
        }
        sink_free(&a);
        sink_free(&b);
        sink_free(&k);
    }
    close_it(c, &in);
    if (ok && random && (!by_seed || !by_key))
        return check_fail(c, "flagged stochastic, but the %s changes nothing",
                          by_seed ? "key" : "seed");
    if (ok && !random && (by_seed || by_key))
        return check_fail(c, "depends on the %s without the stochastic flag",
                          by_seed ? "seed" : "key");
    return ok;
}

/* A text far longer than any caption. */
static bool run_long(struct check_run *c)
{
    struct instance in;
    uint64_t key = 77;
    char *text = xmalloc(LONG_BYTES + 1);
    const char *list[] = { text };
    for (size_t i = 0; i < LONG_BYTES; i++)
        text[i] = i % 7 == 6 ? ' ' : (char)('a' + i % 23);
    text[LONG_BYTES] = 0;
    bool ok = open_it(c, &in);
    if (ok) {
        for (uint32_t s = 1; s <= 5 && ok; s++) {
            struct sink k;
            ok = call(c, in.self, list, &key, 1, s, run_seed, &k);
            sink_free(&k);
        }
        close_it(c, &in);
    }
    free(text);
    return ok;
}

const struct check text_checks[] = {
    { "params", run_params },
    { "severities", run_severities },
    { "determinism", run_determinism },
    { "batch", run_batch },
    { "seed", run_seed_check },
    { "long", run_long },
    { 0 },
};
