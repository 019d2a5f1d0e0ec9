/* SPDX-License-Identifier: MIT */
/* Vectors that a work-item takes one after the other. */
#define STRIP 32
