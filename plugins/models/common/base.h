/* SPDX-License-Identifier: MIT */
/*
 * What models made of a walk (net.h) have in common: the operations of a
 * plugin that follow from the walk. A model's struct begins with a struct
 * base.
 */
#ifndef MODELS_BASE_H
#define MODELS_BASE_H

#include "common/net.h"

struct base {
    net_walk walk;
    const struct rename *map; /* NULL: names are the plugin's own */
    net_walk file; /* what a file holds, if more than `walk` lists; or NULL */
    struct taps taps;
    struct config labels; /* of a classifier's classes */
    struct mohs_model_info info;
};

/*
 * create(): allocates `bytes` for the model, has `read` fill it (with
 * c->map, base.map and base.file set by it; errors go into c), then names the
 * taps of the image tower's `*blocks` and of a text tower's `*text_blocks`
 * (0: it has none) and checks every parameter; a tensor whose name begins
 * with one of `whole` must have its place.
 */
struct base_plan {
    const char *id;
    size_t bytes;
    net_walk walk;
    void (*read)(struct config *c, void *model, uint32_t *blocks,
                 uint32_t *text_blocks);
    const char *const *whole;
};
mohs_status base_create(const struct base_plan *p, const struct mohs_host *host,
                        const struct mohs_weights *w, void **self,
                        struct mohs_error *err);

/* The info of a classifier of the tensor `bias`, or of the configuration's
 * classes. */
void base_classifier(struct config *c, struct base *m, const char *bias);
/* For info.preprocessor, of ImageNet's mean and deviation: in timm's words, a
 * shorter edge of size / pct and its centre; and by transformers' processors. */
#define PREPROCESS_TIMM(pct, filter)                                        \
    "{\"crop_mode\": \"center\", \"crop_pct\": " pct ", "                   \
    "\"interpolation\": \"" filter "\", \"mean\": [0.485, 0.456, 0.406], " \
    "\"std\": [0.229, 0.224, 0.225]}"
#define PREPROCESS_HF(type)                              \
    "{\"image_processor_type\": \"" type "\", "          \
    "\"image_mean\": [0.485, 0.456, 0.406], "            \
    "\"image_std\": [0.229, 0.224, 0.225]}"

/* An error when timm's "architecture" has `part` in it: a network whose tensors
 * have the same names and which computes something else, `why`. */
void base_refuse(struct config *c, const char *part, const char *why);
/* The size of the pictures: keys of transformers and timm, else `def`. */
void base_image_size(struct config *c, struct base *m, uint32_t def);

void base_destroy(void *self);
const struct mohs_model_info *base_info(void *self);
mohs_status base_describe(void *self,
                          mohs_status (*put)(void *user,
                                             const struct mohs_weight_spec *,
                                             struct mohs_error *),
                          void *user, struct mohs_error *err);
mohs_status base_build(void *self, const struct mohs_graph_api *api,
                       struct mohs_graph *g, uint32_t tower,
                       const struct mohs_tower_inputs *in,
                       struct mohs_tensor **out, struct mohs_error *err);
const void *base_extension(void *self, const char *id);

#define BASE_OPS(probe_, create_)                                      \
    { .size = sizeof(struct mohs_model_ops), .probe = probe_,          \
      .create = create_, .destroy = base_destroy, .info = base_info,   \
      .describe = base_describe, .build = base_build,                  \
      .get_extension = base_extension }

#endif
