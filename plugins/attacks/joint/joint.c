/* SPDX-License-Identifier: MIT */
/*
 * Attacks on images and their captions together. separate: each side against
 * its own clean embedding. co_attack (Zhang, Yi and Sang, "Towards adversarial
 * attack on vision-language pre-training models", ACM MM 2022): the texts
 * first, then the image away from its clean self and from its attacked text.
 * sga (Lu et al., "Set-level guidance attack", ICCV 2023): texts away from the
 * image, the image at several scales away from all its attacked captions, the
 * texts again away from the attacked image. The texts are edited as
 * text_edits.h has it, where the authors ask BERT for words.
 */
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>
#include <mohs/util.h>

#include "../common/item.h"
#include "../common/resume.h"
#include "../common/text_edits.h"
#include "picture.h"

struct params {
    float eps, alpha, text_weight, noise;
    int32_t steps, unit, max_edits, top_k, senses, positions, text_loss;
    const char *dict, *alphabet, *scales;
};

enum { FROM_TEXT = 0, FROM_IMAGE }; /* text_loss */

enum { STAGES = 5 };

struct course;
typedef mohs_status stage_fn(struct course *c, struct mohs_error *err);

struct joint {
    const char *id;
    stage_fn *stage[STAGES]; /* in this order; NULLs at the end */
    struct params p;
    struct edits edits;
    struct scales scales;
    double alpha; /* when p.alpha is 0, in units of eps / steps */
    int one_sided;
};

static void destroy(void *self)
{
    struct joint *j = self;
    if (j)
        edits_close(&j->edits);
    free(j);
}

static mohs_status create(const struct joint *kind, const void *params, void **self,
                          struct mohs_error *err)
{
    const struct params *p = params;
    struct joint *j = malloc(sizeof *j);
    if (!j)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", kind->id);
    *j = *kind;
    j->p = *p;
    j->edits = (struct edits) { .unit = p->unit,
                                .most = (uint32_t)p->max_edits,
                                .top_k = (uint32_t)p->top_k,
                                .positions = (uint32_t)p->positions,
                                .senses = (uint32_t)p->senses };
    mohs_status st = edits_open(&j->edits, j->id, p->dict, p->alphabet, err);
    if (st >= 0 && p->scales)
        st = scales_read(p->scales, j->id, &j->scales, err);
    if (st >= 0 && p->unit == UNIT_TOKENS && p->text_loss == FROM_TEXT)
        st = mohs_fail(err, MOHS_E_ARG, "%s: text_loss text is flat at the clean text, its "
                       "gradient ranks no flips; unit tokens needs text_loss image", j->id);
    if (st < 0) {
        destroy(j);
        return st;
    }
    *self = j;
    return MOHS_OK;
}

/* ---- a run ---- */

/* One stage after another; what they leave is kept, so that a killed run goes on
 * at the stage it was in. */
struct course {
    const struct joint *j;
    struct mohs_victim *images;
    const struct mohs_victim_pair *pair;
    uint64_t seed;
    uint32_t stage;     /* those done */
    float *texts, *own; /* embeddings of the captions, and of the images */
    struct mohs_site pixels;
    struct text_rows rows; /* the captions */
    int keep;
    struct resume resume;
};

static size_t row_bytes(const struct course *c)
{
    return c->images->dim * sizeof(float);
}

/* Captions take the texts that a killed run gave them. */
static mohs_status take_texts(struct course *c, struct mohs_error *err)
{
    struct mohs_victim *v = c->pair->texts;
    const struct mohs_victim_text *t = v->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    mohs_status st = MOHS_OK;
    for (uint32_t i = 0; st >= 0 && i < v->n; i++) {
        const char *s = text_rows_get(&c->rows, i);
        if (s)
            st = t->set(v, i, s, err);
    }
    return st;
}

