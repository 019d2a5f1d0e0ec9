/* SPDX-License-Identifier: MIT */
/*
 * "mohs.weights/1": a checkpoint as a model plugin sees it: tensors by name
 * and the configuration (config.json, or the file's own metadata).
 */
#ifndef MOHS_EXT_WEIGHTS_H
#define MOHS_EXT_WEIGHTS_H

#include <mohs/error.h>

#define MOHS_EXT_WEIGHTS "mohs.weights/1"

struct mohs_weights;
struct mohs_weight_spec; /* mohs/model.h */

struct mohs_weights_api {
    uint32_t size;
    /* Number of dims and dims[0..5) of tensor `name`; -1 if there is none. */
    int32_t (*shape)(const struct mohs_weights *w, const char *name,
                     uint32_t dims[5]);
    /* Copies all elements as float32; `count` must be the tensor's. */
    mohs_status (*read)(const struct mohs_weights *w, const char *name,
                        float *out, uint64_t count, struct mohs_error *err);
    /* Configuration values by dotted path ("vision_config.hidden_size").
     * Return 1 when found with the right type (true and false are numbers),
     * 0 when absent or null, -1 when the type is wrong. Strings are borrowed
     * for the life of the weights. */
    int32_t (*config_number)(const struct mohs_weights *w, const char *path,
                             double *out);
    int32_t (*config_string)(const struct mohs_weights *w, const char *path,
                             const char **out);
    /* Tensor names in file order; NULL past the end. */
    const char *(*name)(const struct mohs_weights *w, uint32_t index);
    const char *(*path)(const struct mohs_weights *w); /* for messages */
    /* Whether the parameter is there, where its spec says and in its shape:
     * MOHS_OK, or MOHS_E_FORMAT with a text that names both shapes. What a
     * create() asks for every parameter that it describes. */
    mohs_status (*fits)(const struct mohs_weights *w,
                        const struct mohs_weight_spec *spec,
                        struct mohs_error *err);
    /* Its values as float32: product of spec->dims of them. */
    mohs_status (*read_param)(const struct mohs_weights *w,
                              const struct mohs_weight_spec *spec, float *out,
                              struct mohs_error *err);
};

#endif
