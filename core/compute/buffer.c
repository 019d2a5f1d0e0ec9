/* SPDX-License-Identifier: MIT */
/*
 * Device memory: counted, ref-counted buffers, windows into them, and
 * copies. A buffer keeps its compute alive, so the order of closing does
 * not matter.
 */
#include "config.h"

#include "compute/compute_impl.h"

#include <stdlib.h>

#define NEVER_EMPTY 64 /* OpenCL has no empty buffers; we allow them */

mohs_status buffer_new(struct compute *c, size_t bytes, struct mohs_buffer **out,
                       struct mohs_error *err)
{
    *out = NULL;
    if (bytes > c->info.max_alloc_bytes)
        return mohs_fail(err, MOHS_E_NOMEM,
                         "buffer: %zu bytes, the device allows %llu in one "
                         "piece", bytes,
                         (unsigned long long)c->info.max_alloc_bytes);
    cl_int e;
    cl_mem mem = clCreateBuffer(c->ctx, CL_MEM_READ_WRITE,
                                bytes ? bytes : NEVER_EMPTY, NULL, &e);
    if (e)
        return cl_fail(err, e, "buffer of %zu bytes (%llu in use)", bytes,
                       (unsigned long long)c->mem_now);
    struct mohs_buffer *b = xcalloc(1, sizeof *b);
    b->refs = 1;
    b->c = c;
    b->mem = mem;
    b->bytes = bytes;
    compute_ref(c);
    c->mem_now += bytes;
    if (c->mem_now > c->mem_peak)
        c->mem_peak = c->mem_now;
    *out = b;
    return MOHS_OK;
}

mohs_status buffer_over(struct compute *c, const void *host, size_t bytes,
                        struct mohs_buffer **out, struct mohs_error *err)
{
    cl_int e;
    *out = NULL;
    if (c->info.type != MOHS_DEVICE_CPU || !bytes || bytes > c->info.max_alloc_bytes)
        return MOHS_OK;
    cl_mem mem = clCreateBuffer(c->ctx, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR,
                                bytes, (void *)(uintptr_t)host, &e);
    if (e)
        return cl_fail(err, e, "buffer over %zu bytes of the host", bytes);
    struct mohs_buffer *b = xcalloc(1, sizeof *b);
    *b = (struct mohs_buffer) { .refs = 1, .c = c, .mem = mem, .bytes = bytes,
                                .over = true };
    compute_ref(c);
    *out = b;
    return MOHS_OK;
}

mohs_status buffer_sub(struct mohs_buffer *parent, size_t offset, size_t bytes,
                       struct mohs_buffer **out, struct mohs_error *err)
{
    *out = NULL;
    if (offset % parent->c->sub_align)
        return mohs_fail(err, MOHS_E_ARG,
                         "buffer window: offset %zu is not a multiple of %zu",
                         offset, parent->c->sub_align);
    if (!bytes || offset > parent->bytes || bytes > parent->bytes - offset)
        return mohs_fail(err, MOHS_E_ARG,
                         "buffer window: %zu bytes at %zu of a buffer of %zu",
                         bytes, offset, parent->bytes);
    // OpenCL has no windows of windows: resolve to the root
    struct mohs_buffer *root = parent;
    size_t at = offset;
    if (parent->parent) {
        size_t base = 0;
        cl_int e = clGetMemObjectInfo(parent->mem, CL_MEM_OFFSET, sizeof base,
                                      &base, NULL);
        if (e)
            return cl_fail(err, e, "buffer window: offset");
        root = parent->parent;
        at += base;
    }
    cl_buffer_region r = { at, bytes };
    cl_int e;
    cl_mem mem = clCreateSubBuffer(root->mem, 0, CL_BUFFER_CREATE_TYPE_REGION,
                                   &r, &e);
    if (e)
        return cl_fail(err, e, "buffer window: %zu bytes at %zu", bytes, at);
    struct mohs_buffer *b = xcalloc(1, sizeof *b);
    b->refs = 1;
    b->c = root->c;
    b->mem = mem;
    b->bytes = bytes;
    b->parent = buffer_ref(root);
    compute_ref(b->c);
    *out = b;
    return MOHS_OK;
}

struct mohs_buffer *buffer_ref(struct mohs_buffer *b)
{
    if (b)
        b->refs++;
    return b;
}

void buffer_unref(struct mohs_buffer *b)
{
    if (!b || --b->refs)
        return;
    struct compute *c = b->c;
    clReleaseMemObject(b->mem);
    if (b->parent)
        buffer_unref(b->parent);
    else if (!b->over)
        c->mem_now -= b->bytes;
    free(b);
    compute_drop(c);
}

size_t buffer_bytes(const struct mohs_buffer *b)
{
    return b->bytes;
}

