/* SPDX-License-Identifier: MIT */
/* A small two-tower transformer for tests: every op of a CLIP model, sizes
 * that are no round numbers. */
#ifndef TESTS_GRAPH_MODEL_H
#define TESTS_GRAPH_MODEL_H

#include "graph/graph.h"

enum { GM_SIZE = 12, GM_PATCH = 4, GM_WIDTH = 36, GM_HEADS = 3, GM_MLP = 70,
       GM_EMBED = 20, GM_BLOCKS = 2, GM_WORDS = 31, GM_TOKENS = 7,
       GM_PIXELS = 3 * GM_SIZE * GM_SIZE };

/* Random parameters of both towers. */
struct params *gm_params(struct compute *c);
/* Towers: normalised embeddings [n, GM_EMBED]. Taps: image.patch,
 * image.block.<i>, image.embed, text.token, text.block.<i>, text.embed. */
struct tensor *gm_image(struct graph *g, struct tensor *pixels);
struct tensor *gm_text(struct graph *g, struct tensor *tokens,
                       struct tensor *last);
/* Both towers on fresh inputs "pixels", "tokens", "last" of n samples and the
 * contrastive loss. */
struct gm {
    struct graph *g;
    struct tensor *pixels, *tokens, *last, *image, *text, *loss;
};
struct gm gm_new(struct compute *c, struct params *p, uint32_t n);
/* The loss of gm's towers; call once. */
struct tensor *gm_loss(struct gm *m);
/* Writes sample contents that depend on the sample index alone. */
void gm_write(struct gm *m);
/* gm_new, its loss, and the gradients by "patch", "cls", "words", "image.pos",
 * "scale", the pixels and tap text.block.0, all marked as outputs. */
enum { GM_WRT = 7 };
struct gm gm_training(struct compute *c, struct params *p, uint32_t n,
                      struct tensor *grad[GM_WRT]);
/* All values of an output; free() it. */
float *gm_read(struct tensor *t);
/* True when there is no OpenCL device and none is required: skip. */
bool gm_no_device(void);
/* Aborts the test with the error's text when st is a failure. */
void gm_ok(mohs_status st, const struct mohs_error *e);

#endif
