/* SPDX-License-Identifier: MIT */
/*
 * What the files of the compute room share: the structs behind the opaque
 * handles and OpenCL error texts. Nothing outside this room includes it.
 */
#ifndef CORE_COMPUTE_IMPL_H
#define CORE_COMPUTE_IMPL_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

#include "compute/compute.h"

struct kernel_entry {
    char *name;
    cl_kernel k;
    cl_uint n_args;
    size_t group[3]; /* reqd_work_group_size, or zeros */
};

struct mohs_program {
    char *name;
    char *core;    /* name of the core kernel file, or NULL */
    char *options; /* as the caller gave them */
    struct hash128 key;
    cl_program p;
    bool from_disk;
    struct kernel_entry *kernels;
    size_t n_kernels;
    struct mohs_program *next;
};

/* A way to multiply matrices; see gemm.c. */
struct gemm_form {
    const char *name;
    bool packs;
    uint32_t mr, nv;
};

struct compute {
    int refs; /* the owner's and one per live buffer */
    cl_platform_id platform;
    cl_device_id dev;
    cl_context ctx;
    cl_command_queue q;
    struct mohs_device_info info;
    char name[128], vendor[128], version[128], platform_version[128];
    char driver[64];
    char fingerprint[33];
    char build_flags[128];
    size_t sub_align;
    uint64_t mem_now, mem_peak;
    struct mohs_program *programs;
    uint32_t cache_hits, cache_stores; /* of the disk program cache */
    const struct gemm_form *gemm_form; /* chosen at first use */
    struct mohs_buffer *scratch;       /* see scratch_get */
};

struct mohs_buffer {
    int refs;
    struct compute *c;
    cl_mem mem;
    size_t bytes;
    struct mohs_buffer *parent; /* of a window, else NULL */
    bool over;                  /* the host's memory */
};

/* "CL_OUT_OF_RESOURCES" and so on. */
const char *cl_error_name(cl_int e);
/* MOHS_E_DEVICE (or MOHS_E_NOMEM for memory codes) with the error's name
 * behind the text and err->native set. */
MOHS_PRINTF(3, 4)
mohs_status cl_fail(struct mohs_error *err, cl_int e, const char *fmt, ...);

/* Vectors of 512 bits, and with them 32 registers; else 16 of at most 256. */
bool device_is_wide(const struct compute *c);

void compute_ref(struct compute *c);
void compute_drop(struct compute *c);

/* The room's one scratch buffer, at least `bytes` large; a new reference.
 * Its content lasts until the next caller: launches are in order. */
mohs_status scratch_get(struct compute *c, size_t bytes,
                        struct mohs_buffer **out, struct mohs_error *err);

void program_free(struct mohs_program *p);

/* The disk cache of built programs. Neither reports an error: the fallback
 * is a build from source. NULL when there is no valid entry for `key`. */
cl_program program_cache_load(struct compute *c, struct hash128 key);
void program_cache_store(struct compute *c, struct hash128 key, cl_program p);
/* Path of the entry for `key`; fresh. */
char *program_cache_path(struct hash128 key);

/* Text of an embedded kernel file; false when there is none. */
bool kernel_source(const char *name, const char **text, size_t *n);

#endif