static mohs_status enter(struct course *c, struct mohs_error *err)
{
    struct resume *r = &c->resume;
    struct mohs_victim *v = c->pair->texts;
    const struct mohs_victim_text *t = NULL;
    size_t pixels = (size_t)c->pixels.tokens * c->pixels.width;
    resume_init(r, c->images);
    if (!r->api)
        return MOHS_OK;
    if (MOHS_HAS(struct mohs_victim, v, get_extension))
        t = v->get_extension(v, MOHS_EXT_VICTIM_TEXT);
    if (!t || !text_rows_make(&c->rows, t, v->n, c->j->edits.most))
        return mohs_fail(err, t ? MOHS_E_NOMEM : MOHS_E_UNSUPPORTED, "%s: no %s for %u texts",
                         c->j->id, t ? "memory" : "edits", v->n);
    resume_part(r, &c->stage, sizeof c->stage);
    resume_part(r, c->texts, v->n * row_bytes(c));
    resume_part(r, c->own, c->images->n * row_bytes(c));
    resume_part(r, c->rows.row, v->n * c->rows.width);
    resume_rows(r, c->pixels.delta, pixels * sizeof(float));
    int32_t st = resume_enter(r, c->j->id, err);
    c->keep = 1;
    return st == 1 ? take_texts(c, err) : st < 0 ? st : MOHS_OK;
}

static mohs_status course_open(struct course *c, struct mohs_error *err)
{
    size_t texts = c->pair->texts->n * row_bytes(c), own = c->images->n * row_bytes(c);
    c->pixels.size = sizeof c->pixels;
    mohs_status st = c->images->site(c->images, "pixels", &c->pixels, err);
    if (st < 0)
        return st;
    c->texts = calloc(texts + 1, 1);
    c->own = calloc(own + 1, 1);
    if (!c->texts || !c->own)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u embeddings", c->j->id,
                         c->pair->texts->n);
    memcpy(c->own, c->images->clean_embed, own);
    return enter(c, err);
}

static void course_close(struct course *c)
{
    resume_leave(&c->resume);
    text_rows_free(&c->rows);
    free(c->texts);
    free(c->own);
}

static mohs_status course_run(struct course *c, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    while (st >= 0 && c->stage < STAGES && c->j->stage[c->stage]) {
        st = c->j->stage[c->stage](c, err);
        c->stage++;
        if (st >= 0 && c->keep)
            st = resume_point(&c->resume, 0, NULL, err);
    }
    return st;
}

/* ---- stages ---- */

/* The captions away from rows, one each. */
static mohs_status edit_texts(struct course *c, int kind, const float *rows,
                              struct mohs_error *err)
{
    struct pull pull = { { { kind, 1, rows, NULL } }, 1 };
    struct aim aim = { MOHS_OUT_EMBED, pull_on_outputs, &pull };
    mohs_status st = edits_run(&c->j->edits, c->j->id, c->pair->texts, &aim, c->keep,
                               c->keep ? &c->rows : NULL, err);
    c->keep &= !c->rows.lost;
    return st;
}

/* The captions away from their images' rows. */
static mohs_status edit_away(struct course *c, const float *rows, struct mohs_error *err)
{
    uint32_t dim = c->images->dim;
    float *own = malloc(c->pair->texts->n * row_bytes(c) + 1);
    if (!own)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u embeddings", c->j->id,
                         c->pair->texts->n);
    for (uint32_t i = 0; i < c->images->n; i++)
        for (uint32_t t = c->pair->first[i]; t < c->pair->first[i + 1]; t++)
            memcpy(own + (size_t)t * dim, rows + (size_t)i * dim, row_bytes(c));
    mohs_status st = edit_texts(c, PULL_COSINE, own, err);
    free(own);
    return st;
}

static mohs_status edit_first(struct course *c, struct mohs_error *err)
{
    if (c->j->p.text_loss == FROM_IMAGE)
        return edit_away(c, c->images->clean_embed, err);
    return edit_texts(c, PULL_KL, c->pair->texts->clean_embed, err);
}

