/* SPDX-License-Identifier: MIT */
/* The named character references of HTML. */
#ifndef CORE_HTML_ENTITIES_H
#define CORE_HTML_ENTITIES_H

#include <stddef.h>

enum { HTML_ENTITIES = 2231 };

/* Each is a name ("amp;", and "amp" where that is allowed), a NUL, and its
 * characters in UTF-8; sorted by name. */
extern const char *const html_entities[HTML_ENTITIES];
/* The characters of name[0..n), or NULL. (clean.c) */
const char *html_entity(const char *name, size_t n);

#endif
