/* SPDX-License-Identifier: MIT */
/* Parsing what the commands that run models have in common. */
#include "config.h"

#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

static bool env_number(const char *name, int64_t *out)
{
    const char *s = getenv(name);
    return s && str_to_i64(s, out) && *out >= 0;
}

static mohs_status shard_auto(uint32_t *shard, uint32_t *n, struct mohs_error *err)
{
    // pairs of rank and size; Slurm arrays count from their own minimum
    static const struct {
        const char *rank, *size, *first;
    } from[] = {
        { "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN" },
        { "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", NULL },
        { "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL },
        { "PMIX_RANK", "PMIX_SIZE", NULL },
        { "SLURM_PROCID", "SLURM_NTASKS", NULL },
        { "RANK", "WORLD_SIZE", NULL },
    };
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        int64_t r, s, first = 0;
        if (!env_number(from[i].rank, &r) || !env_number(from[i].size, &s))
            continue;
        if (from[i].first)
            env_number(from[i].first, &first);
        if (r < first || r - first >= s || s > UINT32_MAX)
            return mohs_fail(err, MOHS_E_ARG, "--shard auto: %s=%lld of %s=%lld",
                             from[i].rank, (long long)r, from[i].size, (long long)s);
        *shard = (uint32_t)(r - first);
        *n = (uint32_t)s;
        log_info("shard %u of %u, from %s", *shard, *n, from[i].rank);
        return MOHS_OK;
    }
    return mohs_fail(err, MOHS_E_ARG, "--shard auto: no Slurm, Kubernetes or MPI "
                                      "variables that give a rank and a size");
}

mohs_status session_shard(const char *value, uint32_t *shard, uint32_t *n,
                          struct mohs_error *err)
{
    int64_t i, k;
    char *copy, *slash;
    if (!strcmp(value, "auto"))
        return shard_auto(shard, n, err);
    copy = xstrdup(value);
    slash = strchr(copy, '/');
    bool ok = slash != NULL;
    if (ok) {
        *slash = 0;
        ok = str_to_i64(copy, &i) && str_to_i64(slash + 1, &k) && i >= 0 && k > i &&
             k <= 1000000;
    }
    free(copy);
    if (!ok)
        return mohs_fail(err, MOHS_E_ARG,
                         "--shard '%s' is not auto or I/N with I in 0..N-1", value);
    *shard = (uint32_t)i;
    *n = (uint32_t)k;
    return MOHS_OK;
}

mohs_status session_lines(const char *path, char ***out, size_t *n,
                          struct mohs_error *err)
{
    char *text;
    size_t len, k = 0, cap = 64;
    RET_IF_ERR(file_read(path, (size_t)1 << 30, &text, &len, err));
    char **v = xmalloc(cap * sizeof *v);
    for (size_t i = 0; i < len;) {
        char *end = memchr(text + i, '\n', len - i);
        size_t stop = end ? (size_t)(end - text) : len, cut = stop;
        if (cut > i && text[cut - 1] == '\r')
            cut--;
        if (k + 1 == cap)
            v = xrealloc(v, (cap *= 2) * sizeof *v);
        v[k++] = xasprintf("%.*s", (int)(cut - i), text + i);
        i = stop + 1;
    }
    v[k] = NULL;
    free(text);
    *out = v;
    *n = k;
    return MOHS_OK;
}
