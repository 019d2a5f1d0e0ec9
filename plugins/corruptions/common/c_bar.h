/* SPDX-License-Identifier: MIT */
/*
 * The ten corruptions of ImageNet-C-bar (Mintun, Kirillov and Xie, "On
 * Interaction Between Augmentations and Corruptions in Natural Corruption
 * Robustness", NeurIPS 2021), after the authors' script. The script knows
 * squares of 224 and 32 pixels; here a length is measured by the shorter side
 * and a place by either side, which is the same for squares. Profile cifar
 * has the severities of CIFAR-10-C-bar where that has the corruption; all
 * other profiles those of ImageNet-C-bar.
 */
#ifndef CORRUPTIONS_C_BAR_H
#define CORRUPTIONS_C_BAR_H

#include "corruption.h"

/* The script's severity, 0..10, as a part of 1. cifar may be NULL. */
static inline double c_bar_level(const struct job *j, const double imagenet[5],
                                 const double cifar[5])
{
    return (cifar && j->profile == CIFAR ? cifar : imagenet)[j->level] / 10;
}

static inline double c_bar_side(const struct job *j)
{
    return j->width < j->height ? j->width : j->height;
}

#endif
