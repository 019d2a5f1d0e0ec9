/* SPDX-License-Identifier: MIT */
/*
 * What the corruptions of this directory share: the profile and jpeg85
 * parameters, the way of a batch through the device, and the reference in C
 * that every corruption keeps beside its kernel and offers to tests as
 * "mohs.reference/1". A corruption fills struct corruption; CORRUPTION_ITEM
 * and CORRUPTION_PLUGIN make the rest. Failures stick to the job: once one
 * call has failed the others do nothing, and the status is returned at the
 * end.
 */
#ifndef CORRUPTIONS_CORRUPTION_H
#define CORRUPTIONS_CORRUPTION_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>

#include "jpeg.h"

#define MOHS_EXT_REFERENCE "mohs.reference/1"

/* The same contract as mohs_corruption_ops.apply, in plain C. */
struct mohs_reference_api {
    uint32_t size;
    mohs_status (*apply)(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err);
};

/*
 * Whose constants and algorithm: the scripts that made ImageNet-C,
 * Tiny-ImageNet-C and CIFAR-C, or the PyPI package imagecorruptions. Any
 * size of picture is allowed in each.
 */
enum profile { HENDRYCKS, IMAGECORRUPTIONS, TINYIMAGENET, CIFAR, N_PROFILES };

struct corruption_params {
    int32_t profile, jpeg85;
};

struct corruption_self;
struct job;

/* What a corruption is. */
struct corruption {
    const char *id;
    const unsigned char *source; /* OpenCL, or NULL: runs on the host */
    size_t source_bytes;
    int needs_depth; /* set with MOHS_CORRUPTION_DEPTH: j->depth is there */
    /* Enqueues the batch j->n from j->in to j->out. NULL: reference only. */
    void (*device)(struct job *j);
    /* Picture i of the batch, to out. */
    void (*reference)(struct job *j, uint32_t i, uint8_t *out);
    /* Optional: more state from the item's own parameters, in self->own. */
    mohs_status (*open)(struct corruption_self *self, const void *params,
                        struct mohs_error *err);
    void (*close)(void *own);
};

enum { N_SLOTS = 14, SLOT_IN = N_SLOTS, SLOT_OUT, SLOT_KEYS, N_ALL_SLOTS };

/* A device buffer kept from call to call. */
struct slot {
    struct mohs_buffer *buffer;
    size_t bytes;
    uint64_t tag; /* what it holds, 0: nothing lasting */
};

struct corruption_self {
    const struct mohs_host *host;
    const struct corruption *what;
    enum profile profile;
    int jpeg85;
    void *own;
    struct slot slot[N_ALL_SLOTS];
};

/* A batch of equal pictures, at most CHUNK_VALUES bytes unless n is 1. */
struct job {
    struct corruption_self *self;
    enum profile profile;
    uint32_t n, width, height;
    uint32_t row, values, pixels; /* width * 3, a picture's bytes, pixels */
    uint32_t level;               /* severity - 1 */
    uint64_t seed;
    const uint8_t *rgb;
    const float *depth; /* n * pixels, finite, > 0, or NULL */
    const uint64_t *key;
    const struct mohs_compute_api *api;
    struct mohs_program *program;
    struct mohs_buffer *in, *out, *keys;
    mohs_status st;
    struct mohs_error *err;
};

/* Big enough to hide launches, small enough for a processor's cache. */
enum { CHUNK_VALUES = 1 << 20, DEVICE_SLACK = 64 };

/* Vectors that a work-item of an element-wise kernel takes; STRIP of the
 * kernels. */
enum { STRIP = 32 };

/* ---- constants ---- */

/* The row of a table by make script: 0 ImageNet, 1 Tiny-ImageNet, 2 CIFAR. */
static inline int make_of(const struct job *j)
{
    return j->profile == TINYIMAGENET ? 1 : j->profile == CIFAR ? 2 : 0;
}

/* ---- draws ---- */

/* Draw `index` of picture i's stream, uniform in low..high. */
static inline double job_draw(const struct job *j, uint32_t i, uint64_t index,
                              double low, double high)
{
    return low +
           (high - low) * (double)mohs_rng_uniform(j->seed, j->key[i], index);
}

/* ---- indices and bytes ---- */

