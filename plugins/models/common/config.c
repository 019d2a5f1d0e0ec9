/* SPDX-License-Identifier: MIT */
/* Configuration values and tensor shapes; see config.h. */
#include "common/config.h"

#include <stdio.h>
#include <string.h>

enum { TENSORS_MAX = 1024 };

const struct mohs_weights_api *config_api(const struct mohs_host *host)
{
    return host->get_extension(host, MOHS_EXT_WEIGHTS);
}

static const char *full_key(const struct config *c, const char *key,
                            char buf[CONFIG_NAME])
{
    snprintf(buf, CONFIG_NAME, "%s%s%s", c->section, *c->section ? "." : "",
             key);
    return buf;
}

void config_fail(struct config *c, const char *key, const char *what)
{
    char full[CONFIG_NAME];
    if (c->st >= 0)
        c->st = mohs_fail(c->err, MOHS_E_FORMAT, "%s: config %s %s",
                          c->api->path(c->w), full_key(c, key, full), what);
}

double config_number(struct config *c, const char *key, double def, double min,
                     double max)
{
    char full[CONFIG_NAME], text[48];
    double x = def;
    if (c->api->config_number(c->w, full_key(c, key, full), &x) < 0) {
        config_fail(c, key, "is not a number");
    } else if (!(x >= min && x <= max)) {
        snprintf(text, sizeof text, "is %g, out of range", x);
        config_fail(c, key, text);
    }
    return c->st < 0 ? def : x;
}

uint32_t config_count(struct config *c, const char *key, double def, double max)
{
    double x = config_number(c, key, def, 1, max);
    if (x != (double)(uint32_t)x)
        config_fail(c, key, "is not an integer");
    return (uint32_t)x;
}

uint32_t config_entry(struct config *c, const char *key, int k, double def,
                      double max)
{
    char at[CONFIG_NAME];
    snprintf(at, sizeof at, "%s.%d", key, k);
    return config_count(c, at, def, max);
}

uint32_t config_either(struct config *c, const char *key, const char *other,
                       double def, double max)
{
    const char *section = c->section;
    c->section = "";
    def = config_count(c, other, def, max);
    uint32_t x = config_count(c, key, def, max);
    c->section = section;
    return x;
}

const char *config_vision(const struct config *c)
{
    double x;
    return c->api->config_number(c->w, "model_cfg.vision_cfg.image_size", &x) > 0
               ? "model_cfg.vision_cfg" : "vision_config";
}

const char *config_string(struct config *c, const char *key, const char *def)
{
    char full[CONFIG_NAME];
    const char *s = def;
    if (c->api->config_string(c->w, full_key(c, key, full), &s) < 0)
        config_fail(c, key, "is not a string");
    return s;
}

int config_activation(struct config *c, const char *key, const char *def)
{
    static const struct {
        const char *name;
        int act;
    } known[] = {
        { "quick_gelu", MOHS_ACT_QUICK_GELU },
        { "gelu", MOHS_ACT_GELU },
        { "gelu_new", MOHS_ACT_GELU_TANH },
        { "gelu_pytorch_tanh", MOHS_ACT_GELU_TANH },
        { "relu", MOHS_ACT_RELU },
        { "silu", MOHS_ACT_SILU },
    };
    const char *name = config_string(c, key, def);
    char text[80];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name))
            return known[i].act;
    snprintf(text, sizeof text, "is \"%.40s\", an unknown activation", name);
    config_fail(c, key, text);
    return MOHS_ACT_NONE;
}

const char *config_class(const struct config *c, uint32_t index)
{
    static const char *const list[] = { "id2label", "label_names" };
    char key[CONFIG_NAME];
    const char *s = NULL;
    for (int i = 0; i < 2; i++) {
        snprintf(key, sizeof key, "%s.%u", list[i], index);
        if (c->api->config_string(c->w, key, &s) > 0)
            return s;
    }
    return NULL;
}

/* ---- names ---- */

/* One entry: '#' and '*' of the pattern are kept and put into the source. */
static int match(const struct rename *r, const char *name,
                 char source[CONFIG_NAME])
{
    const char *p = r->name, *s = name, *number[4] = { "" };
    uint32_t n = 0, digits[4] = { 0 };
    for (; *p && *p != '*'; p++) {
        if (*p == '#' && n < 4) {
            number[n] = s;
            digits[n] = (uint32_t)strspn(s, "0123456789");
            s += digits[n];
            if (!digits[n++])
                return 0;
        } else if (*p != *s++) {
            return 0;
        }
    }
    if (*p != '*' && *s)
        return 0;
    size_t at = 0;
    uint32_t k = 0;
    for (p = r->source; *p && at < CONFIG_NAME; p++) {
        int size = 1;
        const char *from = p;
        if (*p == '#' && k < n) {
            from = number[k];
            size = (int)digits[k++];
        } else if (*p == '*') {
            from = s;
            size = (int)strlen(s);
        }
        at +=
            (size_t)snprintf(source + at, CONFIG_NAME - at, "%.*s", size, from);
    }
    return 1;
}

const struct rename *rename_find(const struct rename *map, const char *name,
                                 char source[CONFIG_NAME])
{
    for (; map && map->name; map++)
        if (match(map, name, source))
            return map;
    snprintf(source, CONFIG_NAME, "%s", name);
    return NULL;
}

/* ---- tensors ---- */

static int32_t shape_of(const struct config *c, const char *name,
                        uint32_t dims[MOHS_DIMS_MAX])
{
    char source[CONFIG_NAME];
    rename_find(c->map, name, source);
    return c->api->shape(c->w, source, dims);
}

uint32_t tensor_dim(const struct config *c, const char *name, int axis,
                    uint32_t def)
{
    uint32_t dims[MOHS_DIMS_MAX];
    int32_t all = shape_of(c, name, dims), n = 0;
    for (int32_t i = 0; i < all; i++)
        if (dims[i] != 1)
            dims[n++] = dims[i];
    if (axis < 0)
        axis += n;
    return axis >= 0 && axis < n ? dims[axis] : def;
}

int has_tensor(const struct config *c, const char *name)
{
    uint32_t dims[MOHS_DIMS_MAX];
    return shape_of(c, name, dims) >= 0;
}

uint32_t count_tensors(const struct config *c, const char *prefix,
                       const char *suffix, uint32_t def)
{
    char name[CONFIG_NAME];
    uint32_t n = 0;
    for (; n < TENSORS_MAX; n++) {
        snprintf(name, sizeof name, "%s%u%s", prefix, n, suffix);
        if (!has_tensor(c, name))
            break;
    }
    return n ? n : def;
}

float read_scalar(struct config *c, const char *name, float def)
{
    char source[CONFIG_NAME];
    float x = def;
    rename_find(c->map, name, source);
    if (c->st >= 0 && has_tensor(c, name))
        c->st = c->api->read(c->w, source, &x, 1, c->err);
    return c->st < 0 ? def : x;
}
