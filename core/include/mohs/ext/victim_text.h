/* SPDX-License-Identifier: MIT */
/*
 * "mohs.victim_text/1": attacks that put other texts in the place of a
 * victim's. Asked of a victim (mohs_victim.get_extension) whose samples are
 * texts. The host stores the texts that are left, counts what differs from
 * the clean ones in words, characters and tokens, and holds the counts
 * against the attack's parameters max_words, max_chars and max_tokens.
 *
 * Functions return MOHS_E_ARG for a sample, id or output that does not exist.
 */
#ifndef MOHS_EXT_VICTIM_TEXT_H
#define MOHS_EXT_VICTIM_TEXT_H

#include <mohs/ext/victim.h>

#define MOHS_EXT_VICTIM_TEXT "mohs.victim_text/1"

struct mohs_victim_text {
    uint32_t size;
    uint32_t context; /* token ids of a text, begin and end among them */
    uint32_t n_ids;   /* token ids are 0 .. n_ids - 1 */
    const char *const *text; /* the victim's n clean texts, UTF-8 */
    /* Trials: like mohs_victim.pass without gradient and without deltas, but
     * text[k] stands for sample[k]. A sample may come any number of times;
     * what fn is given for a trial depends on that trial only.
     * [same thread as run] */
    mohs_status (*pass)(struct mohs_victim *v, uint32_t n,
                        const uint32_t *sample, const char *const *text,
                        uint32_t output, mohs_loss_fn fn, void *user,
                        float *loss, struct mohs_error *err);
    /* From now on the sample's text (copied) is this one: in
     * mohs_victim.pass() and in the result. Clean activations and masks of
     * sites stay those of the clean text. [same thread as run] */
    mohs_status (*set)(struct mohs_victim *v, uint32_t sample,
                       const char *text, struct mohs_error *err);
    /* Token ids of a text as the model sees it: ids[context], cut and padded,
     * and the index of the end token. [same thread as run] */
    mohs_status (*encode)(struct mohs_victim *v, const char *text,
                          int32_t *ids, uint32_t *last,
                          struct mohs_error *err);
    /* The text of n ids, begin and end left out, with one space between words
     * and a NUL behind: at most `room` bytes in all, else MOHS_E_ARG. Encoding
     * it again may give other ids. [same thread as run] */
    mohs_status (*decode)(struct mohs_victim *v, uint32_t n,
                          const int32_t *ids, size_t room, char *out,
                          struct mohs_error *err);
    /* What the loss gains, to first order, when the token at position t of the
     * sample's present text becomes another: gain[t*n_ids + id] = <grad, x_id
     * - x_t>, grad the sample's at the open site "text.token" after its last
     * pass with gradient, x the activation of a token there. context * n_ids
     * floats; 0 behind the end token. [same thread as run] */
    mohs_status (*flips)(struct mohs_victim *v, uint32_t sample, float *gain,
                         struct mohs_error *err);
};

#endif
