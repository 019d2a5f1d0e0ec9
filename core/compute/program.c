/* SPDX-License-Identifier: MIT */
/*
 * Programs: OpenCL C source plus prelude, found in this process, in the disk
 * cache, or built. Kernels are looked up once per program and launched by
 * name.
 */
#include "config.h"

#include "compute/compute_impl.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_FORMAT 1

static mohs_status build_failed(struct compute *c, cl_program p, const char *name,
                                cl_int code, struct mohs_error *err)
{
    size_t n = 0;
    char *log = NULL;
    clGetProgramBuildInfo(p, c->dev, CL_PROGRAM_BUILD_LOG, 0, NULL, &n);
    log = n > 1 ? try_calloc(n + 1, 1, "build log", NULL) : NULL;
    if (log)
        clGetProgramBuildInfo(p, c->dev, CL_PROGRAM_BUILD_LOG, n, log, NULL);
    char line[140] = "no build log";
    if (log) {
        // the first error is what matters; the whole log goes to the log
        const char *at = strstr(log, "error:");
        at = at ? at : log;
        while (*at == '\n' || *at == ' ')
            at++;
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        log_debug("program %s: build log:\n%s", name, log);
    }
    free(log);
    return cl_fail(err, code, "program %s: %s", name, line);
}

static struct hash128 program_key(struct compute *c, const struct str *source,
                                  const char *options)
{
    struct hasher *h = hasher_new();
    hasher_u64(h, CACHE_FORMAT);
    hasher_u64(h, source->n);
    hasher_bytes(h, source->s, source->n);
    hasher_str(h, c->build_flags);
    hasher_str(h, options);
    hasher_str(h, c->name);
    hasher_str(h, c->driver);
    hasher_str(h, c->platform_version);
    hasher_str(h, c->version);
    return hasher_end(h);
}

static mohs_status build(struct compute *c, const char *name,
                         const struct str *source, const char *options,
                         struct hash128 key, cl_program *out,
                         struct mohs_error *err)
{
    cl_int e;
    const char *text = source->s;
    size_t len = source->n;
    double t0 = now_s();
    cl_program p = clCreateProgramWithSource(c->ctx, 1, &text, &len, &e);
    if (e)
        return cl_fail(err, e, "program %s", name);
    char *flags = xasprintf("%s %s", c->build_flags, options);
    e = clBuildProgram(p, 1, &c->dev, flags, NULL, NULL);
    free(flags);
    if (e) {
        mohs_status st = build_failed(c, p, name, e, err);
        clReleaseProgram(p);
        return st;
    }
    program_cache_store(c, key, p);
    log_debug("program %s: built in %.0f ms", name, (now_s() - t0) * 1e3);
    *out = p;
    return MOHS_OK;
}

/* `source` is whole, prelude included. core: name of a core file or NULL. */
static mohs_status get(struct compute *c, const char *name, const char *core,
                       const struct str *source, const char *options,
                       struct mohs_program **out, struct mohs_error *err)
{
    struct hash128 key = program_key(c, source, options);
    for (struct mohs_program *p = c->programs; p; p = p->next) {
        if (p->key.hi == key.hi && p->key.lo == key.lo) {
            *out = p;
            return MOHS_OK;
        }
    }
    cl_program cl = program_cache_load(c, key);
    bool from_disk = cl != NULL;
    if (!cl)
        RET_IF_ERR(build(c, name, source, options, key, &cl, err));
    struct mohs_program *p = xcalloc(1, sizeof *p);
    p->name = xstrdup(name);
    p->core = core ? xstrdup(core) : NULL;
    p->options = xstrdup(options);
    p->key = key;
    p->p = cl;
    p->from_disk = from_disk;
    p->next = c->programs;
    c->programs = p;
    *out = p;
    return MOHS_OK;
}

void program_free(struct mohs_program *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n_kernels; i++) {
        clReleaseKernel(p->kernels[i].k);
        free(p->kernels[i].name);
    }
    free(p->kernels);
    clReleaseProgram(p->p);
    free(p->name);
    free(p->core);
    free(p->options);
    free(p);
}

/* Appends kernel file `name`: from MOHS_KERNEL_DIR if set and there, else
 * embedded. The #line keeps build logs readable. */
static mohs_status add_source(struct str *s, const char *name,
                              struct mohs_error *err)
{
    const char *text, *dir = getenv("MOHS_KERNEL_DIR");
    size_t n;
    str_addf(s, "#line 1 \"%s.cl\"\n", name);
    if (dir && *dir) {
        char *file = xasprintf("%s/%s.cl", dir, name), *data = NULL;
        bool there = file_exists(file);
        mohs_status st = there ? file_read(file, 0, &data, &n, err) : MOHS_OK;
        if (st >= 0 && there)
            str_addn(s, data, n);
        free(data);
        free(file);
        if (there)
            return st;
    }
    if (!kernel_source(name, &text, &n))
        return mohs_fail(err, MOHS_E_ARG, "program %s: no such core kernel file",
                         name);
    str_addn(s, text, n);
    str_add(s, "\n");
    return MOHS_OK;
}

mohs_status program_get(struct compute *c, const char *name, const char *source,
                        size_t len, const char *options,
                        struct mohs_program **out, struct mohs_error *err)
{
    struct str s = { 0 };
    mohs_status st = MOHS_OK;
    *out = NULL;
    OUT_IF_ERR(add_source(&s, "rng", err));
    str_addf(&s, "#line 1 \"%s\"\n", name);
    str_addn(&s, source, len ? len : strlen(source));
    OUT_IF_ERR(get(c, name, NULL, &s, options ? options : "", out, err));
out:
    str_free(&s);
    return st;
}

