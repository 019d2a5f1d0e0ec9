/* SPDX-License-Identifier: MIT */
/*
 * A tiny model and data set for tests of training: 24 pictures of 16 px with
 * two captions each, made from formulas that golden/train.py has too, in a
 * directory that tiny_remove() clears.
 */
#ifndef TESTS_TRAIN_TINY_H
#define TESTS_TRAIN_TINY_H

#include "train/train.h"

enum { TINY_SIZE = 16, TINY_IMAGES = 24, TINY_CAPTIONS = 2, TINY_BATCH = 8,
       TINY_VOCAB = 514, TINY_CONTEXT = 12 };

struct tiny {
    char dir[200];
    struct dataset *data;
    char *tokenizer, *config;
    struct registry *registry;
    struct train_options o; /* clean, 5 steps, no schedule but warm-up 2 */
};

/* Ends the test (Check) on failure. The registry is opened by tiny_open: it
 * leads to the device, so only in the process that trains. */
void tiny_make(struct tiny *t);
void tiny_open(struct tiny *t);
void tiny_remove(struct tiny *t);
/* A path in the directory; lives until tiny_remove. */
const char *tiny_path(struct tiny *t, const char *name);
/* Writes a checkpoint with the weights of golden/train.py as init.safetensors
 * (all of describe()'s, float32) and returns its path. */
const char *tiny_init(struct tiny *t, bool sigmoid);
/* The same for any model of a configuration. */
const char *tiny_init_of(struct tiny *t, const char *model, const char *config);
/* Uniform in (-1, 1) from stream (seed, name). */
float tiny_number(uint64_t seed, const char *name, uint64_t i);
/* Trains t->o to out=NAME; fails the test with the error's text. */
struct train_result tiny_train(struct tiny *t, const char *name);
/* Bytes of a file of the directory. */
char *tiny_bytes(struct tiny *t, const char *name, size_t *n);

/* Exit status for "no OpenCL device": 77, or failure when one is required;
 * 0 to go on. */
int tiny_need_device(void);

#endif
