/* SPDX-License-Identifier: MIT */
/*
 * Prompts of four kinds: templates (Radford et al. 2021), sentences (CuPL,
 * Pratt et al. 2023), descriptors (DCLIP, Menon & Vondrick 2023) and random
 * descriptors (WaffleCLIP, Roth et al. 2023).
 */
#include "config.h"

#include "data/prompts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "data/class_list.h"

enum { MOST_FILE = 256 << 20, MOST_RANDOM = 1000, MOST_FILLED = 1 << 24,
       TEXT_SHOWN = 16 << 10 };

enum kind { TEMPLATES, OF_DATA, SENTENCES, DESCRIPTORS, RANDOM };

struct prompts {
    struct arena *arena;
    enum kind kind;
    enum prompt_merge merge;
    const char *name, *text;
    const char **template; /* and words of RANDOM */
    size_t n_templates;
    struct class_notes *notes;
    const char *notes_path;
    struct class_list classes; /* n 0: those of the data set */
    const char *classes_path;
    uint32_t random;
    uint64_t seed;
};

static const char *const merge_names[] = { "embed", "mean", "max" };

/* ---- opening ---- */

static bool has_place(const char *template)
{
    return strstr(template, "{}") || strstr(template, "{c}");
}

static mohs_status take_templates(struct prompts *p, const char *const *v, size_t n,
                                  const char *what, const uint32_t *line,
                                  struct mohs_error *err)
{
    p->template = arena_alloc(p->arena, (n + 1) * sizeof *p->template);
    for (size_t i = 0; i < n; i++) {
        if (line && *v[i] == '#')
            continue;
        if (!has_place(v[i]))
            return mohs_fail(err, MOHS_E_FORMAT,
                             "%s:%zu: '%.60s' has no {} or {c} for the class name",
                             what, line ? line[i] : i + 1, v[i]);
        p->template[p->n_templates++] = arena_strdup(p->arena, v[i]);
    }
    if (!p->n_templates)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no templates in it", what);
    return MOHS_OK;
}

static mohs_status open_lines(struct prompts *p, const char *path, bool templates,
                              struct mohs_error *err)
{
    struct text_lines l;
    RET_IF_ERR(text_lines_read(path, p->arena, &l, err));
    if (templates)
        return take_templates(p, l.line, l.n, path, l.number, err);
    p->template = arena_alloc(p->arena, (l.n + 1) * sizeof *p->template);
    for (size_t i = 0; i < l.n; i++)
        if (*l.line[i] != '#')
            p->template[p->n_templates++] = l.line[i];
    if (!p->n_templates)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no words in it", path);
    return MOHS_OK;
}

static mohs_status open_notes(struct prompts *p, const char *path,
                              struct mohs_error *err)
{
    char *text, hex[33];
    size_t n;
    RET_IF_ERR(file_read(path, MOST_FILE, &text, &n, err));
    mohs_status st = class_notes_parse(text, n, path, &p->notes, err);
    hash_hex(hash_bytes(text, n), hex);
    free(text);
    p->notes_path = arena_strdup(p->arena, path);
    p->text = arena_printf(p->arena, "%s %s, %s",
                           p->kind == SENTENCES ? "sentences" : "descriptors", path, hex);
    return st;
}

static void show_templates(struct prompts *p)
{
    struct str s = { 0 };
    for (size_t i = 0; i < p->n_templates && s.n < TEXT_SHOWN; i++)
        str_addf(&s, "%s%s", i ? "\n" : "", p->template[i]);
    if (s.n >= TEXT_SHOWN)
        str_addf(&s, "\n... %zu in all", p->n_templates);
    p->text = arena_strdup(p->arena, s.s);
    str_free(&s);
}

static mohs_status open_source(struct prompts *p, const struct prompt_source *s,
                               struct mohs_error *err)
{
    if (p->kind == TEMPLATES) {
        RET_IF_ERR(s->file ? open_lines(p, s->file, true, err)
                           : take_templates(p, s->templates, s->n_templates,
                                            "templates", NULL, err));
        show_templates(p);
    } else if (p->kind == RANDOM) {
        if (!s->words)
            return mohs_fail(err, MOHS_E_ARG, "prompts: random descriptors need a "
                             "file of words");
        RET_IF_ERR(open_lines(p, s->words, false, err));
        p->random = s->random;
        p->seed = s->seed;
        p->text = arena_printf(p->arena, "%u pairs of a word of %s and characters, "
                               "seed %llu", s->random, s->words,
                               (unsigned long long)s->seed);
    } else if (p->kind != OF_DATA) {
        RET_IF_ERR(open_notes(p, p->kind == SENTENCES ? s->sentences : s->descriptors,
                              err));
    }
    return MOHS_OK;
}

