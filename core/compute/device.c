/* SPDX-License-Identifier: MIT */
/*
 * Opening a device. The list of devices comes from probe.c, made in a child
 * process; only a device that survived there is opened here, so a driver
 * that crashes or hangs never takes this process down.
 */
#include "config.h"

#include "compute/probe.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pid_t opened_by; /* first process that called into OpenCL */

static bool contains_nocase(const char *s, const char *part)
{
    size_t n = strlen(part);
    for (; *s; s++) {
        size_t i = 0;
        while (i < n && s[i] &&
               tolower((unsigned char)s[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

static uint32_t type_of_word(const char *want)
{
    if (!strcmp(want, "cpu"))
        return MOHS_DEVICE_CPU;
    if (!strcmp(want, "gpu"))
        return MOHS_DEVICE_GPU;
    if (!strcmp(want, "accelerator"))
        return MOHS_DEVICE_ACCELERATOR;
    return 0;
}

static mohs_status fail_unusable(const struct device_report *r,
                                 struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_DEVICE, "device %s: %s", r->name, r->problem);
}

/* Best usable device among `n`: GPU, then accelerator, then CPU. */
static const struct probed *first_usable(const struct probed *d, size_t n,
                                         uint32_t types)
{
    static const uint32_t order[] = { MOHS_DEVICE_GPU, MOHS_DEVICE_ACCELERATOR,
                                      MOHS_DEVICE_CPU };
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < n; i++)
            if (d[i].r.usable && d[i].r.type == order[k] &&
                (types & order[k]))
                return &d[i];
    return NULL;
}

static mohs_status fail_none(const struct probed *d, size_t n, const char *want,
                             struct mohs_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!d[i].r.usable)
            return mohs_fail(err, MOHS_E_DEVICE,
                             "no usable OpenCL device%s%s; %s: %s",
                             want ? " for " : "", want ? want : "", d[i].r.name,
                             d[i].r.problem);
    return mohs_fail(err, MOHS_E_DEVICE,
                     "no OpenCL device%s%s found; install one, for example "
                     "the package pocl-opencl-icd for the CPU",
                     want ? " for " : "", want ? want : "");
}

static mohs_status choose(const struct probed *d, size_t n, const char *want,
                          const struct probed **out, struct mohs_error *err)
{
    int64_t index;
    if (want && str_to_i64(want, &index)) {
        if (index < 0 || (uint64_t)index >= n)
            return mohs_fail(err, MOHS_E_DEVICE,
                             "device %s: there are %zu devices", want, n);
        *out = &d[index];
        return d[index].r.usable ? MOHS_OK : fail_unusable(&d[index].r, err);
    }
    uint32_t type = want ? type_of_word(want) : 0;
    if (!want || type) {
        *out = first_usable(d, n, type ? type : 7);
        return *out ? MOHS_OK : fail_none(d, n, want, err);
    }
    const struct probed *broken = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!contains_nocase(d[i].r.name, want) &&
            !contains_nocase(d[i].r.platform, want))
            continue;
        if (d[i].r.usable) {
            *out = &d[i];
            return MOHS_OK;
        }
        broken = &d[i];
    }
    return broken ? fail_unusable(&broken->r, err) : fail_none(d, n, want, err);
}

static mohs_status find_ids(const struct probed *p, struct compute *c,
                            struct mohs_error *err)
{
    cl_platform_id plats[PROBE_MAX];
    cl_device_id devs[PROBE_MAX];
    cl_uint n = 0;
    cl_int e = clGetPlatformIDs(PROBE_MAX, plats, &n);
    if (e || p->platform_index >= n)
        return cl_fail(err, e ? e : CL_DEVICE_NOT_FOUND, "device %s",
                       p->r.name);
    c->platform = plats[p->platform_index];
    e = clGetDeviceIDs(c->platform, CL_DEVICE_TYPE_ALL, PROBE_MAX, devs, &n);
    if (e || p->device_index >= n)
        return cl_fail(err, e ? e : CL_DEVICE_NOT_FOUND, "device %s",
                       p->r.name);
    c->dev = devs[p->device_index];
    return MOHS_OK;
}

