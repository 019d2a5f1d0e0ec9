/* SPDX-License-Identifier: MIT */
/* What run, embed, attack and lua share: eval options and extensions. */
#ifndef CORE_CLI_SESSION_H
#define CORE_CLI_SESSION_H

#include "cli/cli.h"
#include "eval/eval.h"

/* The registry with every extension that models, attacks and metrics ask
 * for. */
mohs_status session_registry(struct cli *c, struct registry **out,
                             struct mohs_error *err);
/* "512M", "2G", plain bytes. */
mohs_status session_bytes(struct cli *c, const char *name, const char *value,
                          uint64_t *out, struct mohs_error *err);
/* "I/N", or "auto": Slurm, Kubernetes and MPI say which. */
mohs_status session_shard(const char *value, uint32_t *shard, uint32_t *n,
                          struct mohs_error *err);
/* Texts of a file, one a line, without line ends. */
mohs_status session_lines(const char *path, char ***out, size_t *n,
                          struct mohs_error *err);

#endif