static mohs_status edit_again(struct course *c, struct mohs_error *err)
{
    return edit_away(c, c->own, err);
}

static mohs_status embed_captions(struct course *c, struct mohs_error *err)
{
    return embed_all(c->pair->texts, c->texts, err);
}

static mohs_status embed_images(struct course *c, struct mohs_error *err)
{
    return embed_all(c->images, c->own, err);
}

static mohs_status climb(struct course *c, const struct pull *pull, struct mohs_error *err)
{
    const struct joint *j = c->j;
    struct picture_climb k = {
        .what = j->id,
        .v = c->images,
        .pull = *pull,
        .eps = j->p.eps,
        .alpha = j->p.alpha > 0 ? j->p.alpha : j->alpha * j->p.eps / j->p.steps,
        .steps = (uint32_t)j->p.steps,
        .one_sided = j->one_sided,
        .scales = j->scales,
        .noise = j->p.noise,
        .seed = c->seed,
        .keep = c->keep,
    };
    return picture_climb(&k, err);
}

static mohs_status climb_from_self(struct course *c, struct mohs_error *err)
{
    struct pull pull = { { { PULL_KL, 1, c->images->clean_embed, NULL } }, 1 };
    return climb(c, &pull, err);
}

/* Of several captions the first one guides the image: the authors attack pairs
 * of one image and one text. */
static mohs_status climb_from_both(struct course *c, struct mohs_error *err)
{
    uint32_t dim = c->images->dim;
    for (uint32_t i = 0; i < c->images->n; i++)
        memcpy(c->own + (size_t)i * dim, c->texts + (size_t)c->pair->first[i] * dim,
               row_bytes(c));
    struct pull pull = { { { PULL_KL, 1, c->images->clean_embed, NULL },
                           { PULL_KL, c->j->p.text_weight, c->own, NULL } }, 2 };
    return climb(c, &pull, err);
}

static mohs_status climb_from_captions(struct course *c, struct mohs_error *err)
{
    struct pull pull = { { { PULL_COSINE, 1, c->texts, c->pair->first } }, 1 };
    return climb(c, &pull, err);
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    struct course c = { .j = self, .images = victim, .seed = seed };
    if (MOHS_HAS(struct mohs_victim, victim, get_extension))
        c.pair = victim->get_extension(victim, MOHS_EXT_VICTIM_PAIR);
    if (!c.pair)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: needs images with their captions",
                         c.j->id);
    mohs_status st = course_open(&c, err);
    if (st >= 0)
        st = course_run(&c, err);
    course_close(&c);
    return st;
}

/* ---- items ---- */

static mohs_status create_separate(const struct mohs_host *host, const void *params,
                                   void **self, struct mohs_error *err)
{
    (void)host;
    return create(&(struct joint) { .id = "separate", .alpha = 1.25, .one_sided = 1,
                                    .stage = { edit_first, climb_from_self } },
                  params, self, err);
}

static mohs_status create_co_attack(const struct mohs_host *host, const void *params,
                                    void **self, struct mohs_error *err)
{
    (void)host;
    return create(&(struct joint) { .id = "co_attack", .alpha = 1.25, .one_sided = 1,
                                    .stage = { edit_first, embed_captions,
                                               climb_from_both } },
                  params, self, err);
}

static mohs_status create_sga(const struct mohs_host *host, const void *params, void **self,
                              struct mohs_error *err)
{
    struct params p = *(const struct params *)params;
    (void)host;
    p.text_loss = FROM_IMAGE;
    return create(&(struct joint) { .id = "sga", .alpha = 2.5,
                                    .stage = { edit_first, embed_captions,
                                               climb_from_captions, embed_images,
                                               edit_again } },
                  &p, self, err);
}