static inline int clamp_index(int i, int n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* Mirrored without repeating the border: OpenCV's reflect-101. */
static inline int mirror101(int i, int n)
{
    if (n == 1)
        return 0;
    int period = 2 * n - 2;
    i %= period;
    i = i < 0 ? i + period : i;
    return i < n ? i : period - i;
}

/* Mirrored with the border repeated: SciPy's reflect. */
static inline int mirror_half(int i, int n)
{
    i %= 2 * n;
    i = i < 0 ? i + 2 * n : i;
    return i < n ? i : 2 * n - 1 - i;
}

/* x in 0..1 to a byte as np.uint8(np.clip(x, 0, 1) * 255) does: cut, not
 * rounded. */
static inline uint8_t to_byte(double x)
{
    return (uint8_t)((x < 0 ? 0 : x > 1 ? 1 : x) * 255);
}

/* ---- the job ---- */

static inline void job_fail(struct job *j, mohs_status st, const char *what)
{
    if (j->st >= 0)
        j->st = mohs_fail(j->err, st, "%s: %s", j->self->what->id, what);
}

/* Memory until the end of the plugin's call; NULL after a failure. */
static inline void *job_scratch(struct job *j, size_t n, size_t each)
{
    const struct mohs_scratch_api *s =
        j->self->host->get_extension(j->self->host, MOHS_EXT_SCRATCH);
    if (j->st < 0)
        return NULL;
    void *p = s && n <= SIZE_MAX / 2 / each ? s->alloc(j->self->host, n * each)
                                            : NULL;
    if (!p)
        job_fail(j, MOHS_E_NOMEM, "no memory");
    return p;
}

/* A buffer of at least `bytes`; what it held is lost. NULL after failure. */
static inline struct mohs_buffer *job_buffer(struct job *j, int slot,
                                             size_t bytes)
{
    struct slot *s = &j->self->slot[slot];
    if (j->st < 0)
        return NULL;
    s->tag = 0;
    if (s->bytes >= bytes)
        return s->buffer;
    j->api->buffer_unref(s->buffer);
    s->buffer = NULL;
    s->bytes = 0;
    j->st = j->api->buffer_new(j->self->host, bytes, &s->buffer, j->err);
    s->bytes = j->st < 0 ? 0 : bytes;
    return s->buffer;
}

static inline struct mohs_buffer *job_upload(struct job *j, int slot,
                                             const void *data, size_t bytes)
{
    struct mohs_buffer *b = job_buffer(j, slot, bytes);
    if (j->st >= 0)
        j->st = j->api->write(b, 0, data, bytes, j->err);
    return b;
}

/* True if the slot still holds what job_keep() called `tag`, never 0. */
static inline int job_has(struct job *j, int slot, uint64_t tag)
{
    return j->st >= 0 && j->self->slot[slot].tag == tag;
}

static inline struct mohs_buffer *
job_keep(struct job *j, int slot, uint64_t tag, const void *data, size_t bytes)
{
    struct mohs_buffer *b = job_upload(j, slot, data, bytes);
    if (j->st >= 0)
        j->self->slot[slot].tag = tag;
    return b;
}

static inline struct mohs_buffer *job_slot(struct job *j, int slot)
{
    return j->self->slot[slot].buffer;
}

static inline void job_launch(struct job *j, const char *kernel,
                              const size_t *global, const struct mohs_arg *args,
                              size_t n)
{
    // A processor's compiler builds a kernel anew for every group size, and
    // kernels here bring their own vectors: groups of one. Others choose.
    static const size_t one[] = { 1, 1, 1 };
    if (j->st < 0)
        return;
    int gpu = j->api->device(j->self->host)->type == MOHS_DEVICE_GPU;
    j->st = j->api->run(j->self->host, j->program, kernel, 3, global,
                        gpu ? NULL : one, args, (uint32_t)n, j->err);
}

/* job_run(j, "kernel", x, y, z, BUF(b), U32(n), ...) */
#define job_run(j, kernel, x, y, z, ...)                           \
    job_launch(j, kernel, (const size_t[]) { x, y, z },            \
               (const struct mohs_arg[]) { __VA_ARGS__ },          \
               sizeof((const struct mohs_arg[]) { __VA_ARGS__ }) / \
                   sizeof(struct mohs_arg))
#define BUF(x) mohs_arg_buffer(x)
#define U32(x) mohs_arg_u32(x)
#define I32(x) mohs_arg_i32(x)
#define U64(x) mohs_arg_u64(x)
#define F32(x) mohs_arg_f32(x)

static inline uint32_t groups_of(uint32_t n, uint32_t each)
{
    return (n + each - 1) / each;
}

/* Work-items for n values by vectors of `each`. */
static inline uint32_t strips_of(uint32_t n, uint32_t each)
{
    return groups_of(n, each * STRIP);
}

/* ---- apply ---- */

static inline void device_begin(struct job *j)
{
    const struct corruption *what = j->self->what;
    j->api = j->self->host->get_extension(j->self->host, MOHS_EXT_COMPUTE);
    if (!j->api) {
        job_fail(j, MOHS_E_UNSUPPORTED, "the host has no " MOHS_EXT_COMPUTE);
        return;
    }
    j->st = j->api->program(j->self->host, what->id, (const char *)what->source,
                            what->source_bytes, "", &j->program, j->err);
}

static inline void device_chunk(struct job *j, uint8_t *out)
{
    size_t bytes = (size_t)j->n * j->values;
    // vectors may read, never write, past the last picture
    j->in = job_buffer(j, SLOT_IN, bytes + DEVICE_SLACK);
    if (j->st >= 0)
        j->st = j->api->write(j->in, 0, j->rgb, bytes, j->err);
    j->keys = job_upload(j, SLOT_KEYS, j->key, j->n * sizeof *j->key);
    j->out = job_buffer(j, SLOT_OUT, bytes + DEVICE_SLACK);
    if (j->st >= 0)
        j->self->what->device(j);
    if (j->st >= 0)
        j->st = j->api->read(j->out, 0, out, bytes, j->err);
}

static inline void job_pictures(struct job *j, int device, uint8_t *out)
{
    if (device)
        device_chunk(j, out);
    else
        for (uint32_t i = 0; i < j->n && j->st >= 0; i++)
            j->self->what->reference(j, i, out + (size_t)i * j->values);
    for (uint32_t i = 0; i < j->n && j->self->jpeg85 && j->st >= 0; i++) {
        uint8_t *p = out + (size_t)i * j->values;
        j->st = jpeg_round_trip(j->self->what->id, p, p, j->width, j->height,
                                85, j->err);
    }
}

static inline mohs_status depth_check(const struct corruption_self *self,
                                      const struct mohs_images *in,
                                      struct mohs_error *err)
{
    size_t pixels = (size_t)in->height * in->width;
    if (!in->depth)
        return mohs_fail(err, MOHS_E_ARG,
                         "%s: needs depth: a data set with depth maps, or "
                         "mohs corrupt --depth",
                         self->what->id);
    for (size_t i = 0; i < in->n * pixels; i++)
        if (!(in->depth[i] > 0) || !isfinite(in->depth[i]))
            return mohs_fail(err, MOHS_E_ARG,
                             "%s: depth %g of picture %zu, pixel %zu is not "
                             "finite and above 0",
                             self->what->id, (double)in->depth[i], i / pixels,
                             i % pixels);
    return MOHS_OK;
}

static inline mohs_status corruption_run(struct corruption_self *self,
                                         const struct mohs_images *in,
                                         struct mohs_images *out,
                                         uint32_t severity, uint64_t seed,
                                         int device, struct mohs_error *err)
{
    uint64_t values = (uint64_t)in->height * in->width * 3;
    if (severity < 1 || severity > 5)
        return mohs_fail(err, MOHS_E_ARG, "%s: severity %u is outside 1..5",
                         self->what->id, severity);
    if (values > INT32_MAX / 4)
        return mohs_fail(err, MOHS_E_ARG, "%s: %u x %u pixels are too many",
                         self->what->id, in->width, in->height);
    if (self->what->needs_depth) {
        mohs_status st = depth_check(self, in, err);
        if (st < 0)
            return st;
    }
    struct job j = { .self = self,
                     .profile = self->profile,
                     .width = in->width,
                     .height = in->height,
                     .row = in->width * 3,
                     .values = (uint32_t)values,
                     .pixels = (uint32_t)values / 3,
                     .level = severity - 1,
                     .seed = seed,
                     .err = err };
    uint32_t chunk = CHUNK_VALUES > values ? CHUNK_VALUES / j.values : 1;
    if (device)
        device_begin(&j);
    for (uint32_t i = 0; i < in->n && j.st >= 0; i += chunk) {
        j.n = in->n - i < chunk ? in->n - i : chunk;
        j.rgb = in->rgb + (size_t)i * j.values;
        j.depth = in->depth ? in->depth + (size_t)i * j.pixels : NULL;
        j.key = in->key + i;
        job_pictures(&j, device, out->rgb + (size_t)i * j.values);
    }
    return j.st;
}

static inline mohs_status corruption_apply(void *self,
                                           const struct mohs_images *in,
                                           struct mohs_images *out,
                                           uint32_t severity, uint64_t seed,
                                           struct mohs_error *err)
{
    struct corruption_self *s = self;
    return corruption_run(s, in, out, severity, seed, s->what->device != NULL,
                          err);
}

static inline mohs_status reference_apply(void *self,
                                          const struct mohs_images *in,
                                          struct mohs_images *out,
                                          uint32_t severity, uint64_t seed,
                                          struct mohs_error *err)
{
    return corruption_run(self, in, out, severity, seed, 0, err);
}

/* ---- items ---- */

static inline mohs_status corruption_create(const struct corruption *what,
                                            const struct mohs_host *host,
                                            const void *params, void **out,
                                            struct mohs_error *err)
{
    const struct corruption_params *p = params;
    struct corruption_self *s = calloc(1, sizeof *s);
    if (!s)
        return mohs_fail(err, MOHS_E_NOMEM, "%s: no memory", what->id);
    s->host = host;
    s->what = what;
    s->profile = (enum profile)p->profile;
    s->jpeg85 = p->jpeg85;
    mohs_status st = MOHS_OK;
    // asked for here, so that the host knows to keep us on one thread
    if (what->device && !host->get_extension(host, MOHS_EXT_COMPUTE))
        st = mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: the host has no %s",
                       what->id, MOHS_EXT_COMPUTE);
    if (st >= 0 && what->open)
        st = what->open(s, params, err);
    if (st < 0)
        free(s);
    else
        *out = s;
    return st;
}

