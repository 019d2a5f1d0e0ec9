/* SPDX-License-Identifier: MIT */
/*
 * Prompts: the texts that stand for a class in zero-shot classification, and
 * how their embeddings make its score.
 */
#ifndef CORE_PROMPTS_H
#define CORE_PROMPTS_H

#include "data/data.h"

enum prompt_merge {
    PROMPT_EMBED, /* the mean of unit embeddings, made a unit again (CLIP's
                     ensembles, CuPL) */
    PROMPT_MEAN,  /* the mean of similarities (DCLIP, WaffleCLIP) */
    PROMPT_MAX    /* the largest of similarities */
};

/* Where texts come from; exactly one source. Strings are copied. */
struct prompt_source {
    const char *name; /* as results call it; NULL: from the source */
    const char *const *templates; /* n_templates texts with {} or {c} for the
                                     class name */
    size_t n_templates;
    const char *file;        /* templates, one a line; # begins a comment */
    bool of_data;            /* the templates that came with the data set */
    const char *sentences;   /* JSON {class: [sentence, ...]} (CuPL) */
    const char *descriptors; /* JSON {class: [descriptor, ...]} (DCLIP): "A
                                photo of a {c}, which is/has {descriptor}." */
    uint32_t random;         /* so many pairs of a random word and random
                                characters as descriptors of every class
                                (WaffleCLIP: 15); 0: no such source */
    const char *words;       /* file of words, one a line, for `random` */
    uint64_t seed;           /* of `random` */
    const char *classes;     /* file of class names instead of the data set's;
                                see class_list.h */
    const char *merge;       /* "embed", "mean", "max"; NULL: embed for templates
                                and sentences, mean for the others */
};

struct prompts;
/* Reads and checks the files. */
mohs_status prompts_open(const struct prompt_source *s, struct prompts **out,
                         struct mohs_error *err);
void prompts_free(struct prompts *p);
const char *prompts_name(const struct prompts *p);
enum prompt_merge prompts_merge(const struct prompts *p);
/* "embed", "mean", "max". */
const char *prompts_merge_name(const struct prompts *p);
/* What they were made from, to keep beside results: templates one a line, or
 * a file's name and hash. */
const char *prompts_text(const struct prompts *p);

/* The texts of the classes of a data set: class i has text[first[i]] ..
 * text[first[i+1]-1], at least one. Names with _ read as with blanks. */
struct class_texts {
    size_t n_classes, n_texts;
    uint32_t *first; /* n_classes + 1 */
    const char **text;
    const char **name; /* n_classes */
    struct hash128 hash; /* of merge and texts, class by class */
    struct arena *arena;
};
/* Fails when the set has no classes, or a class has no texts in the file. */
mohs_status prompts_fill(const struct prompts *p, const struct dataset *d,
                         struct class_texts *out, struct mohs_error *err);
void class_texts_free(struct class_texts *c);

/* For fuzzing: {class: [text, ...]} as a JSON text; `path` in errors. */
struct class_notes;
mohs_status class_notes_parse(const char *text, size_t n, const char *path,
                              struct class_notes **out, struct mohs_error *err);
void class_notes_free(struct class_notes *c);
/* The texts of the first class in `names` that is there; NULL: none. */
const char *const *class_notes_find(const struct class_notes *c,
                                    const char *const *names, size_t n_names,
                                    size_t *n);

#endif
