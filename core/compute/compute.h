/* SPDX-License-Identifier: MIT */
/*
 * OpenCL lives in this room only: device choice (probed in a child process,
 * a broken driver is reported, not fatal), buffers, programs with a disk
 * cache, kernel launches. One context and one in-order queue per struct
 * compute; use it from one thread.
 */
#ifndef CORE_COMPUTE_H
#define CORE_COMPUTE_H

#include <mohs/ext/compute.h>

#include "base/base.h"

struct compute;

/* A device as seen by the probing child. */
struct device_report {
    char name[128], vendor[128], version[128], platform[128], driver[64];
    uint32_t type; /* MOHS_DEVICE_* */
    uint32_t units;
    uint64_t memory_bytes, max_alloc_bytes, local_bytes;
    bool usable;
    char problem[200]; /* why not usable */
};
/* All devices of all platforms, probed in a child so that a crashing driver
 * becomes a report. *out is malloc'ed, may be empty. */
mohs_status compute_probe(struct device_report **out, size_t *n,
                          struct mohs_error *err);

/* want: NULL (first usable, GPU before accelerator before CPU), "cpu",
 * "gpu", "accelerator", an index into compute_probe's list, or part of a
 * name. No device: MOHS_E_DEVICE with a text that says what to install. */
mohs_status compute_open(const char *want, struct compute **out,
                         struct mohs_error *err);
void compute_close(struct compute *c);
const struct mohs_device_info *compute_device(const struct compute *c);
/* Hash over device, driver and platform: part of provenance. */
const char *compute_fingerprint(const struct compute *c);

/* ---- memory: counted, so that peak use is known ---- */
mohs_status buffer_new(struct compute *c, size_t bytes, struct mohs_buffer **out,
                       struct mohs_error *err);
/* A buffer over `bytes` of the host's memory that is only read, without a copy;
 * *out NULL where device and host share none. `host`, of any alignment of
 * floats, must stay until the work that reads it is done. Not counted. */
mohs_status buffer_over(struct compute *c, const void *host, size_t bytes,
                        struct mohs_buffer **out, struct mohs_error *err);
/* A window of `parent`; offset must be a multiple of 128 bytes. Keeps a
 * reference on the parent. */
mohs_status buffer_sub(struct mohs_buffer *parent, size_t offset, size_t bytes,
                       struct mohs_buffer **out, struct mohs_error *err);
struct mohs_buffer *buffer_ref(struct mohs_buffer *b);
void buffer_unref(struct mohs_buffer *b);
size_t buffer_bytes(const struct mohs_buffer *b);
mohs_status buffer_write(struct mohs_buffer *b, size_t offset, const void *data,
                         size_t bytes, struct mohs_error *err);
mohs_status buffer_read(struct mohs_buffer *b, size_t offset, void *data,
                        size_t bytes, struct mohs_error *err);
/* The first `bytes` of b for the host to write, without a copy where device
 * and host share memory: waits; nothing may use b before buffer_unmap. */
mohs_status buffer_map(struct mohs_buffer *b, size_t bytes, void **out,
                       struct mohs_error *err);
mohs_status buffer_unmap(struct mohs_buffer *b, void *p, struct mohs_error *err);
mohs_status buffer_fill(struct mohs_buffer *b, size_t offset, uint32_t pattern,
                        size_t bytes, struct mohs_error *err);
mohs_status buffer_copy(struct mohs_buffer *src, size_t src_offset,
                        struct mohs_buffer *dst, size_t dst_offset, size_t bytes,
                        struct mohs_error *err);
/* Device bytes now and at most so far. */
void compute_memory(const struct compute *c, uint64_t *now, uint64_t *peak);

/* ---- programs ---- */
mohs_status program_get(struct compute *c, const char *name, const char *source,
                        size_t len, const char *options,
                        struct mohs_program **out, struct mohs_error *err);
/* One of the core's own kernel files by name ("gemm"), embedded at build
 * time; MOHS_KERNEL_DIR overrides. common.clh is prepended. */
mohs_status program_core(struct compute *c, const char *name,
                         const char *options, struct mohs_program **out,
                         struct mohs_error *err);
mohs_status kernel_run(struct compute *c, struct mohs_program *p,
                       const char *kernel, uint32_t dims, const size_t *global,
                       const size_t *local, const struct mohs_arg *args,
                       uint32_t n_args, struct mohs_error *err);
mohs_status compute_finish(struct compute *c, struct mohs_error *err);

/* The "mohs.compute/1" table for plugins; host->ctx must lead to `c` through
 * compute_of_host(), which the plugin room sets up. */
extern const struct mohs_compute_api compute_api;
extern struct compute *(*compute_of_host)(const struct mohs_host *host);

/* ---- dense algebra, the part tuned per device ---- */

/*
 * Weights of a convolution, read as op(B) [taps * c, n]: the value for tap t,
 * channel q and column j lies at j * step_n + q * step_c + t of B, or with
 * flip at .. + (taps - 1 - t). taps 0: B is a plain matrix. winograd: what
 * gemm_winograd() said of the convolution.
 */
struct gemm_taps {
    uint32_t taps, c, step_n, step_c, flip, winograd;
};