static inline void corruption_destroy(void *self)
{
    struct corruption_self *s = self;
    if (!s)
        return;
    const struct mohs_compute_api *api =
        s->what->device ? s->host->get_extension(s->host, MOHS_EXT_COMPUTE)
                        : NULL;
    for (int i = 0; i < N_ALL_SLOTS && api; i++)
        api->buffer_unref(s->slot[i].buffer);
    if (s->what->close)
        s->what->close(s->own);
    free(s);
}

static inline const void *corruption_extension(void *self, const char *id)
{
    static const struct mohs_reference_api api = { sizeof api,
                                                   reference_apply };
    (void)self;
    return strcmp(id, MOHS_EXT_REFERENCE) ? NULL : &api;
}

static const char *const profile_names[] = { "hendrycks", "imagecorruptions",
                                             "tinyimagenet", "cifar", NULL };

/* The first two rows of every table; `type` starts with corruption_params. */
#define CORRUPTION_PARAMS(type, common)                                        \
    { "profile",                                                               \
      "whose constants: the scripts that made ImageNet-C, Tiny-ImageNet-C or " \
      "CIFAR-C, or the package imagecorruptions",                              \
      MOHS_P_CHOICE,                                                           \
      offsetof(type, common profile),                                          \
      0,                                                                       \
      0,                                                                       \
      N_PROFILES - 1,                                                          \
      profile_names,                                                           \
      NULL },                                                                  \
    {                                                                          \
        "jpeg85",                                                              \
            "save as JPEG of quality 85 and read back, as the files of "       \
            "ImageNet-C were",                                                 \
            MOHS_P_BOOL, offsetof(type, common jpeg85), 0, 0, 1, NULL, NULL    \
    }

