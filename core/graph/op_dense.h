/* SPDX-License-Identifier: MIT */
/* What the planner needs to know of nodes that run as a gemm. */
#ifndef CORE_OP_DENSE_H
#define CORE_OP_DENSE_H

#include "graph/graph_internal.h"

/* Shape and strides of the gemm behind a node, buffers left NULL; false when
 * it is none. */
bool dense_gemm(const struct node *nd, struct gemm *gm);

/* The packed weight a node reads. */
struct dense_pack {
    size_t param;
    bool b_trans;
    uint32_t n, k;
};
bool dense_packs(const struct node *nd, struct dense_pack *out);

#endif
