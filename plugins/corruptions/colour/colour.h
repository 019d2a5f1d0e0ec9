/* SPDX-License-Identifier: MIT */
/* Constants and references of contrast, brightness and saturation. */
#ifndef CORRUPTIONS_COLOUR_H
#define CORRUPTIONS_COLOUR_H

#include "../common/corruption.h"

struct saturation {
    double scale, offset;
};

double contrast_factor(const struct job *j);
double brightness_offset(const struct job *j);
struct saturation saturate_constants(const struct job *j);

void contrast_reference(struct job *j, uint32_t n, uint8_t *out);
void brightness_reference(struct job *j, uint32_t n, uint8_t *out);
void saturate_reference(struct job *j, uint32_t n, uint8_t *out);

#endif
