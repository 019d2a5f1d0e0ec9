/* SPDX-License-Identifier: MIT */
/*
 * What a Python pickle describes, as plain values. Nothing is executed: a
 * class or function is a name, calling one makes a record of the name and
 * its arguments, and names that no checkpoint needs are refused.
 */
#ifndef CORE_PICKLE_H
#define CORE_PICKLE_H

#include "base/base.h"

enum pickle_kind { PICKLE_NONE, PICKLE_BOOL, PICKLE_INT, PICKLE_FLOAT,
                   PICKLE_STRING, PICKLE_TUPLE, PICKLE_LIST, PICKLE_DICT,
                   PICKLE_NAME, PICKLE_OBJECT, PICKLE_PERSISTENT };

struct pickle_value {
    enum pickle_kind kind;
    int64_t i; /* bool and int; ints of more than 64 bits are clipped */
    double f;
    char *s; /* string, bytes (may hold zeros), or "module.name" */
    size_t n; /* bytes of s, or number of items */
    size_t cap;
    struct pickle_value **v; /* items; of a dict: key, value, key, value */
    /* object: what was called with which arguments, and the state that it
     * was given; persistent: the id in `args` */
    struct pickle_value *what, *args, *state;
};

struct pickle;
/* Values refer to one another in any way, cycles too: walk with a bound.
 * `name` is for messages. */
mohs_status pickle_open(const uint8_t *data, size_t n, const char *name,
                        struct pickle **out, struct mohs_error *err);
const struct pickle_value *pickle_root(const struct pickle *p);
void pickle_close(struct pickle *p);

/* The value of a string key, the last when there are several; or NULL. */
const struct pickle_value *pickle_get(const struct pickle_value *dict,
                                      const char *key);
/* True when v is the name "module.name". */
bool pickle_is(const struct pickle_value *v, const char *name);

#endif
