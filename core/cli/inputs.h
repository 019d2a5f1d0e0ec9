/* SPDX-License-Identifier: MIT */
/* The pictures that arguments of corrupt, attack and embed name. */
#ifndef CORE_CLI_INPUTS_H
#define CORE_CLI_INPUTS_H

#include "data/data.h"

/* A file of its own, or picture `index` of a set. */
struct input {
    char *name; /* for messages: the path, or "PATH: ID" within an archive */
    const struct dataset *set; /* NULL: the file `name` */
    size_t index;
};

struct inputs {
    struct input *v;
    size_t n;
    struct dataset **set;
    size_t n_sets;
};

/* Whether a name ends as those of pictures, archives and tables do. */
bool input_known(const char *path);
/* Adds a picture, a webdataset archive (.tar), a Parquet file, or what a
 * folder holds: its pictures in byte order, or else its tables, its archives
 * (those of its split "test" if it has splits), its class folders. A path that
 * is not there is added, and fails when it is read. texts: files of texts,
 * and a folder's .txt. */
mohs_status inputs_add(struct inputs *in, const char *path, bool texts,
                       struct mohs_error *err);
/* The path as one file, whatever it is; taken. */
void inputs_take(struct inputs *in, char *path);
/* Fails when two would write the same files; `who` in the message. */
mohs_status inputs_differ(const struct inputs *in, const char *who,
                          struct mohs_error *err);
void inputs_free(struct inputs *in);

/* How files made from it begin: the stem of the file's name; in a set the id
 * without its ending, '_' for '/'. Fresh. */
char *input_stem(const struct input *x);
/* Names its random streams: of the file's name, or as in recipes of the id. */
uint64_t input_key(const struct input *x);
/* [any thread] */
mohs_status input_read(const struct input *x, unsigned flags, struct image *out,
                       struct mohs_error *err);

#endif