static mohs_status find_kind(struct prompts *p, const struct prompt_source *s,
                             struct mohs_error *err)
{
    const bool given[] = { s->n_templates || s->file, s->of_data,
                           s->sentences != NULL, s->descriptors != NULL, s->random > 0 };
    int n = (s->n_templates && s->file) ? 1 : 0;
    for (int k = TEMPLATES; k <= RANDOM; k++) {
        n += given[k];
        p->kind = given[k] ? (enum kind)k : p->kind;
    }
    if (n != 1)
        return mohs_fail(err, MOHS_E_ARG, "prompts: %s of templates, file, sentences, "
                         "descriptors and random is needed", n ? "only one" : "one");
    if (s->random > MOST_RANDOM)
        return mohs_fail(err, MOHS_E_ARG, "prompts: random is %u, above %d", s->random,
                         MOST_RANDOM);
    if (s->words && p->kind != RANDOM)
        return mohs_fail(err, MOHS_E_ARG, "prompts: words without random");
    p->merge = p->kind == DESCRIPTORS || p->kind == RANDOM ? PROMPT_MEAN : PROMPT_EMBED;
    for (int k = PROMPT_EMBED; s->merge && k <= PROMPT_MAX + 1; k++) {
        if (k > PROMPT_MAX)
            return mohs_fail(err, MOHS_E_ARG, "prompts: merge is '%s', not embed, mean "
                             "or max", s->merge);
        if (strcmp(s->merge, merge_names[k]))
            continue;
        p->merge = (enum prompt_merge)k;
        break;
    }
    return MOHS_OK;
}

/* "name", "ensemble", "random 15 seed 3", ... */
static const char *own_name(struct prompts *p, const struct prompt_source *s)
{
    const char *path = s->file ? s->file : s->sentences ? s->sentences : s->descriptors;
    char *stem = path ? path_stem(path) : NULL;
    const char *name;
    if (stem)
        name = arena_strdup(p->arena, stem);
    else if (p->kind == OF_DATA)
        name = "templates of the data";
    else if (p->kind == RANDOM)
        name = arena_printf(p->arena, "random %u, seed %llu", p->random,
                            (unsigned long long)p->seed);
    else if (p->n_templates == 1)
        name = p->template[0];
    else
        name = arena_printf(p->arena, "%zu templates, \"%s\" ...", p->n_templates,
                            p->template[0]);
    free(stem);
    return name;
}

mohs_status prompts_open(const struct prompt_source *s, struct prompts **out,
                         struct mohs_error *err)
{
    struct prompts *p = xcalloc(1, sizeof *p);
    mohs_status st;
    p->arena = arena_new();
    p->text = "";
    OUT_IF_ERR(find_kind(p, s, err));
    OUT_IF_ERR(open_source(p, s, err));
    if (s->classes) {
        OUT_IF_ERR(class_list_read(s->classes, &p->classes, err));
        p->classes_path = arena_strdup(p->arena, s->classes);
    }
    p->name = s->name ? arena_strdup(p->arena, s->name) : own_name(p, s);
    *out = p;
    return MOHS_OK;
out:
    prompts_free(p);
    return st;
}

void prompts_free(struct prompts *p)
{
    if (!p)
        return;
    class_notes_free(p->notes);
    class_list_free(&p->classes);
    arena_free(p->arena);
    free(p);
}

const char *prompts_name(const struct prompts *p)
{
    return p->name;
}

enum prompt_merge prompts_merge(const struct prompts *p)
{
    return p->merge;
}

const char *prompts_merge_name(const struct prompts *p)
{
    return merge_names[p->merge];
}

const char *prompts_text(const struct prompts *p)
{
    return p->text;
}

/* ---- filling ---- */

struct filling {
    const struct prompts *p;
    const struct dataset *d;
    struct class_texts *out;
    size_t cap;
};

static mohs_status add_text(struct filling *f, const char *text, struct mohs_error *err)
{
    struct class_texts *c = f->out;
    if (c->n_texts == MOST_FILLED)
        return mohs_fail(err, MOHS_E_ARG, "prompts %s: more than %d texts", f->p->name,
                         MOST_FILLED);
    if (c->n_texts == f->cap)
        c->text = xrealloc(c->text, (f->cap = f->cap ? 2 * f->cap : 1024) *
                                        sizeof *c->text);
    c->text[c->n_texts++] = text;
    return MOHS_OK;
}

