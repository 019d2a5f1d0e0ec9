/* SPDX-License-Identifier: MIT */
/*
 * Attacks that replace texts: text_synonyms, text_hotflip and text_chars
 * (common/text_edits.h). The threat model: another text of at most so many
 * words, tokens or characters changed, candidates all images.
 */
#include <stdlib.h>

#include <mohs/plugin.h>
#include <mohs/util.h>

#include "../common/item.h"
#include "../common/loss.h"
#include "../common/text_edits.h"

struct params {
    int32_t most, top_k, senses, positions, loss;
    const char *dict, *alphabet;
};

struct text_attack {
    const char *id;
    int32_t loss;
    struct edits edits;
};

static void destroy(void *self)
{
    struct text_attack *a = self;
    if (a)
        edits_close(&a->edits);
    free(a);
}

static mohs_status create(const char *id, int32_t unit, const void *params, void **self,
                          struct mohs_error *err)
{
    const struct params *p = params;
    struct text_attack *a = calloc(1, sizeof *a);
    if (!a)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", id);
    a->id = id;
    a->loss = p->loss;
    a->edits = (struct edits) { .unit = unit,
                                .most = (uint32_t)p->most,
                                .top_k = (uint32_t)p->top_k,
                                .positions = (uint32_t)p->positions,
                                .senses = (uint32_t)p->senses };
    mohs_status st = edits_open(&a->edits, id, p->dict, p->alphabet, err);
    if (st >= 0 && unit == UNIT_TOKENS && p->loss == LOSS_EMBEDDING)
        st = mohs_fail(err, MOHS_E_ARG, "%s: loss embedding is flat at the clean text; its "
                       "gradient ranks nothing", id);
    if (st < 0) {
        destroy(a);
        return st;
    }
    *self = a;
    return MOHS_OK;
}

static mohs_status create_synonyms(const struct mohs_host *host, const void *params,
                                   void **self, struct mohs_error *err)
{
    (void)host;
    return create("text_synonyms", UNIT_WORDS, params, self, err);
}

static mohs_status create_hotflip(const struct mohs_host *host, const void *params,
                                  void **self, struct mohs_error *err)
{
    (void)host;
    return create("text_hotflip", UNIT_TOKENS, params, self, err);
}

static mohs_status create_chars(const struct mohs_host *host, const void *params,
                                void **self, struct mohs_error *err)
{
    (void)host;
    return create("text_chars", UNIT_CHARS, params, self, err);
}

static mohs_status run(void *self, struct mohs_victim *victim, uint64_t seed,
                       struct mohs_error *err)
{
    const struct text_attack *a = self;
    struct loss loss;
    mohs_status st = loss_init(&loss, victim, a->loss, seed, a->id, err);
    struct aim aim = { loss_output(&loss), loss_on_outputs, &loss };
    if (st >= 0)
        st = edits_run(&a->edits, a->id, victim, &aim, 1, NULL, err);
    loss_free(&loss);
    return st;
}

enum { FLAGS = MOHS_ATTACK_TEXT | MOHS_ATTACK_STOCHASTIC }; // loss=targeted draws
ATTACK_OPS(text_synonyms, FLAGS, create_synonyms, destroy, run);
ATTACK_OPS(text_hotflip, FLAGS | MOHS_ATTACK_GRADIENT, create_hotflip, destroy, run);
ATTACK_OPS(text_chars, FLAGS, create_chars, destroy, run);

static const char *const losses[] = LOSS_CHOICES;
#define AT(f) offsetof(struct params, f)
#define MOST(name, what) \
    { name, "most " what " of a text; 0: leaves all texts as they are", MOHS_P_INT, \
      AT(most), 1, 0, 1000, NULL, NULL }
#define TOP_K(text) { "top_k", text, MOHS_P_INT, AT(top_k), 10, 1, 1000, NULL, NULL }
#define LOSS \
    { "loss", LOSS_DOC, MOHS_P_CHOICE, AT(loss), LOSS_CROSS_ENTROPY, 0, LOSS_EMBEDDING, \
      losses, NULL }

static const struct mohs_param text_synonyms_params[] = {
    MOST("max_words", "words changed"),
    TOP_K("synonyms tried for a word, of the most frequent meanings first"),
    { "senses", "how many meanings of a word count, most frequent first", MOHS_P_INT,
      AT(senses), 3, 1, 100, NULL, NULL },
    { "dict", "where the candidates come from: directory of WordNet's index.* and data.*",
      MOHS_P_PATHS, AT(dict), 0, 0, 0, NULL, "/usr/share/wordnet" },
    LOSS,
};
static const struct mohs_param text_hotflip_params[] = {
    MOST("max_tokens", "tokens flipped"),
    TOP_K("flips tried a round, of the highest first-order gain"),
    LOSS,
};
static const struct mohs_param text_chars_params[] = {
    MOST("max_chars", "characters inserted, removed, replaced or exchanged"),
    { "positions", "places where all edits are tried, the most sensitive ones", MOHS_P_INT,
      AT(positions), 10, 1, 1000, NULL, NULL },
    { "alphabet", "characters that are put in", MOHS_P_STRING, AT(alphabet), 0, 0, 0, NULL,
      ALPHABET },
    LOSS,
};

ATTACK_ITEM(text_chars, "characters of a text edited where that hurts most");
ATTACK_ITEM(text_hotflip, "tokens of a text flipped by gradient (HotFlip)");
ATTACK_ITEM(text_synonyms, "words of a text replaced by WordNet's synonyms, greedily");
ATTACK_PLUGIN("mohs.text_attacks", "Attacks on texts", &text_chars_item,
              &text_hotflip_item, &text_synonyms_item)
