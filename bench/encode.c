/* SPDX-License-Identifier: MIT */
/*
 * Images per second of a model's image tower, whatever its family:
 *   encode MODEL [batch [runs]]
 * Random pictures, the median over the runs; also the processor seconds of an
 * image, which on a busy machine say more. bench/encode.py is the same for
 * references in PyTorch, bench/encode.sh runs the two in turns.
 * MOHS_PROFILE=1 adds the time of every kind of op.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <mohs/rng.h>

#include "eval/encoder.h"

static struct mohs_error err = MOHS_ERROR_INIT;

static void ok(mohs_status st)
{
    if (st >= 0)
        return;
    fprintf(stderr, "encode: %s\n", err.text);
    exit(1);
}

static const struct registry_extension tables[] = {
    { MOHS_EXT_GRAPH, &graph_api },
    { MOHS_EXT_WEIGHTS, &weights_api },
    { NULL, NULL },
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void fill(struct tensor *pixels)
{
    size_t n = (size_t)tensor_count(pixels);
    float *x = xcalloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = mohs_rng_uniform(1, 2, i);
    ok(tensor_write(pixels, x, &err));
    free(x);
}

/* Seconds of a run by the clock and, in *cpu, of all processors. */
static double median(const struct tower_graph *t, int runs, double *cpu)
{
    double *s = xcalloc((size_t)runs, sizeof *s), m;
    double *used = xcalloc((size_t)runs, sizeof *used);
    size_t n = (size_t)tensor_count(t->embed);
    float *out = xcalloc(n, sizeof *out);
    for (int i = -1; i < runs; i++) { // the first packs weights
        double t0 = now_s();
        clock_t c0 = clock();
        ok(graph_run(t->graph, &err));
        ok(tensor_read(t->embed, out, &err));
        if (i < 0)
            continue;
        s[i] = now_s() - t0;
        used[i] = (double)(clock() - c0) / CLOCKS_PER_SEC;
    }
    qsort(s, (size_t)runs, sizeof *s, by_size);
    qsort(used, (size_t)runs, sizeof *used, by_size);
    m = s[runs / 2];
    *cpu = used[runs / 2];
    free(used);
    free(out);
    free(s);
    return m;
}

/* The most memory that this process held, in MB. */
static double peak_mb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss * 1024e-6;
}

int main(int argc, char **argv)
{
    struct registry_options o = { .device = getenv("MOHS_DEVICE"),
                                  .extensions = tables };
    uint32_t batch = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
    int runs = argc > 3 ? atoi(argv[3]) : 5;
    struct registry *reg;
    struct encoder *e;
    struct tower_graph t;
    struct graph_cost cost;
    if (argc < 2 || !batch || runs < 1) {
        fprintf(stderr, "usage: encode MODEL [batch [runs]]\n");
        return 2;
    }
    ok(registry_open(&o, &reg, &err));
    ok(encoder_open(reg, NULL, argv[1], &e, &err));
    ok(encoder_tower(e, MOHS_TOWER_IMAGE, batch, 0, NULL, 0, &t, &err));
    graph_output(t.graph, t.embed);
    ok(graph_plan(t.graph, &cost, &err));
    fill(t.pixels);
    double cpu, s = median(&t, runs, &cpu);
    printf("forward batch %u: %7.2f images/s, %8.5f cpu-s/image, %.1f GFLOP/s, "
           "%.1f per cpu-s, "
           "%.1f MB peak, arena %.1f MB, weights %.1f MB, packed %.1f MB\n",
           batch, batch / s, cpu / batch, cost.flops / s * 1e-9,
           cost.flops / cpu * 1e-9, peak_mb(), (double)cost.arena_bytes / 1e6,
           (double)cost.weight_bytes / 1e6, (double)cost.packed_bytes / 1e6);
    graph_free(t.graph);
    encoder_close(e);
    registry_close(reg);
    return 0;
}
