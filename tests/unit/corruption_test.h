/* SPDX-License-Identifier: MIT */
/*
 * What the tests of corruptions share: instances of plugins' items, the
 * pictures that the golden scripts draw too, and comparisons with what the
 * scripts wrote.
 */
#ifndef TESTS_CORRUPTION_TEST_H
#define TESTS_CORRUPTION_TEST_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/compute.h"
#include "plugin/registry.h"

/* plugins/corruptions/common/corruption.h */
struct reference_api {
    uint32_t size;
    mohs_status (*apply)(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err);
};

enum { SEED = 2024, KEY = 77 };

/* Every test has the plugins of the build tree here. */
extern struct registry *reg;
extern struct mohs_error err;

#define OK(expr) ck_assert_msg((expr) >= 0, "%s", err.text)

struct instance {
    const struct mohs_corruption_ops *ops;
    const struct reference_api *reference; /* NULL: the host's code is all */
    void *self;
};

/* params: "name=value,name=value" or "-"; @ is the golden ice's directory. */
struct instance instance_new(const char *id, const char *params);

/* n pictures through the kernel or the C reference; depth may be NULL. The
 * caller frees the result. */
uint8_t *run(const struct instance *in, bool reference, const uint8_t *rgb,
             const float *depth, uint32_t n, uint32_t w, uint32_t h,
             const uint64_t *key, uint32_t severity);

/* As picture() of golden/corruptions.py: waves with noise, and flat patches. */
uint8_t *picture(uint32_t w, uint32_t h);
/* As depth() of golden/corruptions_3d.py, in metres. */
float *depth_map(uint32_t w, uint32_t h);

/* How two results may differ, in bytes: at most, but for `jumps` of a
 * thousand values; and on average. */
struct difference {
    int worst;
    double mean, jumps;
};
void compare(const char *what, const uint8_t *got, const uint8_t *want,
             size_t n, struct difference may);

/* Runs golden/<name>.txt: `of` says how an item may differ from Python. */
void compare_golden(const char *name, size_t cases,
                    struct difference (*of)(const char *id, bool reference));

/* Odd sizes, kernel against reference; pictures of a few pixels may differ by
 * `worst` everywhere. */
void compare_sizes(const char *id, struct difference may);

/* A picture's result is the same in any batch. */
void compare_batches(const char *id);

/* main() of a test: 77 without a device. */
int corruption_main(const char *name, void (*add)(TCase *));

#endif
