/* SPDX-License-Identifier: MIT */
/* One offline HTML file from a results file: tables, SVG curves, thumbnails. */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include "base/base.h"

/* Reads `results`, writes `out` atomically. title NULL: from the recipe. */
mohs_status report_write(const char *results, const char *out, const char *title,
                         struct mohs_error *err);

#endif
