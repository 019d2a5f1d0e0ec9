/* SPDX-License-Identifier: MIT */
/* Frames of attacks. */
#include "resume.h"

#include <mohs/util.h>

void resume_init(struct resume *r, struct mohs_victim *v)
{
    *r = (struct resume) { .v = v };
    if (MOHS_HAS(struct mohs_victim, v, get_extension))
        r->api = v->get_extension(v, MOHS_EXT_ATTACK_STATE);
}

static void add(struct resume *r, void *data, size_t bytes, size_t row_bytes)
{
    if (r->n < MOHS_STATE_PARTS)
        r->part[r->n] = (struct mohs_state_part) { data, bytes, row_bytes };
    r->n++;
}

void resume_part(struct resume *r, void *data, size_t bytes)
{
    add(r, data, bytes, 0);
}

void resume_rows(struct resume *r, void *data, size_t row_bytes)
{
    add(r, data, r->v->n * row_bytes, row_bytes);
}

void resume_kept(struct resume *r, const struct sites *s, float *const kept[SITES_MAX])
{
    for (uint32_t k = 0; k < s->n; k++)
        resume_rows(r, kept[k], sites_floats(s, k) * sizeof(float));
}

void resume_deltas(struct resume *r, const struct sites *s)
{
    for (uint32_t k = 0; k < s->n; k++)
        resume_rows(r, s->site[k].delta, sites_floats(s, k) * sizeof(float));
}

int32_t resume_enter(struct resume *r, const char *name, struct mohs_error *err)
{
    if (!r->api)
        return 0;
    if (r->n > MOHS_STATE_PARTS)
        return mohs_fail(err, MOHS_E_ARG, "%s: %u parts of state", name, r->n);
    int32_t st = r->api->enter(r->v, name, r->part, r->n, err);
    r->entered = st >= 0;
    return st;
}

mohs_status resume_point(struct resume *r, uint32_t n, const uint32_t *sample,
                         struct mohs_error *err)
{
    return r->api ? r->api->point(r->v, n, sample, err) : MOHS_OK;
}

void resume_leave(struct resume *r)
{
    if (r->entered)
        r->api->leave(r->v);
    r->entered = 0;
}
