/* SPDX-License-Identifier: MIT */
/* Shared by the readers of this room. */
#ifndef CORE_DATASET_H
#define CORE_DATASET_H

#include "data/data.h"

struct dataset *dataset_new(const char *name, const char *root);
/* Appends a picture of the file `path`, relative to d->root (NULL: none); the
 * rest is left for the caller to fill. Borrowed until the next one. */
struct data_image *dataset_add_image(struct dataset *d, const char *id,
                                     const char *path);
/* Appends a text of picture `image`, its k-th from 0. */
struct data_text *dataset_add_text(struct dataset *d, const char *text,
                                   uint32_t image, uint32_t k);
/* Fills d->hash from ids, texts, owners and labels. */
void dataset_hash(struct dataset *d);
/* A relative path without "..": safe to join to a root. */
bool data_safe_name(const char *s);

#endif