static mohs_status check_range(const struct mohs_buffer *b, const char *what,
                               size_t offset, size_t bytes,
                               struct mohs_error *err)
{
    if (offset > b->bytes || bytes > b->bytes - offset)
        return mohs_fail(err, MOHS_E_ARG,
                         "buffer %s: %zu bytes at %zu of a buffer of %zu",
                         what, bytes, offset, b->bytes);
    return MOHS_OK;
}

mohs_status buffer_write(struct mohs_buffer *b, size_t offset, const void *data,
                         size_t bytes, struct mohs_error *err)
{
    RET_IF_ERR(check_range(b, "write", offset, bytes, err));
    if (!bytes)
        return MOHS_OK;
    cl_int e = clEnqueueWriteBuffer(b->c->q, b->mem, CL_TRUE, offset, bytes,
                                    data, 0, NULL, NULL);
    return e ? cl_fail(err, e, "buffer write of %zu bytes", bytes) : MOHS_OK;
}

mohs_status buffer_read(struct mohs_buffer *b, size_t offset, void *data,
                        size_t bytes, struct mohs_error *err)
{
    RET_IF_ERR(check_range(b, "read", offset, bytes, err));
    if (!bytes)
        return MOHS_OK;
    cl_int e = clEnqueueReadBuffer(b->c->q, b->mem, CL_TRUE, offset, bytes, data,
                                   0, NULL, NULL);
    return e ? cl_fail(err, e, "buffer read of %zu bytes", bytes) : MOHS_OK;
}

mohs_status buffer_map(struct mohs_buffer *b, size_t bytes, void **out,
                       struct mohs_error *err)
{
    cl_int e;
    *out = NULL;
    RET_IF_ERR(check_range(b, "map", 0, bytes, err));
    void *p = clEnqueueMapBuffer(b->c->q, b->mem, CL_TRUE,
                                 CL_MAP_WRITE_INVALIDATE_REGION, 0,
                                 bytes ? bytes : NEVER_EMPTY, 0, NULL, NULL, &e);
    if (e)
        return cl_fail(err, e, "buffer map of %zu bytes", bytes);
    *out = p;
    return MOHS_OK;
}

mohs_status buffer_unmap(struct mohs_buffer *b, void *p, struct mohs_error *err)
{
    cl_int e = clEnqueueUnmapMemObject(b->c->q, b->mem, p, 0, NULL, NULL);
    return e ? cl_fail(err, e, "buffer unmap") : MOHS_OK;
}

mohs_status buffer_fill(struct mohs_buffer *b, size_t offset, uint32_t pattern,
                        size_t bytes, struct mohs_error *err)
{
    RET_IF_ERR(check_range(b, "fill", offset, bytes, err));
    if (offset % 4 || bytes % 4)
        return mohs_fail(err, MOHS_E_ARG,
                         "buffer fill: %zu bytes at %zu, both must be "
                         "multiples of 4", bytes, offset);
    if (!bytes)
        return MOHS_OK;
    cl_int e = clEnqueueFillBuffer(b->c->q, b->mem, &pattern, sizeof pattern,
                                   offset, bytes, 0, NULL, NULL);
    return e ? cl_fail(err, e, "buffer fill of %zu bytes", bytes) : MOHS_OK;
}

mohs_status buffer_copy(struct mohs_buffer *src, size_t src_offset,
                        struct mohs_buffer *dst, size_t dst_offset, size_t bytes,
                        struct mohs_error *err)
{
    RET_IF_ERR(check_range(src, "copy source", src_offset, bytes, err));
    RET_IF_ERR(check_range(dst, "copy target", dst_offset, bytes, err));
    if (!bytes)
        return MOHS_OK;
    cl_int e = clEnqueueCopyBuffer(src->c->q, src->mem, dst->mem, src_offset,
                                   dst_offset, bytes, 0, NULL, NULL);
    return e ? cl_fail(err, e, "buffer copy of %zu bytes", bytes) : MOHS_OK;
}

void compute_memory(const struct compute *c, uint64_t *now, uint64_t *peak)
{
    if (now)
        *now = c->mem_now;
    if (peak)
        *peak = c->mem_peak;
}

mohs_status scratch_get(struct compute *c, size_t bytes,
                        struct mohs_buffer **out, struct mohs_error *err)
{
    *out = NULL;
    if (!c->scratch || c->scratch->bytes < bytes) {
        // what is enqueued keeps its own reference inside OpenCL
        struct mohs_buffer *old = c->scratch;
        c->scratch = NULL;
        buffer_unref(old);
        RET_IF_ERR(buffer_new(c, bytes, &c->scratch, err));
    }
    *out = buffer_ref(c->scratch);
    return MOHS_OK;
}
