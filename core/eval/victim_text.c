/* SPDX-License-Identifier: MIT */
/* "mohs.victim_text/1": trials of other texts, tokens, and what was changed. */
#include "config.h"

#include "eval/victim_impl.h"
#include "eval/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { TRIALS = 512 }; /* scored at once */

/* ---- trials ---- */

static mohs_status candidates_ready(struct victim *v, struct compute **dev,
                                    struct mohs_error *err)
{
    size_t bytes = (size_t)v->o.n_candidates * v->pub.dim * sizeof(float);
    RET_IF_ERR(registry_compute(encoder_registry(v->o.encoder), dev, err));
    if (v->candidate)
        return MOHS_OK;
    RET_IF_ERR(buffer_new(*dev, bytes, &v->candidate, err));
    return buffer_write(v->candidate, 0, v->o.candidate, bytes, err);
}

/* Scores of n embeddings; row by row the same whatever n is. */
static mohs_status scores_of(struct victim *v, uint32_t n, const float *rows, float *out,
                             struct mohs_error *err)
{
    const struct mohs_model_info *info = encoder_info(v->o.encoder);
    uint32_t m = v->o.n_candidates, dim = v->pub.dim;
    struct mohs_buffer *a = NULL, *c = NULL;
    struct compute *dev;
    mohs_status st;
    RET_IF_ERR(candidates_ready(v, &dev, err));
    OUT_IF_ERR(buffer_new(dev, (size_t)n * dim * sizeof *rows, &a, err));
    OUT_IF_ERR(buffer_new(dev, (size_t)n * m * sizeof *out, &c, err));
    OUT_IF_ERR(buffer_write(a, 0, rows, (size_t)n * dim * sizeof *rows, err));
    struct gemm g = { .m = n, .n = m, .k = dim, .b_trans = true, .alpha = 1, .a = a,
                      .b = v->candidate, .c = c, .lda = dim, .ldb = dim, .ldc = m };
    OUT_IF_ERR(gemm_run(dev, &g, err));
    OUT_IF_ERR(buffer_read(c, 0, out, (size_t)n * m * sizeof *out, err));
    for (size_t i = 0; i < (size_t)n * m; i++)
        out[i] = out[i] * info->logit_scale + info->logit_bias;
out:
    buffer_unref(a);
    buffer_unref(c);
    return st;
}

static mohs_status check_trials(const struct victim *v, uint32_t n,
                                const uint32_t *sample, uint32_t output,
                                struct mohs_error *err)
{
    if (output > MOHS_OUT_EMBED)
        return mohs_fail(err, MOHS_E_ARG, "victim: no output %u", output);
    for (uint32_t i = 0; i < n; i++)
        if (sample[i] >= v->o.n)
            return mohs_fail(err, MOHS_E_ARG, "victim: sample %u of %u", sample[i],
                             v->o.n);
    return MOHS_OK;
}

static mohs_status trials(struct mohs_victim *pub, uint32_t n, const uint32_t *sample,
                          const char *const *text, uint32_t output, mohs_loss_fn fn,
                          void *user, float *loss, struct mohs_error *err)
{
    struct victim *v = victim_of(pub);
    bool scores = output == MOHS_OUT_SCORES;
    uint32_t columns = scores ? v->o.n_candidates : pub->dim;
    uint32_t most = n < TRIALS ? n : TRIALS;
    RET_IF_ERR(check_trials(v, n, sample, output, err));
    if (!n)
        return MOHS_OK;
    float *rows = try_calloc(n, pub->dim * sizeof *rows, "trials", err);
    float *out = scores ? try_calloc(most, columns * sizeof *out, "trials", err) : NULL;
    float *each = xcalloc(most, sizeof *each);
    mohs_status st = rows && (out || !scores) ? MOHS_OK : MOHS_E_NOMEM;
    if (st >= 0)
        st = encoder_texts(v->o.encoder, n, text, false, NULL, rows, err);
    for (uint32_t i = 0; i < n && st >= 0; i += TRIALS) {
        uint32_t m = n - i < TRIALS ? n - i : TRIALS;
        const float *row = rows + (size_t)i * pub->dim;
        if (scores)
            st = scores_of(v, m, row, out, err);
        if (st >= 0)
            st = fn(user, m, sample + i, columns, scores ? out : row, each, NULL, err);
        if (st >= 0 && loss)
            memcpy(loss + i, each, m * sizeof *loss);
    }
    v->forward += n;
    free(rows);
    free(out);
    free(each);
    return st;
}

/* ---- texts and tokens ---- */

