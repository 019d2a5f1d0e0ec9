/* SPDX-License-Identifier: MIT */
/* One offline HTML file from a results file: tables, SVG curves, thumbnails. */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include "base/base.h"
#include "results/compare.h"

/* Reads `results`, writes `out` atomically. title NULL: from the recipe. */
mohs_status report_write(const char *results, const char *out, const char *title,
                         struct mohs_error *err);

/* The summary rows of a comparison with control `against` as an SVG file. */
mohs_status report_forest(const struct compare_row *row, size_t n, const char *against,
                          const char *out, struct mohs_error *err);

#endif
