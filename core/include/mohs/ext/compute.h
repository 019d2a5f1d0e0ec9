/* SPDX-License-Identifier: MIT */
/*
 * "mohs.compute/1": OpenCL through the host. Kernels are OpenCL C 1.2 in
 * fp32; the host prepends its prelude (rng.clh: mohs_philox, mohs_u01,
 * mohs_rng_u32/uniform/normal/below/fork with the meaning of rng.h), keeps
 * compiled programs in its disk cache, and runs everything in order on one
 * queue. A context-free OpenCL handle never leaves the host.
 */
#ifndef MOHS_EXT_COMPUTE_H
#define MOHS_EXT_COMPUTE_H

#include <mohs/error.h>
#include <mohs/host.h>

#define MOHS_EXT_COMPUTE "mohs.compute/1"

struct mohs_buffer;  /* ref-counted device memory */
struct mohs_program; /* host-owned, lives as long as the host */

enum { MOHS_DEVICE_CPU = 1, MOHS_DEVICE_GPU = 2, MOHS_DEVICE_ACCELERATOR = 4 };

struct mohs_device_info {
    uint32_t size;
    uint32_t type; /* MOHS_DEVICE_* */
    const char *name, *vendor, *version;
    uint32_t units;           /* CL_DEVICE_MAX_COMPUTE_UNITS */
    uint32_t max_group;       /* CL_DEVICE_MAX_WORK_GROUP_SIZE */
    uint64_t memory_bytes, max_alloc_bytes, local_bytes;
};

enum { MOHS_ARG_BUFFER = 1, MOHS_ARG_VALUE, MOHS_ARG_LOCAL };

/* One kernel argument; make it with the functions below. */
struct mohs_arg {
    uint32_t kind;
    uint32_t bytes; /* of value, or of local memory */
    struct mohs_buffer *buffer;
    uint64_t value; /* first `bytes` bytes, little end first */
};

struct mohs_compute_api {
    uint32_t size;
    const struct mohs_device_info *(*device)(const struct mohs_host *host);
    /* Compiles or finds `source` (len bytes; 0: NUL-terminated). `name` is
     * for messages. The handle lives as long as the host. [main] */
    mohs_status (*program)(const struct mohs_host *host, const char *name,
                           const char *source, size_t len, const char *options,
                           struct mohs_program **out, struct mohs_error *err);
    mohs_status (*buffer_new)(const struct mohs_host *host, size_t bytes,
                              struct mohs_buffer **out, struct mohs_error *err);
    struct mohs_buffer *(*buffer_ref)(struct mohs_buffer *b);
    void (*buffer_unref)(struct mohs_buffer *b); /* NULL is fine */
    /* Blocking copies; the range must lie inside the buffer. */
    mohs_status (*write)(struct mohs_buffer *b, size_t offset, const void *data,
                         size_t bytes, struct mohs_error *err);
    mohs_status (*read)(struct mohs_buffer *b, size_t offset, void *data,
                        size_t bytes, struct mohs_error *err);
    /* Enqueues `kernel` of `program`. global: dims numbers; local: dims
     * numbers or NULL (the host's choice). Returns before it has run.
     * [main] */
    mohs_status (*run)(const struct mohs_host *host, struct mohs_program *program,
                       const char *kernel, uint32_t dims, const size_t *global,
                       const size_t *local, const struct mohs_arg *args,
                       uint32_t n_args, struct mohs_error *err);
    /* Waits for everything enqueued. */
    mohs_status (*finish)(const struct mohs_host *host, struct mohs_error *err);
};

static inline struct mohs_arg mohs_arg_buffer(struct mohs_buffer *b)
{
    struct mohs_arg a = { MOHS_ARG_BUFFER, 0, b, 0 };
    return a;
}

static inline struct mohs_arg mohs_arg_u32(uint32_t x)
{
    struct mohs_arg a = { MOHS_ARG_VALUE, 4, NULL, x };
    return a;
}

static inline struct mohs_arg mohs_arg_i32(int32_t x)
{
    return mohs_arg_u32((uint32_t)x);
}

static inline struct mohs_arg mohs_arg_u64(uint64_t x)
{
    struct mohs_arg a = { MOHS_ARG_VALUE, 8, NULL, x };
    return a;
}

static inline struct mohs_arg mohs_arg_f32(float x)
{
    union {
        float f;
        uint32_t u;
    } v;
    v.f = x;
    return mohs_arg_u32(v.u);
}

static inline struct mohs_arg mohs_arg_local(uint32_t bytes)
{
    struct mohs_arg a = { MOHS_ARG_LOCAL, bytes, NULL, 0 };
    return a;
}

#endif
