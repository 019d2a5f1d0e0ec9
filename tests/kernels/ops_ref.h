/* SPDX-License-Identifier: MIT */
/*
 * What the ops mean, in double: slow, readable, and the truth that the
 * kernels are held to. Tests only.
 */
#ifndef TESTS_OPS_REF_H
#define TESTS_OPS_REF_H

#include <stddef.h>
#include <stdint.h>

enum { REF_IN_MAX = 8 };

struct ref_array {
    uint32_t n_dims, dims[5];
    size_t n;
    double *v; /* integers too; NULL: missing */
};

/* An attribute of the call by name, or def. */
struct ref_call {
    struct ref_array in[REF_IN_MAX];
    uint32_t n_in;
    const char *const *attr_name;
    const double *attr;
    uint32_t n_attr;
    struct ref_array *out; /* dims and n given, v to be filled */
};
double ref_attr(const struct ref_call *c, const char *name, double def);

/* The reference of op `name`, or NULL. */
typedef void (*ref_fn)(const struct ref_call *c);
ref_fn ref_find(const char *name);
ref_fn ref_find_conv(const char *name); /* of the ops over pictures only */
/* The activation of code f: MOHS_ACT_*, then sigmoid and softplus. */
double ref_act(int f, double x);

#endif
