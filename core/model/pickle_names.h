/* SPDX-License-Identifier: MIT */
/* Which Python names a checkpoint may mention. */
#ifndef CORE_PICKLE_NAMES_H
#define CORE_PICKLE_NAMES_H

#include <stdbool.h>

/* "module.name". A name that is allowed is still only a name. */
bool pickle_name_allowed(const char *name);

#endif
