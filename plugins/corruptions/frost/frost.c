/* SPDX-License-Identifier: MIT */
/*
 * Frost of ImageNet-C: a piece of an ice texture at a random place, mixed
 * with the picture. The textures of the original are photographs that are not
 * ours to ship: give them with frost_images, or get procedural ice. Kernel
 * and reference differ by at most 1.
 */
#include "config.h"

#include "frost.h"

static const unsigned char text[] = {
#include "frost.clh"
};

struct frost frost_of(const struct job *j)
{
    static const struct frost frost[3][5] = {
        { { 1, .4 }, { .8, .6 }, { .7, .7 }, { .65, .7 }, { .6, .75 } },
        { { 1, .3 }, { .9, .4 }, { .8, .45 }, { .75, .5 }, { .7, .55 } },
        { { 1, .2 }, { 1, .3 }, { .9, .4 }, { .85, .4 }, { .75, .45 } },
    };
    return frost[make_of(j)][j->level];
}

/* The package enlarges by 1.1, more when the texture is too small; the
 * scripts take it as it is or reduced, and cannot enlarge. */
static double enlarged(const struct job *j, const struct texture *t)
{
    static const double reduced[3] = { 1, 0.3, 0.2 };
    double fit_x = (double)j->width / t->width,
           fit_y = (double)j->height / t->height;
    double fit = fit_x > fit_y ? fit_x : fit_y;
    if (j->profile == IMAGECORRUPTIONS)
        return (fit > 1 ? fit : 1) * 1.1;
    double f = reduced[make_of(j)];
    return rint(t->width * f) >= j->width && rint(t->height * f) >= j->height
               ? f
               : fit * 1.1;
}

struct piece frost_piece(const struct job *j, const struct ice *ice, uint32_t i)
{
    struct piece p = { .texture =
                           mohs_rng_below(j->seed, j->key[i], 0, ice->choice) };
    const struct texture *t = &ice->texture[p.texture];
    double f = enlarged(j, t);
    double w = t->width * f, h = t->height * f;
    // OpenCV: a size is rounded when a factor is given
    uint32_t width = (uint32_t)(f > 1 ? ceil(w) : rint(w));
    uint32_t height = (uint32_t)(f > 1 ? ceil(h) : rint(h));
    p.how = f > 1 ? ICE_CUBIC : f < 1 ? ICE_LINEAR : ICE_AS_IT_IS;
    p.step_x = f < 1 ? 1 / f : (double)t->width / width;
    p.step_y = f < 1 ? 1 / f : (double)t->height / height;
    uint32_t free_y = height > j->height ? height - j->height : 1;
    uint32_t free_x = width > j->width ? width - j->width : 1;
    p.top = mohs_rng_below(j->seed, j->key[i], 1, free_y);
    p.left = mohs_rng_below(j->seed, j->key[i], 2, free_x);
    return p;
}

/* All textures one after the other. */
static void atlas_upload(struct job *j, int slot, const struct ice *ice)
{
    size_t bytes = 0, at = 0;
    for (uint32_t i = 0; i < ice->n; i++)
        bytes += (size_t)ice->texture[i].width * ice->texture[i].height * 3;
    uint8_t *all = job_scratch(j, bytes, 1);
    for (uint32_t i = 0; all && i < ice->n; i++) {
        const struct texture *t = &ice->texture[i];
        memcpy(all + at, t->rgb, (size_t)t->width * t->height * 3);
        at += (size_t)t->width * t->height * 3;
    }
    job_keep(j, slot, 1, all, bytes);
}

static void device(struct job *j)
{
    enum { ATLAS, PLACES, STEPS };
    struct ice *ice = j->self->own;
    struct frost c = frost_of(j);
    uint32_t *place = job_scratch(j, (size_t)j->n * 6, sizeof *place);
    float *step = job_scratch(j, (size_t)j->n * 2, sizeof *step);
    if (!place || !step)
        return;
    if (!ice->n)
        j->st = ice_grow(ice, j->err);
    if (!job_has(j, ATLAS, 1))
        atlas_upload(j, ATLAS, ice);
    for (uint32_t i = 0; i < j->n && j->st >= 0; i++) {
        struct piece p = frost_piece(j, ice, i);
        uint32_t first = 0;
        for (uint32_t k = 0; k < p.texture; k++)
            first += ice->texture[k].width * ice->texture[k].height;
        const struct texture *t = &ice->texture[p.texture];
        uint32_t row[6] = { first,  t->width, t->height,
                            p.left, p.top,    (uint32_t)p.how };
        memcpy(place + 6 * (size_t)i, row, sizeof row);
        step[2 * (size_t)i] = (float)p.step_x;
        step[2 * (size_t)i + 1] = (float)p.step_y;
    }
    job_upload(j, PLACES, place, (size_t)j->n * 6 * sizeof *place);
    job_upload(j, STEPS, step, (size_t)j->n * 2 * sizeof *step);
    job_run(j, "frost", j->height, j->n, 1, BUF(j->in), BUF(j->out),
            BUF(job_slot(j, ATLAS)), BUF(job_slot(j, PLACES)),
            BUF(job_slot(j, STEPS)), F32((float)c.picture), F32((float)c.ice),
            U32(j->width));
}

struct params {
    struct corruption_params common;
    const char *frost_images;
};

static mohs_status ice_open(struct corruption_self *self, const void *params,
                            struct mohs_error *err)
{
    const struct params *p = params;
    struct ice *ice = calloc(1, sizeof *ice);
    if (!ice)
        return mohs_fail(err, MOHS_E_NOMEM, "frost: no memory");
    mohs_status st =
        *p->frost_images ? ice_read(p->frost_images, ice, err) : MOHS_OK;
    if (st < 0)
        ice_free(ice);
    else
        self->own = ice;
    return st;
}

static void ice_close(void *own)
{
    ice_free(own);
}

static const struct corruption frost_corruption = {
    .id = "frost",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = frost_reference,
    .open = ice_open,
    .close = ice_close,
};

static const struct mohs_param table[] = {
    CORRUPTION_PARAMS(struct params, common.),
    { "frost_images",
      "ice textures: PNG and JPEG files or folders of them, parted by colons; "
      "of six the first five are used, as the original does; empty: procedural",
      MOHS_P_PATHS, offsetof(struct params, frost_images), 0, 0, 0, NULL, "" },
};
CORRUPTION_ITEM_OF(frost, MOHS_CORRUPTION_STOCHASTIC,
                   "ice on the glass (ImageNet-C)", table, struct params);
CORRUPTION_PLUGIN("mohs.frost", "Frost", &frost_item)
