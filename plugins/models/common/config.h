/* SPDX-License-Identifier: MIT */
/*
 * Reading a checkpoint's configuration and the shapes of its tensors, for
 * model plugins. The first thing that does not fit is kept as an error with
 * the file, the key and the value; what is read after it is the default.
 */
#ifndef MODELS_CONFIG_H
#define MODELS_CONFIG_H

#include <mohs/plugin.h>

enum { CONFIG_NAME = 160 };

/*
 * How a checkpoint calls a parameter: `name` is the plugin's pattern, `source`
 * the file's. A '#' stands for a number, a '*' at the end for any rest; both
 * are carried over. Rows part .. of `parts` equal ones, when the file keeps
 * several matrices in one ("attn.qkv.*"). Tables end with a NULL name; a name
 * that no entry matches is the file's own.
 */
struct rename {
    const char *name, *source;
    uint32_t part, parts; /* 0, 0: all rows; RENAME_TURNED: transposed */
};
#define RENAME_TURNED UINT32_MAX /* in `parts`: the file has [in, out] */
/* The file's name of parameter `name`, in `source`; returns the entry, or
 * NULL when it is `name` itself. */
const struct rename *rename_find(const struct rename *map, const char *name,
                                 char source[CONFIG_NAME]);

struct config {
    const struct mohs_weights_api *api;
    const struct mohs_weights *w;
    const struct rename *map; /* NULL: names are the plugin's own */
    const char *section; /* put before keys with a dot; "": none */
    mohs_status st;
    struct mohs_error *err;
};

/* The host's view of weights; NULL when it has none. */
const struct mohs_weights_api *config_api(const struct mohs_host *host);

/* Records that `key` "is ...". */
void config_fail(struct config *c, const char *key, const char *what);
/* A number in min..max; `def` when the key is absent. */
double config_number(struct config *c, const char *key, double def, double min,
                     double max);
/* An integer in 1..max. */
uint32_t config_count(struct config *c, const char *key, double def,
                      double max);
/* Entry `k` of the list at `key`, likewise. */
uint32_t config_entry(struct config *c, const char *key, int k, double def,
                      double max);
/* config_count of the full path `key`, else of `other`, whatever the section. */
uint32_t config_either(struct config *c, const char *key, const char *other,
                       double def, double max);
/* Where an image tower's sizes are: open_clip's section, else transformers'. */
const char *config_vision(const struct config *c);
/* A string, borrowed; `def` when the key is absent. */
const char *config_string(struct config *c, const char *key, const char *def);
/* MOHS_ACT_* by transformers' names. */
int config_activation(struct config *c, const char *key, const char *def);

/* The name of class `index` as transformers (id2label) or timm (label_names)
 * keep it; NULL when they say nothing. For mohs.classifier/1. */
const char *config_class(const struct config *c, uint32_t index);

/* ---- tensors, by the plugin's names ---- */

/* Entry `axis` of the shape of `name` without the dims of size one, counted
 * from the end when negative, all rows of a fused tensor; `def` when there
 * is no such tensor or entry. */
uint32_t tensor_dim(const struct config *c, const char *name, int axis,
                    uint32_t def);
int has_tensor(const struct config *c, const char *name);
/* How many of the names PREFIX<i>SUFFIX there are, i = 0, 1, ..; `def` when
 * there is none. */
uint32_t count_tensors(const struct config *c, const char *prefix,
                       const char *suffix, uint32_t def);
/* A tensor of one value; `def` when it is absent. */
float read_scalar(struct config *c, const char *name, float def);

#endif
