/* SPDX-License-Identifier: MIT */
#ifndef CORE_CLI_CORRUPT_H
#define CORE_CLI_CORRUPT_H

#include "plugin/registry.h"

/* Corrupts the file `from`, one UTF-8 text a line, to the file `to`, line for
 * line; `self` is an instance of the text corruption `it`. Line i, from 0, has
 * key i. Errors name the file and the line. */
mohs_status corrupt_texts(const char *from, const char *to,
                          const struct item *it, void *self, uint32_t severity,
                          uint64_t seed, struct mohs_error *err);

#endif