static void fill_info(struct compute *c, const struct probed *p)
{
    const struct device_report *r = &p->r;
    memcpy(c->name, r->name, sizeof c->name);
    memcpy(c->vendor, r->vendor, sizeof c->vendor);
    memcpy(c->version, r->version, sizeof c->version);
    memcpy(c->driver, r->driver, sizeof c->driver);
    clGetPlatformInfo(c->platform, CL_PLATFORM_VERSION,
                      sizeof c->platform_version - 1, c->platform_version, NULL);
    size_t group = 0;
    clGetDeviceInfo(c->dev, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group,
                    NULL);
    cl_uint bits = 0;
    clGetDeviceInfo(c->dev, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits,
                    NULL);
    c->sub_align = bits / 8 > 128 ? bits / 8 : 128;
    c->info = (struct mohs_device_info){
        .size = sizeof c->info,
        .type = r->type,
        .name = c->name,
        .vendor = c->vendor,
        .version = c->version,
        .units = r->units,
        .max_group = (uint32_t)group,
        .memory_bytes = r->memory_bytes,
        .max_alloc_bytes = r->max_alloc_bytes,
        .local_bytes = r->local_bytes,
    };
    cl_device_fp_config fp = 0;
    clGetDeviceInfo(c->dev, CL_DEVICE_SINGLE_FP_CONFIG, sizeof fp, &fp, NULL);
    // -w: PoCL prints "N warnings generated." from inside clBuildProgram
    snprintf(c->build_flags, sizeof c->build_flags, "-w -cl-std=CL1.2%s",
             fp & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT ?
                 " -cl-fp32-correctly-rounded-divide-sqrt" : "");
    struct hasher *h = hasher_new();
    hasher_str(h, c->name);
    hasher_str(h, c->vendor);
    hasher_str(h, c->version);
    hasher_str(h, c->driver);
    hasher_str(h, c->platform_version);
    hash_hex(hasher_end(h), c->fingerprint);
}

bool device_is_wide(const struct compute *c)
{
    cl_uint width = 0;
    clGetDeviceInfo(c->dev, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof width,
                    &width, NULL);
    return width >= 16;
}

mohs_status compute_open(const char *want, struct compute **out,
                         struct mohs_error *err)
{
    *out = NULL;
    // threads of a driver do not survive a fork: calls would hang
    if (opened_by && opened_by != getpid())
        return mohs_fail(err, MOHS_E_DEVICE,
                         "OpenCL was opened before this process was forked; "
                         "open it after the fork");
    const struct probed *d, *p = NULL;
    size_t n;
    RET_IF_ERR(probe_devices(false, &d, &n, err));
    RET_IF_ERR(choose(d, n, want && *want ? want : NULL, &p, err));
    struct compute *c = xcalloc(1, sizeof *c);
    mohs_status st = MOHS_OK;
    c->refs = 1;
    opened_by = getpid();
    OUT_IF_ERR(find_ids(p, c, err));
    fill_info(c, p);
    cl_context_properties props[] = { CL_CONTEXT_PLATFORM,
                                      (cl_context_properties)c->platform, 0 };
    cl_int e;
    c->ctx = clCreateContext(props, 1, &c->dev, NULL, NULL, &e);
    if (e) {
        st = cl_fail(err, e, "device %s: context", c->name);
        goto out;
    }
    c->q = clCreateCommandQueue(c->ctx, c->dev, 0, &e);
    if (e)
        st = cl_fail(err, e, "device %s: command queue", c->name);
out:
    if (st < 0)
        compute_close(c);
    else
        *out = c;
    return st;
}

void compute_ref(struct compute *c)
{
    c->refs++;
}

void compute_drop(struct compute *c)
{
    if (--c->refs)
        return;
    while (c->programs) {
        struct mohs_program *next = c->programs->next;
        program_free(c->programs);
        c->programs = next;
    }
    if (c->q)
        clReleaseCommandQueue(c->q);
    if (c->ctx)
        clReleaseContext(c->ctx);
    free(c);
}

void compute_close(struct compute *c)
{
    if (!c)
        return;
    if (c->q)
        clFinish(c->q);
    struct mohs_buffer *scratch = c->scratch;
    c->scratch = NULL;
    buffer_unref(scratch);
    compute_drop(c);
}

const struct mohs_device_info *compute_device(const struct compute *c)
{
    return &c->info;
}

const char *compute_fingerprint(const struct compute *c)
{
    return c->fingerprint;
}
