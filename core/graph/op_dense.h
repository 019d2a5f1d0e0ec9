/* SPDX-License-Identifier: MIT */
/* What the planner needs to know of nodes that run as a gemm. */
#ifndef CORE_OP_DENSE_H
#define CORE_OP_DENSE_H

#include "graph/graph_internal.h"

/* Shape and strides of the gemm behind a node (of one group of a
 * convolution), buffers left NULL; false when it is none. */
bool dense_gemm(const struct node *nd, struct gemm *gm);
/* The same for the ops of op_conv.c; *groups how many there are. */
bool conv_gemm(const struct node *nd, struct gemm *gm, uint32_t *groups);

/* The packed weight a node reads. */
struct dense_pack {
    size_t param;
    struct pack_form form;
};
bool dense_packs(const struct node *nd, struct dense_pack *out);

#endif
