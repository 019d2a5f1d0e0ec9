/* SPDX-License-Identifier: MIT */
/* Who still stands. */
#include "standing.h"

#include <math.h>
#include <stdlib.h>

#include <mohs/util.h>

static int32_t enter(struct standing *t, struct mohs_error *err)
{
    struct resume *r = &t->resume;
    uint32_t n = t->s->v->n;
    resume_init(r, t->s->v);
    resume_part(r, &t->judged, sizeof t->judged);
    resume_part(r, &t->n, sizeof t->n);
    resume_part(r, t->sample, n * sizeof *t->sample);
    resume_part(r, t->best, n * sizeof *t->best);
    resume_kept(r, t->s, t->kept);
    resume_part(r, &t->phase, sizeof t->phase);
    resume_part(r, &t->run, sizeof t->run);
    resume_part(r, &t->aimed, sizeof t->aimed);
    resume_part(r, t->target, n * sizeof *t->target);
    resume_part(r, t->least, n * sizeof *t->least);
    resume_kept(r, t->s, t->nearest);
    return resume_enter(r, "standing", err);
}

mohs_status standing_new(struct standing *t, struct sites *s, const char *what,
                         struct mohs_error *err)
{
    uint32_t n = s->v->n;
    *t = (struct standing) { .s = s, .n = n };
    mohs_status st = loss_init(&t->margin, s->v, LOSS_MARGIN, 0, what, err);
    t->best = malloc(((size_t)n + 1) * sizeof *t->best);
    t->sample = malloc(((size_t)n + 1) * sizeof *t->sample);
    t->scratch = malloc(((size_t)n + 1) * sizeof *t->scratch);
    t->target = calloc((size_t)n + 1, sizeof *t->target);
    t->least = calloc((size_t)n + 1, sizeof *t->least);
    if (st >= 0 && (!t->best || !t->sample || !t->scratch || !t->target || !t->least))
        st = mohs_fail(err, MOHS_E_NOMEM, "%s: no memory for %u samples", what, n);
    if (st >= 0)
        st = kept_new(s, t->kept, err);
    if (st >= 0)
        st = kept_new(s, t->nearest, err);
    for (uint32_t i = 0; st >= 0 && i < n; i++) {
        t->sample[i] = i;
        t->best[i] = -INFINITY;
    }
    sites_zero(s);
    if (st >= 0)
        st = enter(t, err);
    if (st < 0 || t->judged)
        return st;
    st = standing_judge(t, err);
    t->judged = 1;
    return st < 0 ? st : standing_point(t, err);
}

mohs_status standing_point(struct standing *t, struct mohs_error *err)
{
    return resume_point(&t->resume, 0, NULL, err);
}

void standing_free(struct standing *t)
{
    resume_leave(&t->resume);
    kept_free(t->kept);
    kept_free(t->nearest);
    free(t->target);
    free(t->least);
    loss_free(&t->margin);
    free(t->best);
    free(t->sample);
    free(t->scratch);
}

mohs_status standing_judge(struct standing *t, struct mohs_error *err)
{
    uint32_t left = 0, n = t->n;
    float *value = malloc(((size_t)n + 1) * sizeof *value);
    mohs_status st = value ? loss_pass(&t->margin, n, t->sample, value, 0, err)
                           : mohs_fail(err, MOHS_E_NOMEM,
                                       "attack: no memory for %u samples", n);
    for (uint32_t j = 0; st >= 0 && j < n; j++) {
        uint32_t i = t->sample[j];
        int fooled = t->margin.fooled[i];
        if (fooled || value[j] > t->best[i]) {
            t->best[i] = value[j];
            kept_store(t->s, i, t->kept);
        }
        if (!fooled && !loss_spent(&t->margin, i))
            t->sample[left++] = i;
    }
    if (st >= 0)
        t->n = left;
    free(value);
    return st;
}

void standing_restore(struct standing *t)
{
    for (uint32_t i = 0; i < t->s->v->n; i++)
        kept_restore(t->s, i, t->kept);
}