/*
 * op(A) gathered from pictures [.., h, w, lda] instead of stored: row (i, y,
 * x) of oh * ow per picture is the window of kh * kw pixels, `taps.c`
 * channels each, whose corner is (y stride - pad_y, x stride - pad_x) of the
 * picture with up - 1 zeros put between its pixels and zeros around it.
 */
struct gemm_conv {
    uint32_t kh, kw, h, w, oh, ow, stride, up, pad_y, pad_x;
    struct gemm_taps taps; /* taps.taps 0: op(A) and op(B) are matrices */
};

/*
 * C[m,n] = act(op(A) op(B) scale + bias) + residual, accumulated over k in
 * one fixed order that depends on k alone, so a row's value never depends on
 * m, n or the tiling. Row-major. a_trans: A is stored [k,m]; b_trans: B is
 * stored [n,k]. scale and bias [n] or NULL; residual [m,n] or NULL;
 * accumulate: adds to what C holds; residual_first: residual (or C) is added
 * before the activation. act: MOHS_ACT_* of ext/graph.h; pre (or NULL)
 * receives the value before the activation. Offsets are in floats. ld* are
 * row strides in floats; with conv, lda is the distance between pixels.
 */
struct gemm {
    uint32_t m, n, k;
    bool a_trans, b_trans, accumulate, residual_first;
    int act;
    float alpha; /* scales the product */
    struct mohs_buffer *a, *b, *c, *scale, *bias, *residual, *pre;
    size_t a_off, b_off, c_off, scale_off, bias_off, residual_off, pre_off;
    uint32_t lda, ldb, ldc, ldr, ldp; /* ldr: residual, ldp: pre */
    struct mohs_buffer *b_packed; /* from gemm_pack_*, or NULL: then b and
                                   * ldb are not looked at */
    size_t b_packed_off;          /* floats */
    struct gemm_conv conv;
};
mohs_status gemm_run(struct compute *c, const struct gemm *g,
                     struct mohs_error *err);
/* Whether a convolution can be, and is faster, computed by Winograd's F(2x2,
 * 3x3) on this device: 3 x 3 taps, stride 1, enough channels on both sides.
 * Depends on channels alone, so on no size of pictures or batch. Largest
 * rounding error some 4 x that of adding the taps one by one. */
bool gemm_winograd(struct compute *c, const struct gemm *g);
/* Rows k of the packed form of op(B): more than g->k for Winograd. */
uint32_t gemm_packed_k(const struct gemm *g);
/* Bytes of the packed form of op(B) [k,n] on this device; 0 when the device
 * does not pack. */
size_t gemm_packed_bytes(struct compute *c, uint32_t n, uint32_t k);
/* packed_off in floats. */
mohs_status gemm_pack_b(struct compute *c, struct mohs_buffer *b, size_t b_off,
                        uint32_t ldb, bool b_trans, uint32_t n, uint32_t k,
                        struct mohs_buffer *packed, size_t packed_off,
                        struct mohs_error *err);
/* Likewise the weights of a convolution. */
mohs_status gemm_pack_taps(struct compute *c, struct mohs_buffer *b,
                           size_t b_off, const struct gemm_taps *t, uint32_t n,
                           struct mohs_buffer *packed, size_t packed_off,
                           struct mohs_error *err);
/* Scratch bytes gemm_run wants for packing operands of this problem; the
 * room keeps one growing scratch buffer of its own, this is for planning. */
size_t gemm_scratch_bytes(struct compute *c, const struct gemm *g);

/* ---- attention, fused ---- */

/* Head rows inside a token matrix: token i of sample b begins at
 * off + (b * t + i) * ld, its head h at + h * d; off and ld in floats. q, k
 * and v may be slices of one matrix. */
struct attention_rows {
    struct mohs_buffer *buf;
    size_t off;
    uint32_t ld;
};

/*
 * out = softmax(scale q k^T + mask) v for n samples, each with tq queries,
 * tk keys and `heads` heads of width d (at most 256). mask: MOHS_MASK_*;
 * causal: query i sees keys 0..i; length: it sees keys below lengths[b] (int32
 * [n]; a sample of length 0 gives zeros); last: keys up to lengths[b]. lse [n,
 * heads, tq] receives the log of the softmax sum and may be NULL; the backward
 * pass needs it. Sums run in ascending key order, so a row never depends on
 * batch or padding. Offsets are in elements.
 */
struct attention {
    uint32_t n, tq, tk, heads, d;
    int mask;
    float scale;
    struct attention_rows q, k, v, out;
    struct mohs_buffer *lse, *lengths;
    size_t lse_off, lengths_off;
};
mohs_status attention_forward(struct compute *c, const struct attention *a,
                          struct mohs_error *err);

/* Gradients from dout; `fwd` describes the forward call, out and lse
 * included. dq.buf NULL skips dq; dk.buf and dv.buf NULL (both) skip dk and
 * dv. The results must not overlap the inputs; they may be slices of one
 * matrix. */
struct attention_grad {
    struct attention fwd;
    struct attention_rows dout, dq, dk, dv;
};
mohs_status attention_backward(struct compute *c, const struct attention_grad *g,
                               struct mohs_error *err);

/* Scratch bytes attention_backward wants, as gemm_scratch_bytes. */
size_t attention_scratch_bytes(const struct attention *a);

#endif
