/* SPDX-License-Identifier: MIT */
/*
 * "mohs.classifier/1", an extension of models with the flag
 * MOHS_MODEL_CLASSIFIER: what the outputs are called. Such a model has an
 * image tower whose result [n, embed_dim] are logits, one a class.
 */
#ifndef MOHS_EXT_CLASSIFIER_H
#define MOHS_EXT_CLASSIFIER_H

#include <mohs/error.h>

#define MOHS_EXT_CLASSIFIER "mohs.classifier/1"

struct mohs_classifier {
    uint32_t size;
    /* The name of output `index` as the checkpoint has it, synonyms separated
     * by ", " ("tench, Tinca tinca"); NULL when it says nothing. Borrowed
     * until destroy(). [any thread] */
    const char *(*class_name)(void *self, uint32_t index);
};

#endif
