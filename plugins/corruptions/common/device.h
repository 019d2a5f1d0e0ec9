/* SPDX-License-Identifier: MIT */
/*
 * Pictures through one OpenCL kernel: `void NAME(global const uchar *in,
 * global uchar *out, ...)`. And the reference that every corruption keeps
 * beside its kernel, offered to tests as "mohs.reference/1".
 */
#ifndef CORRUPTIONS_DEVICE_H
#define CORRUPTIONS_DEVICE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <mohs/plugin.h>

#define MOHS_EXT_REFERENCE "mohs.reference/1"

/* The same contract as mohs_corruption_ops.apply, in plain C. */
struct mohs_reference_api {
    uint32_t size;
    mohs_status (*apply)(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity, uint64_t seed,
                         struct mohs_error *err);
};

/* An embedded kernel file. */
struct device_source {
    const char *name;
    const unsigned char *text;
    size_t n;
};

enum { DEVICE_EXTRA = 12 };

struct device_call {
    const struct mohs_host *host;
    const struct mohs_compute_api *api;
    struct mohs_program *program;
    struct mohs_buffer *in, *out, *keys;
};

static inline void device_end(struct device_call *d)
{
    if (!d->api)
        return;
    d->api->buffer_unref(d->in);
    d->api->buffer_unref(d->out);
    d->api->buffer_unref(d->keys);
}

/* Compiles the source and uploads pictures and keys. */
static inline mohs_status device_begin(struct device_call *d, const struct mohs_host *host,
                                       const struct device_source *s,
                                       const struct mohs_images *in,
                                       struct mohs_error *err)
{
    size_t bytes = (size_t)in->n * in->height * in->width * 3;
    struct device_call call = { .host = host,
                                .api = host->get_extension(host, MOHS_EXT_COMPUTE) };
    *d = call;
    if (!d->api)
        return mohs_fail(err, MOHS_E_UNSUPPORTED, "%s: the host has no %s", s->name,
                         MOHS_EXT_COMPUTE);
    mohs_status st = d->api->program(host, s->name, (const char *)s->text, s->n, "",
                                     &d->program, err);
    if (st >= 0)
        st = d->api->buffer_new(host, bytes, &d->in, err);
    if (st >= 0)
        st = d->api->buffer_new(host, bytes, &d->out, err);
    if (st >= 0)
        st = d->api->buffer_new(host, in->n * sizeof *in->key, &d->keys, err);
    if (st >= 0)
        st = d->api->write(d->in, 0, in->rgb, bytes, err);
    if (st >= 0)
        st = d->api->write(d->keys, 0, in->key, in->n * sizeof *in->key, err);
    return st;
}

/* Runs `kernel`(in, out, args...) over global[0..dims) work-items. */
static inline mohs_status device_run(struct device_call *d, const char *kernel,
                                     uint32_t dims, const size_t *global,
                                     const struct mohs_arg *args, uint32_t n,
                                     struct mohs_error *err)
{
    struct mohs_arg all[2 + DEVICE_EXTRA] = { mohs_arg_buffer(d->in),
                                              mohs_arg_buffer(d->out) };
    for (uint32_t i = 0; i < n && i < DEVICE_EXTRA; i++)
        all[2 + i] = args[i];
    return d->api->run(d->host, d->program, kernel, dims, global, NULL, all, 2 + n, err);
}

static inline mohs_status device_fetch(struct device_call *d, struct mohs_images *out,
                                       struct mohs_error *err)
{
    return d->api->read(d->out, 0, out->rgb,
                        (size_t)out->n * out->height * out->width * 3, err);
}

static inline mohs_status bad_severity(const char *id, uint32_t severity,
                                       struct mohs_error *err)
{
    return severity >= 1 && severity <= 5
               ? MOHS_OK
               : mohs_fail(err, MOHS_E_ARG, "%s: severity %u is outside 1..5", id,
                           severity);
}

/* x in 0..1 to a byte as np.uint8(np.clip(x, 0, 1) * 255) does: cut, not
 * rounded. */
static inline uint8_t to_byte(double x)
{
    return (uint8_t)((x < 0 ? 0 : x > 1 ? 1 : x) * 255);
}

#endif
