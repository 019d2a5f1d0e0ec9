/* SPDX-License-Identifier: MIT */
/* Corruptions: images or texts in, the same number and shape out. */
#ifndef MOHS_CORRUPTION_H
#define MOHS_CORRUPTION_H

#include <mohs/error.h>
#include <mohs/host.h>

/* A batch of equally sized RGB images in host memory. */
struct mohs_images {
    uint32_t size;
    uint32_t n, height, width; /* each >= 1 */
    uint8_t *rgb;              /* n * height * width * 3, 0..255, row-major */
    const uint64_t *key;       /* n stable item keys: the random streams */
    const float *depth;        /* NULL, or n * height * width, metres or any
                                  unit, larger is farther, finite, > 0 */
};

/* A batch of UTF-8 texts. */
struct mohs_texts {
    uint32_t size;
    uint32_t n;
    const char *const *text; /* n NUL-terminated strings, valid UTF-8 */
    const uint64_t *key;     /* n stable item keys */
};

/* Where apply_text() puts its results: exactly one call per index. */
struct mohs_text_sink {
    uint32_t size;
    void *ctx;
    /* Copies `text`; `edits` is how many edits made it (0: unchanged). */
    mohs_status (*put)(struct mohs_text_sink *sink, uint32_t index,
                       const char *text, uint32_t edits, struct mohs_error *err);
};

enum {
    MOHS_CORRUPTION_STOCHASTIC = 1u, /* uses the seed */
    MOHS_CORRUPTION_DEPTH = 2u,      /* needs mohs_images.depth */
    MOHS_CORRUPTION_TEXT = 4u        /* implements apply_text, not apply */
};

/*
 * apply() and apply_text() are pure: the result for an item depends only on
 * (that item, severity, seed, its key, the parameters), never on the rest of
 * the batch, earlier calls, threads or the clock.
 */
struct mohs_corruption_ops {
    uint32_t size;
    uint32_t flags;
    /* *params is the item's parameter struct, checked and filled; copy what
     * is kept. [main] */
    mohs_status (*create)(const struct mohs_host *host, const void *params,
                          void **self, struct mohs_error *err);
    void (*destroy)(void *self); /* self may be NULL [main] */
    /* Reads in->rgb, writes out->rgb (same shape, never aliasing).
     * severity is 1..5. Random draws: stream (seed, in->key[i]) of rng.h.
     * [one thread per self] */
    mohs_status (*apply)(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err);
    mohs_status (*apply_text)(void *self, const struct mohs_texts *in,
                              struct mohs_text_sink *out, uint32_t severity,
                              uint64_t seed, struct mohs_error *err);
    /* Optional powers of the item itself; may be NULL. [any thread] */
    const void *(*get_extension)(void *self, const char *id);
};

#endif
