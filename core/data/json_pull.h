/* SPDX-License-Identifier: MIT */
/*
 * JSON read as a stream of tokens, for files too large for a tree. RFC 8259
 * strictly, UTF-8, no NUL in texts; the memory taken does not depend on the
 * size of the file.
 */
#ifndef CORE_JSON_PULL_H
#define CORE_JSON_PULL_H

#include "base/base.h"

enum json_token {
    PULL_END, /* after the one value of the file */
    PULL_OBJECT,
    PULL_OBJECT_END,
    PULL_LIST,
    PULL_LIST_END,
    PULL_KEY,
    PULL_TEXT,
    PULL_NUMBER,
    PULL_TRUE,
    PULL_FALSE,
    PULL_NULL,
};

struct json_pull;
mohs_status json_pull_open(const char *path, struct json_pull **out,
                           struct mohs_error *err);
/* Of bytes that stay the caller's; `name` is for messages and borrowed. */
struct json_pull *json_pull_bytes(const char *data, size_t n, const char *name);
void json_pull_close(struct json_pull *p);

/* The next token, or a negative status. Errors say FILE:LINE. */
int32_t json_pull_next(struct json_pull *p, struct mohs_error *err);
/* Of the last key, text or number: NUL-terminated, until the next token. */
const char *json_pull_text(const struct json_pull *p);
/* Passes over what the token just read began: a list or object to its end. */
mohs_status json_pull_skip(struct json_pull *p, int32_t token,
                           struct mohs_error *err);
/* The next key of the object that is being read: 1, or 0 at its end. */
int32_t json_pull_key(struct json_pull *p, struct mohs_error *err);
const char *json_pull_name(const struct json_pull *p);
uint64_t json_pull_line(const struct json_pull *p);

/* A value for readers that keep single ones; lists and objects are passed
 * over. {0} is a missing one. */
struct json_value {
    bool there;
    enum json_token token;
    struct str text; /* of texts and numbers */
};
mohs_status json_pull_value(struct json_pull *p, struct json_value *v,
                            struct mohs_error *err);
/* The fields name[n] (NULL: none) of the object that is being read, to its
 * end; of two equal keys the last counts. */
mohs_status json_pull_fields(struct json_pull *p, size_t n, const char *const *name,
                             struct json_value *v, struct mohs_error *err);
void json_value_free(struct json_value *v);
/* Makes it a missing one; keeps its memory. */
void json_value_clear(struct json_value *v);
bool json_value_integer(const struct json_value *v, int64_t *out);
const char *json_value_text(const struct json_value *v); /* NULL: not a text */
/* "WHERE is VALUE, not WANT"; where is printed. MOHS_E_FORMAT. */
MOHS_PRINTF(4, 5)
mohs_status json_value_refuse(const struct json_value *v, struct mohs_error *err,
                              const char *want, const char *where, ...);

#endif
