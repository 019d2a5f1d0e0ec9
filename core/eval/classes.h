/* SPDX-License-Identifier: MIT */
/* Classes in place of texts; the rest of it is in encoder.h. */
#ifndef CORE_CLASSES_H
#define CORE_CLASSES_H

#include "eval/encoder.h"

/* As encoder_classes, each text on its own: a row of out does not depend on
 * the others. */
mohs_status classes_of_texts(struct encoder *e, uint32_t n,
                             const char *const *text, float *out,
                             struct mohs_error *err);

#endif
