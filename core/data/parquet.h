/* SPDX-License-Identifier: MIT */
/*
 * What of Apache Parquet is needed for pictures, captions and labels: columns
 * of bytes and integers, plain or dictionary encoded, optional and in lists of
 * one level, data pages of both versions; uncompressed, snappy, gzip, brotli,
 * LZ4 (of both kinds), zstd. Pages are read one at a time. Format: apache/parquet-format 2.10.
 */
#ifndef CORE_PARQUET_H
#define CORE_PARQUET_H

#include "base/base.h"

enum parquet_type { PARQUET_INT32 = 1, PARQUET_INT64 = 2, PARQUET_BYTES = 6 };

/* A column: a leaf of the schema. */
struct parquet_leaf {
    const char *top;  /* the name it has in a row */
    const char *path; /* "image.bytes" */
    int32_t type;     /* as in the file; values only of parquet_type */
    uint32_t max_def, max_rep; /* levels */
};

/* The values of a leaf in a row group. */
struct parquet_chunk {
    int32_t codec;
    uint64_t values; /* levels: with nulls and empty lists */
    uint64_t offset, bytes;
};

struct parquet_group {
    uint64_t rows;
    struct parquet_chunk *chunk; /* one a leaf */
};

struct parquet {
    char *path;
    int fd; /* -1: bytes */
    const uint8_t *data;
    uint64_t size;
    struct parquet_leaf *leaf;
    size_t n_leaves;
    struct parquet_group *group;
    size_t n_groups;
    uint64_t rows;
    const char *huggingface; /* JSON of the datasets package, or NULL */
    struct arena *arena;
};

struct parquet_page {
    bool dictionary;
    uint64_t offset; /* of its content in the file */
    uint32_t bytes, plain_bytes; /* as stored; uncompressed */
    uint32_t values;             /* levels, or entries of a dictionary */
    int32_t encoding;
    bool v2, compressed;
    uint32_t def_bytes, rep_bytes; /* v2 */
};

struct parquet_value {
    const char *s; /* of bytes */
    int64_t x;     /* an integer, or the length of s */
};

/* A decoded page. def and rep are per level; NULL: all as high as they go,
 * all 0. value[n_values] are those with the highest def. */
struct parquet_values {
    size_t n_levels, n_values;
    uint32_t *def, *rep;
    struct parquet_value *value;
    char *bytes;
};

/* Reads the footer. */
mohs_status parquet_open(const char *path, struct parquet **out, struct mohs_error *err);
/* Of bytes that stay the caller's. */
mohs_status parquet_bytes(const void *data, size_t n, const char *name,
                          struct parquet **out, struct mohs_error *err);
void parquet_close(struct parquet *p);
/* The pages of a column in a row group, read by their headers; a dictionary
 * comes first. Free *out with free(). */
mohs_status parquet_pages(const struct parquet *p, size_t group, size_t leaf,
                          struct parquet_page **out, size_t *n, struct mohs_error *err);
/* dictionary: of the same column and group, which must outlive *out; or NULL.
 * [any thread] */
mohs_status parquet_read(const struct parquet *p, size_t group, size_t leaf,
                         const struct parquet_page *page,
                         const struct parquet_values *dictionary,
                         struct parquet_values *out, struct mohs_error *err);
void parquet_values_free(struct parquet_values *v);

/* ---- for the files of the reader ---- */

/* A cursor over Thrift's compact protocol; once bad, everything it gives is
 * empty. */
struct thrift {
    const uint8_t *at, *end;
    bool bad;
};
enum { THRIFT_TRUE = 1, THRIFT_BYTES = 8, THRIFT_LIST = 9, THRIFT_STRUCT = 12 };
/* The next field of a struct: false at its end. *id: 0 before the first. */
bool thrift_field(struct thrift *t, int32_t *id, uint8_t *type);
int64_t thrift_int(struct thrift *t, uint8_t type);
bool thrift_bool(struct thrift *t, uint8_t type);
const char *thrift_bytes(struct thrift *t, uint8_t type, size_t *n);
/* Entries of a list, at most as many as bytes are left. */
size_t thrift_list(struct thrift *t, uint8_t type, uint8_t *element);
void thrift_skip(struct thrift *t, uint8_t type);

mohs_status parquet_fetch(const struct parquet *p, uint64_t offset, size_t n, char **out,
                          struct mohs_error *err);
mohs_status parquet_unpack(const struct parquet *p, int32_t codec, const char *in, size_t n,
                           char *out, size_t n_out, struct mohs_error *err);

#endif
