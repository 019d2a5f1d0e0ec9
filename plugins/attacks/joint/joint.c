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
#include "../common/text_edits.h"
#include "picture.h"

struct params {
    float eps, alpha, text_weight, noise;
    int32_t steps, unit, max_edits, top_k, senses, positions, text_loss;
    const char *dict, *alphabet, *scales;
};

enum { FROM_TEXT = 0, FROM_IMAGE }; /* text_loss */

struct joint;
typedef mohs_status joint_run(const struct joint *j, struct mohs_victim *images,
                              const struct mohs_victim_pair *pair, uint64_t seed,
                              struct mohs_error *err);

struct joint {
    const char *id;
    joint_run *run;
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

/* ---- the two sides ---- */

static mohs_status floats(const struct joint *j, uint32_t n, uint32_t dim, float **out,
                          struct mohs_error *err)
{
    *out = malloc(((size_t)n * dim + 1) * sizeof **out);
    return *out ? MOHS_OK : mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u embeddings",
                                      j->id, n);
}

/* Every caption's image's row. */
static mohs_status owners(const struct joint *j, const struct mohs_victim *images,
                          const struct mohs_victim_pair *pair, const float *rows,
                          float **out, struct mohs_error *err)
{
    uint32_t dim = images->dim;
    mohs_status st = floats(j, pair->texts->n, dim, out, err);
    for (uint32_t i = 0; st >= 0 && i < images->n; i++)
        for (uint32_t t = pair->first[i]; t < pair->first[i + 1]; t++)
            memcpy(*out + (size_t)t * dim, rows + (size_t)i * dim, dim * sizeof **out);
    return st;
}

/* The captions away from rows, one each. */
static mohs_status attack_texts(const struct joint *j, struct mohs_victim *texts, int kind,
                                const float *rows, struct mohs_error *err)
{
    struct pull pull = { { { kind, 1, rows, NULL } }, 1 };
    struct aim aim = { MOHS_OUT_EMBED, pull_on_outputs, &pull };
    return edits_run(&j->edits, j->id, texts, &aim, err);
}

/* The captions away from their images' rows. */
static mohs_status texts_from_images(const struct joint *j, const struct mohs_victim *images,
                                     const struct mohs_victim_pair *pair, const float *rows,
                                     struct mohs_error *err)
{
    float *own;
    mohs_status st = owners(j, images, pair, rows, &own, err);
    if (st >= 0)
        st = attack_texts(j, pair->texts, PULL_COSINE, own, err);
    free(own);
    return st;
}

static mohs_status attack_images(const struct joint *j, struct mohs_victim *images,
                                 const struct pull *pull, uint64_t seed,
                                 struct mohs_error *err)
{
    struct picture_climb c = {
        .what = j->id,
        .v = images,
        .pull = *pull,
        .eps = j->p.eps,
        .alpha = j->p.alpha > 0 ? j->p.alpha : j->alpha * j->p.eps / j->p.steps,
        .steps = (uint32_t)j->p.steps,
        .one_sided = j->one_sided,
        .scales = j->scales,
        .noise = j->p.noise,
        .seed = seed,
    };
    return picture_climb(&c, err);
}

/* ---- the attacks ---- */

static mohs_status first_texts(const struct joint *j, struct mohs_victim *images,
                               const struct mohs_victim_pair *pair, struct mohs_error *err)
{
    if (j->p.text_loss == FROM_IMAGE)
        return texts_from_images(j, images, pair, images->clean_embed, err);
    return attack_texts(j, pair->texts, PULL_KL, pair->texts->clean_embed, err);
}

static mohs_status run_separate(const struct joint *j, struct mohs_victim *images,
                                const struct mohs_victim_pair *pair, uint64_t seed,
                                struct mohs_error *err)
{
    struct pull pull = { { { PULL_KL, 1, images->clean_embed, NULL } }, 1 };
    mohs_status st = first_texts(j, images, pair, err);
    return st < 0 ? st : attack_images(j, images, &pull, seed, err);
}

/* Of several captions the first one guides the image: the authors attack pairs
 * of one image and one text. */
static mohs_status run_co(const struct joint *j, struct mohs_victim *images,
                          const struct mohs_victim_pair *pair, uint64_t seed,
                          struct mohs_error *err)
{
    uint32_t dim = images->dim;
    float *texts = NULL, *one = NULL;
    mohs_status st = first_texts(j, images, pair, err);
    if (st >= 0)
        st = floats(j, pair->texts->n, dim, &texts, err);
    if (st >= 0)
        st = floats(j, images->n, dim, &one, err);
    if (st >= 0)
        st = embed_all(pair->texts, texts, err);
    for (uint32_t i = 0; st >= 0 && i < images->n; i++)
        memcpy(one + (size_t)i * dim, texts + (size_t)pair->first[i] * dim,
               dim * sizeof *one);
    struct pull pull = { { { PULL_KL, 1, images->clean_embed, NULL },
                           { PULL_KL, j->p.text_weight, one, NULL } }, 2 };
    if (st >= 0)
        st = attack_images(j, images, &pull, seed, err);
    free(texts);
    free(one);
    return st;
}

static mohs_status run_sga(const struct joint *j, struct mohs_victim *images,
                           const struct mohs_victim_pair *pair, uint64_t seed,
                           struct mohs_error *err)
{
    uint32_t dim = images->dim;
    float *texts = NULL, *after = NULL;
    mohs_status st = texts_from_images(j, images, pair, images->clean_embed, err);
    if (st >= 0)
        st = floats(j, pair->texts->n, dim, &texts, err);
    if (st >= 0)
        st = floats(j, images->n, dim, &after, err);
    if (st >= 0)
        st = embed_all(pair->texts, texts, err);
    struct pull pull = { { { PULL_COSINE, 1, texts, pair->first } }, 1 };
    if (st >= 0)
        st = attack_images(j, images, &pull, seed, err);
    if (st >= 0)
        st = embed_all(images, after, err);
    if (st >= 0)
        st = texts_from_images(j, images, pair, after, err);
    free(texts);
    free(after);
    return st;
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    const struct joint *j = self;
    const struct mohs_victim_pair *pair = NULL;
    if (MOHS_HAS(struct mohs_victim, victim, get_extension))
        pair = victim->get_extension(victim, MOHS_EXT_VICTIM_PAIR);
    if (!pair)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: needs images with their captions",
                         j->id);
    return j->run(j, victim, pair, seed, err);
}

/* ---- items ---- */

static mohs_status create_separate(const struct mohs_host *host, const void *params,
                                   void **self, struct mohs_error *err)
{
    (void)host;
    return create(&(struct joint) { .id = "separate", .run = run_separate, .alpha = 1.25,
                                    .one_sided = 1 }, params, self, err);
}

static mohs_status create_co_attack(const struct mohs_host *host, const void *params,
                                    void **self, struct mohs_error *err)
{
    (void)host;
    return create(&(struct joint) { .id = "co_attack", .run = run_co, .alpha = 1.25,
                                    .one_sided = 1 }, params, self, err);
}

static mohs_status create_sga(const struct mohs_host *host, const void *params, void **self,
                              struct mohs_error *err)
{
    struct params p = *(const struct params *)params;
    (void)host;
    p.text_loss = FROM_IMAGE;
    return create(&(struct joint) { .id = "sga", .run = run_sga, .alpha = 2.5 }, &p, self,
                  err);
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
