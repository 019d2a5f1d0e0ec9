/* SPDX-License-Identifier: MIT */
/* A results file arranged for the page; shared by the files of this room. */
#ifndef CORE_REPORT_DOC_H
#define CORE_REPORT_DOC_H

#include "results/results.h"

enum {
    MAX_BLOCKS = 40,  /* shown with charts; all cells are in the last table */
    MAX_PICKS = 40,   /* values a reader can choose between */
    N_COLOURS = 8,
    NONE = -1
};

struct labels {
    const char **v;
    int n;
};

/* A cell with its coordinates: indices into lists, NONE for "without". */
struct doc_cell {
    struct result_cell c;
    int block, model, corruption, severity, attack;
    bool curve; /* holds training curves: not part of any block */
};

/*
 * Cells that can be compared: all axes but model, corruption, severity and
 * attack are equal. Axes that only corrupted or attacked cells have (their
 * parameters) belong to the name of the condition.
 */
struct block {
    const char *name;
    struct labels corruptions, severities, attacks;
    struct labels values; /* names to choose from */
    struct labels extra;  /* further values, of attacked cells mostly */
    const struct result_value *value_of[MAX_PICKS]; /* units, docs */
    int first;            /* the one shown at first */
    int *models, n_models; /* indices into doc.models */
};

struct doc {
    struct arena *arena;
    struct doc_cell *cell;
    size_t n_cells, cap_cells;
    struct result_run *run;
    size_t n_runs;
    struct labels models; /* "" when there is no such axis */
    struct labels model_axes; /* axes that say what a model is */
    struct block *block;
    int n_blocks, more_blocks;
    uint64_t artefact_bytes;
    int ids; /* for unique element ids */
    struct results *source; /* for samples; while the page is written */
    struct str out;
};

mohs_status doc_load(struct doc *d, struct results *r, struct mohs_error *err);
void doc_free(struct doc *d);
int labels_add(struct labels *l, struct arena *a, const char *s); /* index */
/* The value `name` of a condition, or NULL. */
const struct result_value *doc_value(const struct doc *d, int block, int model,
                                     int corruption, int severity, int attack,
                                     const char *name);
/* Mean over the corrupted (not attacked) cells, or over one corruption; NaN
 * when there is none. n: how many. */
double doc_mean(const struct doc *d, int block, int model, int corruption,
                const char *name, int *n);
/* The worst attack; NaN when there is none. */
double doc_worst_attack(const struct doc *d, int block, int model,
                        const struct result_value *v, int *attack);
/* How much worse x is than clean: positive is worse. */
double loss_of(const struct result_value *v, double clean, double x);

/* ---- text ---- */
void put(struct doc *d, const char *s);
MOHS_PRINTF(2, 3)
void putf(struct doc *d, const char *fmt, ...);
void put_text(struct doc *d, const char *s); /* escaped */
void put_label(struct doc *d, const char *s); /* escaped, _ as space */
/* 41.2; 3 digits for what is no percentage; a dash for NaN. */
void put_number(struct doc *d, const char *unit, double x);
void put_signed(struct doc *d, const char *unit, double x);
const char *number_text(const char *unit, double x, char buf[32]);
void put_base64(struct doc *d, const void *data, size_t n);

/* ---- parts of the page ---- */
void part_cards(struct doc *d, int block, int value);
void part_robustness(struct doc *d, int block, int value);
void part_trust(struct doc *d, int block);
void part_classes(struct doc *d, int block);
void part_tables(struct doc *d, int block);
void part_all_cells(struct doc *d);
void part_provenance(struct doc *d);
void part_gallery(struct doc *d);
void part_texts(struct doc *d);
void part_training(struct doc *d);
/* Charts; nothing is written when there is nothing to show. */
void chart_curves(struct doc *d, int block, int value);
void chart_attacks(struct doc *d, int block, int value);
void chart_frontier(struct doc *d, int block, int value);
void chart_legend(struct doc *d, const int *models, int n);
/* Lines over x: one line a series. */
struct series {
    const char *name;
    const double *x, *y;
    size_t n;
    int colour;
};
void chart_lines(struct doc *d, const char *title, const char *xlabel,
                 const struct series *s, size_t n);

#endif
