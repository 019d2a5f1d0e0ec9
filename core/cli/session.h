/* SPDX-License-Identifier: MIT */
/* Option values that run, embed, attack and lua share. */
#ifndef CORE_CLI_SESSION_H
#define CORE_CLI_SESSION_H

#include "cli/cli.h"

/* "I/N", or "auto": Slurm, Kubernetes and MPI say which. */
mohs_status session_shard(const char *value, uint32_t *shard, uint32_t *n,
                          struct mohs_error *err);
/* Texts of a file, one a line, without line ends. */
mohs_status session_lines(const char *path, char ***out, size_t *n,
                          struct mohs_error *err);

#endif