const char *victim_text(const struct mohs_victim *pub, uint32_t sample)
{
    const struct victim *v = victim_of(pub);
    return v->now && v->now[sample] ? v->now[sample] : v->o.text[sample];
}

static mohs_status set_text(struct mohs_victim *pub, uint32_t sample, const char *text,
                            struct mohs_error *err)
{
    struct victim *v = victim_of(pub);
    if (sample >= v->o.n)
        return mohs_fail(err, MOHS_E_ARG, "victim: sample %u of %u", sample, v->o.n);
    if (!utf8_valid(text, strlen(text)))
        return mohs_fail(err, MOHS_E_ARG, "victim: text of sample %u: invalid UTF-8",
                         sample);
    RET_IF_ERR(encoder_tokens(v->o.encoder, 1, &text,
                              v->ids + (size_t)sample * v->context, &v->last[sample],
                              err));
    char *copy = strcmp(text, v->o.text[sample]) ? xstrdup(text) : NULL;
    free(v->now[sample]);
    v->now[sample] = copy;
    return MOHS_OK;
}

static mohs_status encode(struct mohs_victim *pub, const char *text, int32_t *ids,
                          uint32_t *last, struct mohs_error *err)
{
    int32_t at;
    RET_IF_ERR(encoder_tokens(victim_of(pub)->o.encoder, 1, &text, ids, &at, err));
    *last = (uint32_t)at;
    return MOHS_OK;
}

static mohs_status decode(struct mohs_victim *pub, uint32_t n, const int32_t *ids,
                          size_t room, char *out, struct mohs_error *err)
{
    struct str s = { 0 };
    tokenizer_decode(encoder_tokenizer(victim_of(pub)->o.encoder), ids, n, &s);
    mohs_status st = MOHS_OK;
    if (s.n < room)
        memcpy(out, s.s, s.n + 1);
    else
        st = mohs_fail(err, MOHS_E_ARG, "victim: a text of %zu bytes, room for %zu", s.n,
                       room);
    str_free(&s);
    return st;
}

static mohs_status flips(struct mohs_victim *pub, uint32_t sample, float *gain,
                         struct mohs_error *err)
{
    struct victim *v = victim_of(pub);
    const struct mohs_site *s = NULL;
    const struct vocabulary *words;
    if (sample >= v->o.n)
        return mohs_fail(err, MOHS_E_ARG, "victim: sample %u of %u", sample, v->o.n);
    for (size_t i = 0; i < v->n_sites; i++)
        if (!strcmp(v->name[i], TAP_TOKEN))
            s = &v->site[i];
    if (!s)
        return mohs_fail(err, MOHS_E_ARG, "victim: flips need an open site " TAP_TOKEN);
    RET_IF_ERR(encoder_vocabulary(v->o.encoder, &words, err));
    uint32_t tokens = (uint32_t)v->last[sample] + 1;
    memset(gain + (size_t)tokens * words->n, 0,
           (size_t)(v->context - tokens) * words->n * sizeof *gain);
    return vocabulary_gains(words, tokens, v->ids + (size_t)sample * v->context,
                            s->grad + (size_t)sample * s->tokens * s->width, gain, err);
}

/* ---- the table ---- */

const struct mohs_victim_text *victim_text_api(struct victim *v)
{
    const struct mohs_model_info *info = encoder_info(v->o.encoder);
    if (!v->now)
        v->now = xcalloc(v->o.n, sizeof *v->now);
    v->text = (struct mohs_victim_text) {
        .size = sizeof v->text,
        .context = v->context,
        .n_ids = info->vocab_size,
        .text = v->o.text,
        .pass = trials,
        .set = set_text,
        .encode = encode,
        .decode = decode,
        .flips = flips,
    };
    return &v->text;
}

void victim_text_drop(struct victim *v)
{
    for (uint32_t i = 0; v->now && i < v->o.n; i++)
        free(v->now[i]);
    free(v->now);
    buffer_unref(v->candidate);
}

void victim_text_audit(struct victim *v, uint32_t sample, struct victim_audit *out)
{
    const char *clean = v->o.text[sample];
    if (!v->now || !v->now[sample])
        return;
    int32_t *ids = xcalloc(v->context, sizeof *ids), last;
    out->words = edits_words(clean, v->now[sample]);
    out->chars = edits_chars(clean, v->now[sample]);
    if (encoder_tokens(v->o.encoder, 1, &clean, ids, &last, NULL) >= 0)
        out->tokens = edits_ids(ids, (size_t)last + 1,
                                v->ids + (size_t)sample * v->context,
                                (size_t)v->last[sample] + 1);
    free(ids);
}