enum { FLAGS = MOHS_ATTACK_GRADIENT | MOHS_ATTACK_STOCHASTIC | MOHS_ATTACK_PAIR };
ATTACK_OPS(co_attack, FLAGS, create_co_attack, destroy, run);
ATTACK_OPS(separate, FLAGS, create_separate, destroy, run);
ATTACK_OPS(sga, FLAGS, create_sga, destroy, run);

static const char *const units[] = UNIT_CHOICES;
static const char *const text_losses[] = { "text", "image", NULL };
#define AT(f) offsetof(struct params, f)
#define IMAGE_PARAMS(alpha_text) \
    { "eps", "radius of the Linf ball, pixels in 0..1", MOHS_P_FLOAT, AT(eps), 2.0 / 255, 0, \
      1000, NULL, NULL }, \
    { "alpha", "step, pixels in 0..1; 0: " alpha_text " eps / steps", MOHS_P_FLOAT, \
      AT(alpha), 0, 0, 1000, NULL, NULL }, \
    { "steps", "gradient steps", MOHS_P_INT, AT(steps), 10, 1, 100000, NULL, NULL }
#define TEXT_PARAMS \
    { "unit", "what is edited in texts: words: WordNet's synonyms for them; tokens: flips " \
      "by gradient; chars: single characters", MOHS_P_CHOICE, AT(unit), UNIT_WORDS, 0, \
      UNIT_CHARS, units, NULL }, \
    { "max_edits", "most edits of a text, in units; 0: leaves all texts as they are", \
      MOHS_P_INT, AT(max_edits), 1, 0, 1000, NULL, NULL }, \
    { "top_k", "words, tokens: candidates tried at once", MOHS_P_INT, AT(top_k), 10, 1, \
      1000, NULL, NULL }, \
    { "senses", "words: how many meanings count, most frequent first", MOHS_P_INT, \
      AT(senses), 3, 1, 100, NULL, NULL }, \
    { "positions", "chars: places where all edits are tried", MOHS_P_INT, AT(positions), \
      10, 1, 1000, NULL, NULL }, \
    { "dict", "words: where the candidates come from, a directory of WordNet's files", \
      MOHS_P_PATHS, AT(dict), 0, 0, 0, NULL, "/usr/share/wordnet" }, \
    { "alphabet", "chars: characters that are put in", MOHS_P_STRING, AT(alphabet), 0, 0, \
      0, NULL, ALPHABET }
#define TEXT_LOSS \
    { "text_loss", "what texts go away from: text: their own clean embedding (KL); image: " \
      "the clean image's (cosine)", MOHS_P_CHOICE, AT(text_loss), FROM_TEXT, 0, FROM_IMAGE, \
      text_losses, NULL }

static const struct mohs_param separate_params[] = {
    IMAGE_PARAMS("1.25"), TEXT_PARAMS, TEXT_LOSS,
};
static const struct mohs_param co_attack_params[] = {
    IMAGE_PARAMS("1.25"), TEXT_PARAMS, TEXT_LOSS,
    { "text_weight", "of the attacked text beside the clean image", MOHS_P_FLOAT,
      AT(text_weight), 3, 0, 1000, NULL, NULL },
};
static const struct mohs_param sga_params[] = {
    IMAGE_PARAMS("2.5"), TEXT_PARAMS,
    { "scales", "further sizes at which the image is seen, of its own size", MOHS_P_STRING,
      AT(scales), 0, 0, 0, NULL, "0.5,0.75,1.25,1.5" },
    { "noise", "standard deviation of what is added before, pixels in 0..1", MOHS_P_FLOAT,
      AT(noise), 0.05, 0, 10, NULL, NULL },
};

ATTACK_ITEM(co_attack, "image and captions: the image away from itself and its attacked text");
ATTACK_ITEM(separate, "image and captions, each on its own");
ATTACK_ITEM(sga, "image and captions as sets: all captions, several scales, texts twice");
ATTACK_PLUGIN("mohs.joint", "Joint attacks", &co_attack_item, &separate_item, &sga_item)
