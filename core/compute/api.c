/* SPDX-License-Identifier: MIT */
/* "mohs.compute/1" for plugins: the room's functions behind a host. */
#include "config.h"

#include "compute/compute_impl.h"

struct compute *(*compute_of_host)(const struct mohs_host *host);

static struct compute *of(const struct mohs_host *host, struct mohs_error *err)
{
    struct compute *c = compute_of_host ? compute_of_host(host) : NULL;
    if (!c)
        mohs_fail(err, MOHS_E_DEVICE, "this host has no OpenCL device open");
    return c;
}

static const struct mohs_device_info *api_device(const struct mohs_host *host)
{
    struct compute *c = of(host, NULL);
    return c ? compute_device(c) : NULL;
}

static mohs_status api_program(const struct mohs_host *host, const char *name,
                               const char *source, size_t len,
                               const char *options, struct mohs_program **out,
                               struct mohs_error *err)
{
    struct compute *c = of(host, err);
    return c ? program_get(c, name, source, len, options, out, err) :
               MOHS_E_DEVICE;
}

static mohs_status api_buffer_new(const struct mohs_host *host, size_t bytes,
                                  struct mohs_buffer **out,
                                  struct mohs_error *err)
{
    struct compute *c = of(host, err);
    return c ? buffer_new(c, bytes, out, err) : MOHS_E_DEVICE;
}

static mohs_status api_run(const struct mohs_host *host,
                           struct mohs_program *program, const char *kernel,
                           uint32_t dims, const size_t *global,
                           const size_t *local, const struct mohs_arg *args,
                           uint32_t n_args, struct mohs_error *err)
{
    struct compute *c = of(host, err);
    return c ? kernel_run(c, program, kernel, dims, global, local, args, n_args,
                          err) : MOHS_E_DEVICE;
}

static mohs_status api_finish(const struct mohs_host *host,
                              struct mohs_error *err)
{
    struct compute *c = of(host, err);
    return c ? compute_finish(c, err) : MOHS_E_DEVICE;
}

const struct mohs_compute_api compute_api = {
    .size = sizeof compute_api,
    .device = api_device,
    .program = api_program,
    .buffer_new = api_buffer_new,
    .buffer_ref = buffer_ref,
    .buffer_unref = buffer_unref,
    .write = buffer_write,
    .read = buffer_read,
    .run = api_run,
    .finish = api_finish,
};