/* The template with `name` at each {} and {c}; in the arena. */
static const char *fill_template(struct arena *a, const char *template,
                                 const char *name)
{
    struct str s = { 0 };
    str_add(&s, "");
    for (const char *t = template; *t;) {
        size_t n = !strncmp(t, "{}", 2) ? 2 : !strncmp(t, "{c}", 3) ? 3 : 0;
        if (n)
            str_add(&s, name);
        else
            str_addn(&s, t, 1);
        t += n ? n : 1;
    }
    const char *text = arena_strdup(a, s.s);
    str_free(&s);
    return text;
}

static bool begins(const char *s, const char *with)
{
    return !strncmp(s, with, strlen(with));
}

/* DCLIP's sentence. Its rule for "is" asks for the letter a, not the article;
 * as published it stays. */
static const char *descriptor_text(struct arena *a, const char *name, const char *d)
{
    const char *verb = "has ";
    if (begins(d, "a") || begins(d, "used"))
        verb = "is ";
    else if (begins(d, "has") || begins(d, "often") || begins(d, "typically") ||
             begins(d, "may") || begins(d, "can"))
        verb = "";
    return arena_printf(a, "A photo of a %s, which %s%s.", name, verb, d);
}

static mohs_status fill_notes(struct filling *f, size_t i, struct mohs_error *err)
{
    const struct prompts *p = f->p;
    struct arena *a = f->out->arena;
    const char *plain = f->p->classes.n ? p->classes.name[i] : f->d->classes[i];
    const char *keys[3] = { plain, f->out->name[i],
                            f->d->class_ids && !p->classes.n ? f->d->class_ids[i] : plain };
    size_t n;
    const char *const *text = class_notes_find(p->notes, keys, 3, &n);
    if (!text)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no class '%s'", p->notes_path, plain);
    if (!n && p->kind == SENTENCES)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: class '%s' has no sentences",
                         p->notes_path, plain);
    // nothing known to tell it by: the plain prompt
    if (!n)
        return add_text(f, arena_printf(a, "A photo of a %s.", f->out->name[i]), err);
    for (size_t k = 0; k < n; k++)
        RET_IF_ERR(add_text(f, p->kind == SENTENCES
                                   ? arena_strdup(a, text[k])
                                   : descriptor_text(a, f->out->name[i], text[k]), err));
    return MOHS_OK;
}

static mohs_status fill_templates(struct filling *f, size_t i, struct mohs_error *err)
{
    bool own = f->p->kind == OF_DATA;
    const char **t = own ? f->d->templates : f->p->template;
    size_t n = own ? f->d->n_templates : f->p->n_templates;
    if (!n)
        return mohs_fail(err, MOHS_E_ARG, "%s: no templates came with it", f->d->name);
    for (size_t k = 0; k < n; k++) {
        if (own && !has_place(t[k]))
            return mohs_fail(err, MOHS_E_FORMAT, "%s: template '%.60s' has no {} or {c} "
                             "for the class name", f->d->name, t[k]);
        RET_IF_ERR(add_text(f, fill_template(f->out->arena, t[k], f->out->name[i]), err));
    }
    return MOHS_OK;
}

/* ---- random descriptors ---- */

/* What WaffleCLIP takes from the class names, to make noise of their form. */
struct form {
    uint32_t words, word_length;         /* of a random word */
    uint32_t groups, characters_a_group; /* of random characters */
};

static struct form form_of(const struct class_texts *c)
{
    double words = 0, letters = 0, longest = 0;
    for (size_t i = 0; i < c->n_classes; i++) {
        size_t n = 1, most = 0, all = 0, run = 0;
        for (const char *s = c->name[i]; *s; s++) {
            // characters, not bytes
            bool blank = *s == ' ', first = ((unsigned char)*s & 0xC0) != 0x80;
            n += blank;
            run = blank ? 0 : run + first;
            all += !blank && first;
            most = run > most ? run : most;
        }
        words += (double)n;
        letters += (double)all / (double)n;
        longest += (double)most;
    }
    double n = (double)c->n_classes;
    struct form f;
    f.words = (uint32_t)fmax(nearbyint(words / n), 1);
    f.word_length = (uint32_t)fmax(nearbyint(letters / n), 1);
    f.groups = (uint32_t)nearbyint((words - n) / n) + 1;
    uint32_t characters = (uint32_t)ceil(longest / n);
    characters += f.groups - characters % f.groups; // as published
    f.characters_a_group = characters / f.groups;
    return f;
}