/* The file that `name` shares with others of its kind, or NULL. */
static const char *prelude_of(const char *name)
{
    return !strcmp(name, "gemm_cpu") || !strcmp(name, "gemm_wino")
               ? "gemm_micro" : NULL;
}

mohs_status program_core(struct compute *c, const char *name,
                         const char *options, struct mohs_program **out,
                         struct mohs_error *err)
{
    options = options ? options : "";
    for (struct mohs_program *p = c->programs; p; p = p->next) {
        if (p->core && !strcmp(p->core, name) && !strcmp(p->options, options)) {
            *out = p;
            return MOHS_OK;
        }
    }
    const char *before = prelude_of(name);
    struct str s = { 0 };
    mohs_status st = MOHS_OK;
    *out = NULL;
    OUT_IF_ERR(add_source(&s, "common", err));
    OUT_IF_ERR(add_source(&s, "rng", err));
    if (before)
        OUT_IF_ERR(add_source(&s, before, err));
    OUT_IF_ERR(add_source(&s, name, err));
    OUT_IF_ERR(get(c, name, name, &s, options, out, err));
out:
    str_free(&s);
    return st;
}

/* ---- launches ---- */

static mohs_status find_kernel(struct compute *c, struct mohs_program *p,
                               const char *name, struct kernel_entry **out,
                               struct mohs_error *err)
{
    for (size_t i = 0; i < p->n_kernels; i++) {
        if (!strcmp(p->kernels[i].name, name)) {
            *out = &p->kernels[i];
            return MOHS_OK;
        }
    }
    cl_int e;
    struct kernel_entry k = { 0 };
    k.k = clCreateKernel(p->p, name, &e);
    if (e)
        return cl_fail(err, e, "program %s: kernel %s", p->name, name);
    e = clGetKernelInfo(k.k, CL_KERNEL_NUM_ARGS, sizeof k.n_args, &k.n_args,
                        NULL);
    if (!e)
        e = clGetKernelWorkGroupInfo(k.k, c->dev,
                                     CL_KERNEL_COMPILE_WORK_GROUP_SIZE,
                                     sizeof k.group, k.group, NULL);
    if (e) {
        clReleaseKernel(k.k);
        return cl_fail(err, e, "program %s: kernel %s: info", p->name, name);
    }
    k.name = xstrdup(name);
    p->kernels = xrealloc(p->kernels, (p->n_kernels + 1) * sizeof *p->kernels);
    p->kernels[p->n_kernels] = k;
    *out = &p->kernels[p->n_kernels++];
    return MOHS_OK;
}

static mohs_status set_arg(const struct mohs_program *p,
                           const struct kernel_entry *k, uint32_t i,
                           const struct mohs_arg *a, struct mohs_error *err)
{
    cl_int e;
    switch (a->kind) {
    case MOHS_ARG_BUFFER:
        // NULL is a null pointer in the kernel
        e = clSetKernelArg(k->k, i, sizeof(cl_mem), a->buffer ? &a->buffer->mem :
                                                                NULL);
        break;
    case MOHS_ARG_VALUE:
        if (!a->bytes || a->bytes > sizeof a->value)
            return mohs_fail(err, MOHS_E_ARG,
                             "program %s: kernel %s: argument %u: a value of "
                             "%u bytes", p->name, k->name, i, a->bytes);
        e = clSetKernelArg(k->k, i, a->bytes, &a->value);
        break;
    case MOHS_ARG_LOCAL:
        e = clSetKernelArg(k->k, i, a->bytes, NULL);
        break;
    default:
        return mohs_fail(err, MOHS_E_ARG,
                         "program %s: kernel %s: argument %u: unknown kind %u",
                         p->name, k->name, i, a->kind);
    }
    return e ? cl_fail(err, e, "program %s: kernel %s: argument %u", p->name,
                       k->name, i) : MOHS_OK;
}

mohs_status kernel_run(struct compute *c, struct mohs_program *p,
                       const char *kernel, uint32_t dims, const size_t *global,
                       const size_t *local, const struct mohs_arg *args,
                       uint32_t n_args, struct mohs_error *err)
{
    struct kernel_entry *k = NULL;
    RET_IF_ERR(find_kernel(c, p, kernel, &k, err));
    if (k->n_args != n_args)
        return mohs_fail(err, MOHS_E_ARG,
                         "program %s: kernel %s: %u arguments given, it takes "
                         "%u", p->name, kernel, n_args, (unsigned)k->n_args);
    if (dims < 1 || dims > 3)
        return mohs_fail(err, MOHS_E_ARG, "program %s: kernel %s: %u dimensions",
                         p->name, kernel, dims);
    for (uint32_t i = 0; i < dims; i++)
        if (!global[i])
            return MOHS_OK; // nothing to do
    for (uint32_t i = 0; i < n_args; i++)
        RET_IF_ERR(set_arg(p, k, i, &args[i], err));
    if (!local && k->group[0])
        local = k->group;
    cl_int e = clEnqueueNDRangeKernel(c->q, k->k, dims, NULL, global, local, 0,
                                      NULL, NULL);
    if (e)
        return cl_fail(err, e, "program %s: kernel %s: launch", p->name, kernel);
    return MOHS_OK;
}

mohs_status compute_finish(struct compute *c, struct mohs_error *err)
{
    cl_int e = clFinish(c->q);
    return e ? cl_fail(err, e, "device %s: finish", c->name) : MOHS_OK;
}
