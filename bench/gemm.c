/* SPDX-License-Identifier: MIT */
/*
 * Matrix products at ViT-B/32 shapes against OpenBLAS, interleaved in one
 * run, medians. Ours includes packing of activations; weights are packed
 * before, as the engine does. OpenBLAS is loaded at run time; without it only
 * our column is printed. The fair setting, where the CPU has AVX-512:
 *
 *   OPENBLAS_CORETYPE=SkylakeX OPENBLAS_THREAD_TIMEOUT=4 bench/gemm
 *
 * (its threads spin after each call unless told not to, and would slow down
 * whatever runs next).
 */
#include "config.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mohs/ext/graph.h>
#include <mohs/rng.h>

#include "compute/compute.h"

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112, REPS = 15 };
typedef void sgemm_fn(int order, int ta, int tb, int m, int n, int k,
                      float alpha, const float *a, int lda, const float *b,
                      int ldb, float beta, float *c, int ldc);

struct shape {
    const char *what;
    uint32_t m, n, k;
    bool a_trans, b_trans, packed;
    int act;
};

static const struct shape shapes[] = {
    { "attention out", 1600, 768, 768, false, true, true, 0 },
    { "mlp in", 1600, 3072, 768, false, true, true, 0 },
    { "mlp out", 1600, 768, 3072, false, true, true, 0 },
    { "qkv", 1600, 2304, 768, false, true, true, 0 },
    { "mlp in, quick_gelu", 1600, 3072, 768, false, true, true,
      MOHS_ACT_QUICK_GELU },
    { "mlp in, gelu", 1600, 3072, 768, false, true, true, MOHS_ACT_GELU },
    { "mlp in, unpacked", 1600, 3072, 768, false, true, false, 0 },
    { "batch 1", 50, 3072, 768, false, true, true, 0 },
    { "one row", 1, 768, 768, false, true, true, 0 },
    { "input gradient", 1600, 768, 3072, false, false, true, 0 },
    { "weight gradient", 3072, 768, 1600, true, false, false, 0 },
    /* the default model, batch 256 */
    { "small qkv", 16640, 192, 192, false, true, false, 0 },
    { "small mlp in", 16640, 768, 192, false, true, false, 0 },
    { "small mlp out", 16640, 192, 768, false, true, false, 0 },
    { "small qkv, weights", 192, 192, 16640, true, false, false, 0 },
    { "small mlp, weights", 768, 192, 16640, true, false, false, 0 },
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, REPS, sizeof *v, by_value);
    return v[REPS / 2];
}

static float *numbers(size_t n, uint64_t key)
{
    float *v = xmalloc(n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = mohs_rng_uniform(1, key, i) - 0.5f;
    return v;
}

static sgemm_fn *find_blas(void)
{
    static const char *const names[] = { "libopenblas.so.0", "libopenblas.so" };
    for (int i = 0; i < 2; i++) {
        void *h = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        void *f = h ? dlsym(h, "cblas_sgemm") : NULL;
        sgemm_fn *fn = NULL;
        if (f) {
            memcpy(&fn, &f, sizeof fn);
            return fn;
        }
    }
    return NULL;
}

static void pause_ms(long ms)
{
    struct timespec t = { 0, ms * 1000000 };
    nanosleep(&t, NULL);
}

static mohs_status measure(struct compute *c, const struct shape *s,
                           sgemm_fn *blas, struct mohs_error *err)
{
    size_t na = (size_t)s->m * s->k, nb = (size_t)s->n * s->k;
    size_t nc = (size_t)s->m * s->n, packed = gemm_packed_bytes(c, s->n, s->k);
    float *a = numbers(na, 1), *b = numbers(nb, 2), *want = xcalloc(nc, 4);
    float *got = xmalloc(nc * 4);
    double ours[REPS], theirs[REPS], worst = 0;
    mohs_status st = MOHS_OK;
    struct gemm g = { .m = s->m, .n = s->n, .k = s->k, .a_trans = s->a_trans,
                      .b_trans = s->b_trans, .act = s->act, .alpha = 1,
                      .lda = s->a_trans ? s->m : s->k,
                      .ldb = s->b_trans ? s->k : s->n, .ldc = s->n };
    OUT_IF_ERR(buffer_new(c, na * 4, &g.a, err));
    OUT_IF_ERR(buffer_new(c, nb * 4, &g.b, err));
    OUT_IF_ERR(buffer_new(c, nc * 4, &g.c, err));
    OUT_IF_ERR(buffer_write(g.a, 0, a, na * 4, err));
    OUT_IF_ERR(buffer_write(g.b, 0, b, nb * 4, err));
    if (s->packed && packed) {
        OUT_IF_ERR(buffer_new(c, packed, &g.b_packed, err));
        OUT_IF_ERR(gemm_pack_b(c, g.b, 0, g.ldb, s->b_trans, s->n, s->k,
                               g.b_packed, 0, err));
    }
    for (int i = -1; i < REPS; i++) { // once to warm up
        double t0 = now_s();
        OUT_IF_ERR(gemm_run(c, &g, err));
        OUT_IF_ERR(compute_finish(c, err));
        double t1 = now_s();
        pause_ms(2);
        double t2 = now_s();
        if (blas)
            blas(ROW_MAJOR, s->a_trans ? TRANS : NO_TRANS,
                 s->b_trans ? TRANS : NO_TRANS, (int)s->m, (int)s->n, (int)s->k,
                 1.0f, a, (int)g.lda, b, (int)g.ldb, 0.0f, want, (int)s->n);
        double t3 = now_s();
        pause_ms(2);
        if (i >= 0) {
            ours[i] = t1 - t0;
            theirs[i] = t3 - t2;
        }
    }
    OUT_IF_ERR(buffer_read(g.c, 0, got, nc * 4, err));
    for (size_t i = 0; blas && !s->act && i < nc; i++)
        worst = fmax(worst, fabs((double)got[i] - want[i]));
    double gf = 2e-9 * s->m * s->n * s->k, t = median(ours), u = median(theirs);
    printf("%-20s %5u %5u %6u %9.1f", s->what, s->m, s->n, s->k, gf / t);
    if (blas)
        printf(" %9.1f %6.2f %9.1e", gf / u, u / t, worst);
    printf("\n");
out:
    buffer_unref(g.a);
    buffer_unref(g.b);
    buffer_unref(g.c);
    buffer_unref(g.b_packed);
    free(a);
    free(b);
    free(want);
    free(got);
    return st;
}

int main(void)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct compute *c;
    if (compute_open(getenv("MOHS_DEVICE"), &c, &err) < 0) {
        fprintf(stderr, "bench/gemm: %s\n", err.text);
        return 4;
    }
    sgemm_fn *blas = find_blas();
    const char *core = getenv("OPENBLAS_CORETYPE");
    printf("device %s; OpenBLAS %s\n", compute_device(c)->name,
           !blas ? "not found" : core ? core : "with the kernel it picks");
    printf("%-20s %5s %5s %6s %9s %9s %6s %9s\n", "", "m", "n", "k",
           "GFLOP/s", "OpenBLAS", "ratio", "max diff");
    mohs_status st = MOHS_OK;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && st >= 0; i++)
        st = measure(c, &shapes[i], blas, &err);
    if (st < 0)
        fprintf(stderr, "bench/gemm: %s\n", err.text);
    compute_close(c);
    return st < 0;
}