/* The first n characters of UTF-8 text s. */
static void add_start(struct str *b, const char *s, uint32_t n)
{
    const char *e = s;
    while (*e && (n || ((unsigned char)*e & 0xC0) == 0x80)) {
        n -= ((unsigned char)*e & 0xC0) != 0x80;
        e++;
    }
    str_addn(b, s, (size_t)(e - s));
}

/* Descriptor k: even ones of words, odd ones of characters. */
static char *random_descriptor(const struct prompts *p, const struct form *f, uint32_t k)
{
    struct str s = { 0 };
    uint64_t draw = 0;
    str_add(&s, "");
    if (k % 2 == 0) {
        for (uint32_t i = 0; i < f->words; i++) {
            uint32_t at = mohs_rng_below(p->seed, k, draw++, (uint32_t)p->n_templates);
            str_add(&s, i ? " " : "");
            add_start(&s, p->template[at], f->word_length);
        }
        return s.s;
    }
    for (uint32_t g = 0; g < f->groups; g++) {
        str_add(&s, g ? ", " : "");
        for (uint32_t i = 0; i < f->characters_a_group; i++) {
            char c = (char)('a' + mohs_rng_below(p->seed, k, draw++, 26));
            str_addn(&s, &c, 1);
        }
    }
    return s.s;
}

static mohs_status fill_random(struct filling *f, char **descriptor, size_t i,
                               struct mohs_error *err)
{
    for (uint32_t k = 0; k < 2 * f->p->random; k++)
        RET_IF_ERR(add_text(f, descriptor_text(f->out->arena, f->out->name[i],
                                               descriptor[k]), err));
    return MOHS_OK;
}

/* ---- all classes ---- */

static mohs_status name_classes(struct filling *f, struct mohs_error *err)
{
    const struct prompts *p = f->p;
    struct class_texts *c = f->out;
    c->n_classes = p->classes.n ? p->classes.n : f->d->n_classes;
    if (!c->n_classes)
        return mohs_fail(err, MOHS_E_ARG, "%s: prompts need classes, and it has none",
                         f->d->name);
    if (p->classes.n && f->d->n_classes && p->classes.n != f->d->n_classes)
        return mohs_fail(err, MOHS_E_ARG, "%s: %zu class names for the %zu classes of %s",
                         p->classes_path, p->classes.n, f->d->n_classes, f->d->name);
    const char **from = p->classes.n ? p->classes.name : f->d->classes;
    c->name = arena_alloc(c->arena, c->n_classes * sizeof *c->name);
    c->first = arena_alloc(c->arena, (c->n_classes + 1) * sizeof *c->first);
    for (size_t i = 0; i < c->n_classes; i++) {
        char *s = arena_strdup(c->arena, from[i]);
        for (char *t = s; *t; t++)
            *t = *t == '_' ? ' ' : *t;
        c->name[i] = s;
    }
    return MOHS_OK;
}

static void hash_texts(struct class_texts *c, enum prompt_merge merge)
{
    struct hasher *h = hasher_new();
    hasher_str(h, "prompts/1");
    hasher_u64(h, merge);
    hasher_u64(h, c->n_classes);
    for (size_t i = 0; i < c->n_classes; i++) {
        hasher_u64(h, c->first[i + 1] - c->first[i]);
        for (uint32_t k = c->first[i]; k < c->first[i + 1]; k++)
            hasher_str(h, c->text[k]);
    }
    c->hash = hasher_end(h);
}

mohs_status prompts_fill(const struct prompts *p, const struct dataset *d,
                         struct class_texts *out, struct mohs_error *err)
{
    struct filling f = { p, d, out, 0 };
    char **descriptor = NULL;
    *out = (struct class_texts) { .arena = arena_new() };
    mohs_status st = name_classes(&f, err);
    if (st >= 0 && p->kind == RANDOM) {
        struct form form = form_of(out);
        descriptor = xcalloc(2 * (size_t)p->random + 1, sizeof *descriptor);
        for (uint32_t k = 0; k < 2 * p->random; k++)
            descriptor[k] = random_descriptor(p, &form, k);
    }
    for (size_t i = 0; st >= 0 && i < out->n_classes; i++) {
        st = p->kind == RANDOM ? fill_random(&f, descriptor, i, err)
             : p->notes        ? fill_notes(&f, i, err)
                               : fill_templates(&f, i, err);
        out->first[i + 1] = (uint32_t)out->n_texts;
    }
    strv_free(descriptor);
    if (st < 0) {
        class_texts_free(out);
        return st;
    }
    hash_texts(out, p->merge);
    return MOHS_OK;
}

void class_texts_free(struct class_texts *c)
{
    free(c->text);
    arena_free(c->arena);
    memset(c, 0, sizeof *c);
}
