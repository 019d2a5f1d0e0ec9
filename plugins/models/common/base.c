/* SPDX-License-Identifier: MIT */
/* Operations that follow from a walk; see base.h. */
#include "common/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mohs_status base_create(const struct base_plan *p, const struct mohs_host *host,
                        const struct mohs_weights *w, void **self,
                        struct mohs_error *err)
{
    struct config c = { .api = config_api(host), .w = w, .section = "",
                        .err = err };
    uint32_t blocks = 0, text = 0;
    if (!c.api)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: the host has no %s",
                         p->id, MOHS_EXT_WEIGHTS);
    struct base *m = calloc(1, p->bytes);
    if (!m)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", p->id);
    m->walk = p->walk;
    m->info.size = sizeof m->info;
    p->read(&c, m, &blocks, &text);
    if (c.st >= 0) {
        taps_add(&m->taps, "image", "patch", blocks);
        if (text)
            taps_add(&m->taps, "text", "token", text);
        m->info.taps = m->taps.name;
    }
    // a set without tensors is a model to be trained from nothing
    if (c.st >= 0 && c.api->name(w, 0))
        c.st = net_check_whole(m->file ? m->file : m->walk, m, m->info.towers,
                               &c, p->whole);
    m->labels = c;
    m->labels.err = NULL;
    if (c.st < 0) {
        free(m);
        return c.st;
    }
    *self = m;
    return MOHS_OK;
}

void base_classifier(struct config *c, struct base *m, const char *bias)
{
    uint32_t n = 0;
    while (n < 65536 && config_class(c, n))
        n++;
    m->info.flags = MOHS_MODEL_CLASSIFIER;
    m->info.towers = MOHS_TOWER_IMAGE;
    m->info.logit_scale = 1;
    m->info.embed_dim = tensor_dim(c, bias, 0, n ? n : 1000);
}

void base_refuse(struct config *c, const char *part, const char *why)
{
    const char *name = config_string(c, "architecture", "");
    char text[128];
    if (!strstr(name, part))
        return;
    snprintf(text, sizeof text, "is %.60s, which is not read: %s", name, why);
    config_fail(c, "architecture", text);
}

void base_image_size(struct config *c, struct base *m, uint32_t def)
{
    uint32_t size = config_count(c, "image_size", def, 4096);
    m->info.image_height =
        config_count(c, "pretrained_cfg.input_size.1", size, 4096);
    m->info.image_width =
        config_count(c, "pretrained_cfg.input_size.2", size, 4096);
}

void base_destroy(void *self)
{
    free(self);
}

const struct mohs_model_info *base_info(void *self)
{
    return &((struct base *)self)->info;
}

mohs_status base_describe(void *self,
                          mohs_status (*put)(void *user,
                                             const struct mohs_weight_spec *,
                                             struct mohs_error *),
                          void *user, struct mohs_error *err)
{
    const struct base *m = self;
    return net_list(m->walk, m, m->info.towers, m->map, put, user, err);
}

mohs_status base_build(void *self, const struct mohs_graph_api *api,
                       struct mohs_graph *g, uint32_t tower,
                       const struct mohs_tower_inputs *in,
                       struct mohs_tensor **out, struct mohs_error *err)
{
    const struct base *m = self;
    if (tower & (tower - 1) || !(tower & m->info.towers))
        return mohs_fail(err, MOHS_E_ARG, "the model has no tower %u", tower);
    return net_build(m->walk, m, api, g, tower, in, out);
}

static const char *class_name(void *self, uint32_t index)
{
    return config_class(&((struct base *)self)->labels, index);
}

static const struct mohs_classifier classifier = {
    .size = sizeof classifier,
    .class_name = class_name,
};

const void *base_extension(void *self, const char *id)
{
    const struct base *m = self;
    return m->info.flags & MOHS_MODEL_CLASSIFIER &&
                   !strcmp(id, MOHS_EXT_CLASSIFIER)
               ? &classifier : NULL;
}
