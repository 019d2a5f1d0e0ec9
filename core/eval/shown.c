/* SPDX-License-Identifier: MIT */
/* What a cell keeps to be looked at: pictures, perturbations, texts. */
#include "config.h"

#include "eval/assault.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DELTA_SCALE = 16 }; /* how much a shown perturbation is grown */

/* ---- thumbnails ---- */

static void show_delta(const float *delta, uint32_t pixels,
                       const uint8_t *clean, bool magnified, uint8_t *out)
{
    for (uint32_t i = 0; i < pixels; i++)
        for (uint32_t c = 0; c < 3; c++) {
            float d = delta[(size_t)c * pixels + i] * 255.0f;
            float x = magnified ? 127.5f + DELTA_SCALE * d
                                : (float)clean[3 * (size_t)i + c] + d;
            x = fminf(fmaxf(x + 0.5f, 0), 255);
            out[3 * (size_t)i + c] = (uint8_t)x;
        }
}

bool thumbnail(struct eval *e, const struct eval_cell *c, uint32_t i,
               bool delta, struct str *png)
{
    struct encoder *enc = c->model->encoder;
    const struct preprocess *p = encoder_preprocess(enc);
    size_t bytes = (size_t)p->height * p->width * 3;
    const uint8_t *rgb = NULL;
    uint8_t *owned = NULL, *block = NULL;
    struct corruptor co = { 0 };
    float *d = NULL;
    uint8_t *shown = xmalloc(bytes);
    bool ok = data_pixels(e, c->data, enc, &i, 1, &rgb, &owned, NULL) >= 0;
    if (ok && c->corruption.item && !corrupts_text(&c->corruption))
        ok = corruptor_open(e, &c->corruption, &co, NULL) >= 0 &&
             corruptor_apply(&co, c->data, p, &i, 1, &rgb, &block, NULL) >= 0;
    if (ok)
        memcpy(shown, rgb, bytes);
    if (ok && c->attack.item) {
        struct assault a = { .e = e, .c = c, .tower = MOHS_TOWER_IMAGE };
        a.n = (uint32_t)c->data->set->n_images;
        attack_keys(&a);
        d = xmalloc(bytes * sizeof *d);
        ok = row_lookup(e, attack_derived(a.key[i], "delta"), d, (uint32_t)bytes,
                        NULL) > 0;
        if (ok)
            show_delta(d, (uint32_t)(bytes / 3), rgb, delta, shown);
        free(a.key);
    } else if (delta) {
        ok = false;
    }
    struct image im = { p->width, p->height, shown };
    ok = ok && image_encode_png(&im, png, NULL) >= 0;
    corruptor_close(&co);
    free(d);
    free(shown);
    free(owned);
    free(block);
    return ok;
}

/* ---- texts ---- */

static void add_text(const struct assault *a, uint32_t i, const float *au, struct str *json)
{
    const struct dataset *d = a->c->data->set;
    const struct data_text *t = &d->text[i];
    char *now = attack_text(a, i, au);
    str_add(json, i ? ",\n{\"image\": " : "[{\"image\": ");
    str_add_json(json, d->image[t->image].id);
    str_add(json, ", \"clean\": ");
    str_add_json(json, t->text);
    str_add(json, ", \"attacked\": ");
    str_add_json(json, now);
    str_addf(json, ", \"words\": %g, \"characters\": %g, \"tokens\": %g}",
             (double)au[AUDIT_WORDS], (double)au[AUDIT_CHARS], (double)au[AUDIT_TOKENS]);
    free(now);
}

bool attacked_texts(struct eval *e, const struct eval_cell *c, struct str *json)
{
    struct assault a = { .e = e, .c = c, .tower = MOHS_TOWER_TEXT };
    if (!c->attack.item || !attacks_texts(&c->attack))
        return false;
    a.n = (uint32_t)c->data->set->n_texts;
    attack_keys(&a);
    bool ok = true;
    for (uint32_t i = 0; i < a.n && ok; i++) {
        float au[AUDIT_DIM];
        ok = row_lookup(e, attack_derived(a.key[i], "audit"), au, AUDIT_DIM, NULL) > 0;
        if (ok)
            add_text(&a, i, au, json);
    }
    str_add(json, "]\n");
    free(a.key);
    return ok;
}
