/* SPDX-License-Identifier: MIT */
/* Shared by the readers of this room. */
#ifndef CORE_DATASET_H
#define CORE_DATASET_H

#include "data/data.h"

struct dataset *dataset_new(const char *name, const char *root);
/* Fills d->hash from ids, texts, owners and labels. */
void dataset_hash(struct dataset *d);
/* A relative path without "..": safe to join to a root. */
bool data_safe_name(const char *s);

#endif
