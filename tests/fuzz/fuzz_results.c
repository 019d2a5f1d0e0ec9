/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any bytes as a results file, read as `mohs results` and the
 * report read one from elsewhere. main() changes a good file from a fixed
 * seed, also where its tables hold JSON and packed samples.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/replay.h"
#include "results/results.h"

static struct results *reading;

static mohs_status see_cell(void *user, const struct result_cell *c,
                            struct mohs_error *err)
{
    struct result_samples s;
    size_t *bytes = user;
    for (size_t i = 0; i < c->n_axes; i++)
        *bytes += strlen(c->axis[i].key) + strlen(c->axis[i].value);
    for (size_t i = 0; i < c->n_values; i++)
        *bytes += strlen(c->value[i].name);
    for (size_t i = 0; i < c->n_artefacts; i++)
        for (size_t k = 0; k < c->artefact[i].n; k++)
            *bytes += ((const uint8_t *)c->artefact[i].data)[k];
    if (results_samples(reading, c->hash, &s, err) < 0)
        return MOHS_OK; // what is damaged in one cell
    for (uint32_t i = 0; i < s.n_rows * s.n_columns; i++)
        *bytes += s.value[i] > 0;
    for (uint32_t k = 0; k < s.n_columns; k++)
        *bytes += result_is_hit(&s, k);
    results_samples_free(&s);
    return MOHS_OK;
}

static mohs_status see_run(void *user, const struct result_run *r,
                           struct mohs_error *err)
{
    size_t *bytes = user;
    (void)err;
    *bytes += strlen(r->recipe_name) + strlen(r->args_json) + strlen(r->state);
    for (size_t i = 0; i < r->n_facts; i++)
        *bytes += strlen(r->facts[i].key) + strlen(r->facts[i].value);
    return MOHS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    char path[] = "/tmp/mohs-fuzz-XXXXXX";
    size_t bytes = 0;
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n)
        abort();
    close(fd);
    if (results_open_readonly(path, &reading, &e) < 0) {
        if (!*e.text)
            abort(); // a refusal says why
    } else {
        if (results_each(reading, see_cell, &bytes, &e) < 0 && !*e.text)
            abort();
        if (results_each_run(reading, see_run, &bytes, &e) < 0 && !*e.text)
            abort();
        results_close(reading);
    }
    unlink(path);
    return 0;
}

#ifndef MOHS_LIBFUZZER
/* Two cells with samples, axes, values and a picture. */
static void good_file(const char *path)
{
    struct results *r;
    int64_t run;
    const struct result_pair fact = { "device", "cpu" };
    if (results_open(path, &r, NULL) < 0 ||
        results_run(r, "a.lua", "-- text", "{\"n\": 1}", 7, &fact, 1, &run, NULL) < 0)
        abort();
    for (uint64_t k = 0; k < 2; k++) {
        const struct result_pair axis[] = { { "model", k ? "b" : "a" },
                                            { "metric", "retrieval" } };
        const struct result_value v = { "r1", "%", "recall", 1, 50, 40, 60 };
        const char *const column[] = { "hit1", "rank" };
        const double value[] = { 0, 3, 1, 1 };
        const uint32_t cluster[] = { 0, 1 };
        const char *const id[] = { "x", "y" };
        const struct result_artefact art = { "clean", "image/png", "abc", 3 };
        const struct result_cell c = {
            .hash = { 5, k }, .axis = axis, .n_axes = 2, .provenance = axis,
            .n_provenance = 1, .value = &v, .n_values = 1,
            .samples = { column, 2, 2, value, cluster, id },
            .artefact = &art, .n_artefacts = 1, .seconds = 1,
        };
        if (results_put(r, run, &c, NULL) < 0)
            abort();
    }
    results_run_end(r, run, "done", 2, 100, NULL);
    results_close(r);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/mohs-fuzz-XXXXXX", *data;
    size_t n;
    int bad;
    if (replay_named(argc, argv, &bad))
        return bad;
    if (!mkdtemp(dir))
        return 1;
    char *path = path_join(dir, "good.sqlite");
    good_file(path);
    if (file_read(path, 0, &data, &n, NULL) < 0)
        return 1;
    LLVMFuzzerTestOneInput((const uint8_t *)data, n);
    for (uint64_t k = 0; k < replay_mutations(); k++)
        replay_mutant(data, n, k);
    free(data);
    unlink(path);
    rmdir(dir);
    free(path);
    return 0;
}
#endif