#define CORRUPTION_ITEM_OF(name, flags_, text, table, type)                    \
    CORRUPTION_ITEM_WITH(name, flags_, text, table,                            \
                         sizeof table / sizeof *table, type)

/* An item without parameters. */
#define CORRUPTION_ITEM_PLAIN(name, flags_, text)                              \
    CORRUPTION_ITEM_WITH(name, flags_, text, NULL, 0, struct corruption_params)

#define CORRUPTION_ITEM_WITH(name, flags_, text, table, n_table, type)         \
    static mohs_status name##_create(const struct mohs_host *host,             \
                                     const void *params, void **self,          \
                                     struct mohs_error *err)                   \
    {                                                                          \
        return corruption_create(&name##_corruption, host, params, self, err); \
    }                                                                          \
    static const struct mohs_corruption_ops name##_ops = {                     \
        .size = sizeof name##_ops,                                             \
        .flags = flags_,                                                       \
        .create = name##_create,                                               \
        .destroy = corruption_destroy,                                         \
        .apply = corruption_apply,                                             \
        .get_extension = corruption_extension,                                 \
    };                                                                         \
    static const struct mohs_item name##_item = {                              \
        .size = sizeof name##_item,                                            \
        .param_stride = sizeof(struct mohs_param),                             \
        .kind = MOHS_KIND_CORRUPTION,                                          \
        .id = #name,                                                           \
        .summary = text,                                                       \
        .params = table,                                                       \
        .n_params = n_table,                                                   \
        .params_size = sizeof(type),                                           \
        .ops = &name##_ops,                                                    \
    }

/* An item `name` from struct corruption name##_corruption. */
#define CORRUPTION_ITEM(name, flags_, text)                               \
    static const struct mohs_param name##_params[] = { CORRUPTION_PARAMS( \
        struct corruption_params, ) };                                    \
    CORRUPTION_ITEM_OF(name, flags_, text, name##_params,                 \
                       struct corruption_params)

/* The entry point; the rest are &name_item, ... */
#define CORRUPTION_PLUGIN(id_, text, ...)                                 \
    static const struct mohs_item *const items[] = { __VA_ARGS__, NULL }; \
    static const struct mohs_plugin plugin = {                            \
        .size = sizeof plugin,                                            \
        .abi = MOHS_ABI,                                                  \
        .id = id_,                                                        \
        .name = text,                                                     \
        .version = "1.0",                                                 \
        .license = "MIT",                                                 \
        .items = items,                                                   \
    };                                                                    \
    const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)           \
    {                                                                     \
        (void)host_abi;                                                   \
        return &plugin;                                                   \
    }

#endif
