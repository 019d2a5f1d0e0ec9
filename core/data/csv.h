/* SPDX-License-Identifier: MIT */
/* Separated values as a stream of rows: RFC 4180, with any separator. */
#ifndef CORE_CSV_H
#define CORE_CSV_H

#include "base/base.h"

struct csv;
/* separator: one ASCII character. quotes: whether '"' at the beginning of a
 * field quotes it; one within a field is a character. */
mohs_status csv_open(const char *path, char separator, bool quotes, struct csv **out,
                     struct mohs_error *err);
/* Of bytes that stay the caller's; `name` is for messages and borrowed. */
struct csv *csv_bytes(const char *data, size_t n, char separator, bool quotes,
                      const char *name);
void csv_close(struct csv *c);
/* The fields of the next row, borrowed until the next call: 1, or 0 at the
 * end. Empty lines are passed over. UTF-8 without NUL; errors say FILE:LINE. */
int32_t csv_next(struct csv *c, const char *const **field, size_t *n,
                 struct mohs_error *err);
uint64_t csv_line(const struct csv *c); /* where that row began, from 1 */

#endif
