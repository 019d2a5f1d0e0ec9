/* SPDX-License-Identifier: MIT */
/* What weights.c and safetensors.c share. */
#ifndef CORE_WEIGHTS_H
#define CORE_WEIGHTS_H

#include <jansson.h>
#include <pthread.h>

#include "model/model.h"

enum dtype { DT_F32, DT_F16, DT_BF16, DT_F64, DT_I64, DT_I32, DT_I16, DT_I8,
             DT_U64, DT_U32, DT_U16, DT_U8, DT_BOOL, DT_F8_E5M2, DT_F8_E4M3,
             DT_COUNT };

struct dtype_info {
    const char *name;
    uint32_t bytes;
};
extern const struct dtype_info dtype_table[DT_COUNT];

enum { WEIGHTS_DIMS_MAX = 5 };

struct wtensor {
    char *name;
    enum dtype dtype;
    uint32_t n_dims, dims[WEIGHTS_DIMS_MAX];
    uint64_t count;      /* elements */
    const uint8_t *data; /* count * bytes, any alignment */
    uint8_t *own;        /* data, when it is not in a mapping */
};

struct wmap {
    void *p;
    size_t n;
};

struct mohs_weights {
    char *path;
    struct wtensor *v;
    size_t n, cap;
    uint32_t *slot; /* open addressing: index + 1, 0 when free */
    size_t n_slots; /* a power of two */
    struct wmap *map;
    size_t n_maps;
    json_t *meta; /* object of strings */
    char *config, *tokenizer, *preprocessor;
    json_t *config_json;
    char *config_from;  /* the file or metadata that `config` is from */
    const char *format; /* "safetensors", "PyTorch", "TorchScript", or NULL */
    size_t n_files;
    pthread_mutex_t lock; /* of the two fields below */
    bool hashed;
    struct hash128 hash;
};

/* The tensor of that name, or NULL. */
struct wtensor *weights_find(const struct mohs_weights *w, const char *name);
/* Adds a tensor; takes t->name and t->own even on failure. A name already
 * there is an error. */
mohs_status weights_add(struct mohs_weights *w, const struct wtensor *t,
                        struct mohs_error *err);
/* Converts n elements to float32. */
mohs_status dtype_to_f32(enum dtype d, const uint8_t *in, float *out, uint64_t n,
                         struct mohs_error *err);
/* The same for values first .. first + n of t, in pieces whose pages are given
 * back. */
mohs_status weights_values(const struct mohs_weights *w, const struct wtensor *t,
                           uint64_t first, float *out, uint64_t n,
                           struct mohs_error *err);
/* These bytes of a tensor are not needed for now: no memory is held for them
 * when they lie in a mapped file, where the next look finds them again. */
void weights_forget(const struct mohs_weights *w, const uint8_t *data, size_t n);
/* Round to nearest even; values past the largest half become infinity. */
uint16_t half_from_float(float f);
void half_to_float(const uint8_t *in, float *out, uint64_t n);
void bfloat_to_float(const uint8_t *in, float *out, uint64_t n);

struct mohs_weights *weights_blank(const char *path);
/* Takes `prefix` off every name, when every name has it. */
void weights_strip(struct mohs_weights *w, const char *prefix);
/* The JSON object in a text, kept or only checked; no text is fine. */
mohs_status weights_check_part(const char *text, const char *owner,
                               const char *part, json_t **keep,
                               struct mohs_error *err);

/* Checks the bytes of a safetensors file and adds its tensors (borrowed from
 * `data`) and metadata. `name` is for messages. */
mohs_status safetensors_parse(struct mohs_weights *w, const uint8_t *data,
                              size_t n, const char *name,
                              struct mohs_error *err);
/* The same for a zip archive of PyTorch; tensors that are strided views are
 * copied. Its pickle is read without executing anything. */
mohs_status torch_parse(struct mohs_weights *w, const uint8_t *data, size_t n,
                        const char *name, struct mohs_error *err);
/* Maps a file of either format, which then belongs to w, and parses it. */
mohs_status weights_map(struct mohs_weights *w, const char *path,
                        struct mohs_error *err);

/* Parses JSON text of at most `max` bytes: no duplicate keys, an object at
 * the top. NULL and *err on failure. */
json_t *json_text(const char *s, size_t n, const char *name,
                  struct mohs_error *err);

#endif
