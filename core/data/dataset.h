/* SPDX-License-Identifier: MIT */
/* Shared by the readers of this room. */
#ifndef CORE_DATASET_H
#define CORE_DATASET_H

#include "data/data.h"

struct dataset *dataset_new(const char *name, const char *root);
/* The array v of n items in the arena, or a larger one when n has reached
 * *cap. */
void *dataset_grow(struct dataset *d, void *v, size_t n, size_t *cap, size_t size);
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

/* The index of a name among those added, or UINT32_MAX. Names are borrowed. */
struct name_table;
struct name_table *name_table_new(void);
void name_table_free(struct name_table *t);
uint32_t name_table_find(const struct name_table *t, const char *name);
uint32_t name_table_add(struct name_table *t, const char *name);

/* Labels of a table: numbers, or names, which are numbered in byte order when
 * all are known. take: a number for the meantime, of the picture's label;
 * give: turns the pictures' labels into the final ones, and names the classes
 * if labels are names. */
struct label_names;
struct label_names *label_names_new(void);
void label_names_free(struct label_names *l);
uint32_t label_names_take(struct label_names *l, const char *name);
mohs_status label_names_give(struct label_names *l, struct dataset *d, const char *file,
                             struct mohs_error *err);

/* The factors of dataset_factors() from a text; `path` in errors. */
mohs_status data_factors_parse(struct dataset *d, const char *text, size_t n,
                               const char *path, struct mohs_error *err);

#endif
