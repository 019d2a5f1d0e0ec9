/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "corruption_test.h"

struct registry *reg;
struct mohs_error err = MOHS_ERROR_INIT;

static void setup(void)
{
    static const char dir[] = BUILDDIR "/plugins/corruptions";
    const char *const dirs[] = { dir, NULL };
    struct registry_options o = { .plugin_dirs = dirs };
    log_threshold = LOG_ERROR;
    OK(registry_open(&o, &reg, &err));
}

static void teardown(void)
{
    registry_close(reg);
}

struct instance instance_new(const char *id, const char *params)
{
    struct instance in = { 0 };
    const struct item *it;
    char *all = NULL, *save = NULL;
    OK(registry_find(reg, MOHS_KIND_CORRUPTION, id, &it, &err));
    void *p = item_params_new(it);
    for (; *params; params++) { // @ spelled out
        char one[] = { *params, 0 };
        const char *add =
            *params == '@' ? SRCDIR "/tests/golden/corruptions_ice" : one;
        char *next = xasprintf("%s%s", all ? all : "", add);
        free(all);
        all = next;
    }
    for (char *t = strtok_r(all, ",", &save); t;
         t = strtok_r(NULL, ",", &save)) {
        char *value = strchr(t, '=');
        if (!value)
            continue;
        *value = 0;
        OK(item_param_set_text(it, p, t, value + 1, &err));
    }
    free(all);
    in.ops = it->item->ops;
    OK(in.ops->create(registry_host(reg), p, &in.self, &err));
    item_params_free(it, p);
    if (in.ops->get_extension)
        in.reference = in.ops->get_extension(in.self, "mohs.reference/1");
    return in;
}

uint8_t *run(const struct instance *in, bool reference,
                    const uint8_t *rgb, const float *depth, uint32_t n,
                    uint32_t w, uint32_t h, const uint64_t *key,
                    uint32_t severity)
{
    size_t bytes = (size_t)n * w * h * 3;
    struct mohs_images from = {
        sizeof from, n, h, w, (uint8_t *)rgb, key, depth
    };
    struct mohs_images to = from;
    to.rgb = xmalloc(bytes);
    memset(to.rgb, 0xA5, bytes);
    if (reference)
        OK(in->reference->apply(in->self, &from, &to, severity, SEED, &err));
    else
        OK(in->ops->apply(in->self, &from, &to, severity, SEED, &err));
    scratch_reset();
    return to.rgb;
}

uint8_t *picture(uint32_t w, uint32_t h)
{
    uint8_t *rgb = xmalloc((size_t)w * h * 3);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (uint32_t c = 0; c < 3; c++) {
                uint32_t i = (y * w + x) * 3 + c;
                uint32_t patch = (x / 9 * 7 + y / 7 * 5) % 11;
                int wave = abs((int)((x * (5 + c) + y * 3) % 255) - 127);
                rgb[i] = patch == 0   ? 255
                         : patch == 1 ? 0
                         : patch == 2 ? (uint8_t)(37 * (c + 2))
                                      : (uint8_t)((uint32_t)(wave * 7 / 4) +
                                                  mohs_rng_u32(1, 2, i) % 32);
            }
    return rgb;
}

float *depth_map(uint32_t w, uint32_t h)
{
    float *d = xmalloc((size_t)w * h * sizeof *d);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            int mm = (int)(2000 + 3000 * (h - y) / h + 3 * (x % 5));
            if ((x / 9 * 7 + y / 7 * 5) % 4 == 0)
                mm -= 900;
            d[y * w + x] = (float)mm / 1000;
        }
    return d;
}

void compare(const char *what, const uint8_t *got, const uint8_t *want,
             size_t n, struct difference may)
{
    double sum = 0;
    size_t jumps = 0;
    for (size_t i = 0; i < n; i++) {
        int d = abs(got[i] - want[i]);
        jumps += d > may.worst;
        ck_assert_msg(d <= may.worst ||
                          (double)jumps <= may.jumps / 1000 * (double)n,
                      "%s: byte %zu is %d, not %d", what, i, got[i], want[i]);
        sum += d;
    }
    ck_assert_msg(sum / (double)n <= may.mean,
                  "%s: mean difference %g, allowed %g", what, sum / (double)n,
                  may.mean);
}

void compare_golden(const char *name, size_t cases,
                    struct difference (*of)(const char *id, bool reference))
{
    char *text, *data, id[64], params[256], file[256];
    size_t n, size, at = 0, seen = 0;
    unsigned severity, w, h;
    int used;
    snprintf(file, sizeof file, SRCDIR "/tests/golden/%s.txt", name);
    OK(file_read(file, 1 << 20, &text, &n, &err));
    snprintf(file, sizeof file, SRCDIR "/tests/golden/%s.bin", name);
    OK(file_read(file, 1 << 22, &data, &size, &err));
    for (const char *t = text; sscanf(t, " %63s %255s %u %u %u%n", id, params,
                                      &severity, &w, &h, &used) == 5;
         t += used, seen++) {
        struct instance in = instance_new(id, params);
        uint64_t key = KEY;
        uint8_t *rgb = picture(w, h);
        float *depth = depth_map(w, h);
        size_t bytes = (size_t)w * h * 3;
        ck_assert(at + bytes <= size);
        for (int r = 0; r < 2; r++) {
            char what[400];
            snprintf(what, sizeof what, "%s of %s %s severity %u",
                     r ? "reference" : "kernel", id, params, severity);
            uint8_t *out =
                run(&in, r == 1, rgb, depth, 1, w, h, &key, severity);
            compare(what, out, (uint8_t *)data + at, bytes, of(id, r == 1));
            free(out);
        }
        at += bytes;
        free(rgb);
        free(depth);
        in.ops->destroy(in.self);
    }
    ck_assert_uint_eq(at, size);
    ck_assert_uint_eq(seen, cases);
    free(text);
    free(data);
}

void compare_sizes(const char *id, struct difference may)
{
    static const struct {
        uint32_t w, h;
    } sizes[] = { { 1, 1 }, { 1, 7 }, { 6, 1 }, { 2, 2 }, { 19, 64 },
                  { 83, 61 } };
    struct instance in = instance_new(id, "-");
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint32_t w = sizes[k].w, h = sizes[k].h;
        uint8_t *rgb = picture(w, h);
        float *depth = depth_map(w, h);
        uint64_t key = 5;
        char what[128];
        struct difference here = may;
        if (w * h < 100)
            here.mean = may.worst;
        for (uint32_t s = 1; s <= 5; s += 2) {
            uint8_t *a = run(&in, false, rgb, depth, 1, w, h, &key, s);
            uint8_t *b = run(&in, true, rgb, depth, 1, w, h, &key, s);
            snprintf(what, sizeof what, "%s %ux%u severity %u", id, w, h, s);
            compare(what, a, b, (size_t)w * h * 3, here);
            free(a);
            free(b);
        }
        free(rgb);
        free(depth);
    }
    in.ops->destroy(in.self);
}

void compare_batches(const char *id)
{
    enum { W = 23, H = 18, N = 4, PIXELS = W * H, BYTES = PIXELS * 3 };
    uint8_t *rgb = xmalloc(N * BYTES), *one = picture(W, H);
    float *depth = xmalloc(N * PIXELS * sizeof *depth), *d = depth_map(W, H);
    uint64_t key[N] = { 3, 1u << 31, UINT64_MAX, 3 };
    for (int i = 0; i < N; i++)
        for (int j = 0; j < BYTES; j++) {
            rgb[i * BYTES + j] = i % 3 ? (uint8_t)(255 - one[j]) : one[j];
            depth[i * PIXELS + j / 3] = i % 3 ? 9 - d[j / 3] : d[j / 3];
        }
    struct instance in = instance_new(id, "-");
    uint8_t *all = run(&in, false, rgb, depth, N, W, H, key, 3);
    for (int k = N - 1; k >= 0; k--) {
        uint8_t *out = run(&in, false, rgb + k * BYTES, depth + k * PIXELS, 1,
                           W, H, key + k, 3);
        ck_assert_msg(!memcmp(out, all + k * BYTES, BYTES),
                      "%s: picture %d depends on its batch", id, k);
        free(out);
    }
    ck_assert(!memcmp(all, all + 3 * BYTES, BYTES)); // same picture and key
    free(all);
    in.ops->destroy(in.self);
    free(rgb);
    free(one);
    free(depth);
    free(d);
}

/* 0 to go on, else main's return value. */
static int need_device(void)
{
    struct device_report *r;
    size_t n;
    bool any = false;
    if (compute_probe(&r, &n, &err) >= 0) {
        for (size_t i = 0; i < n; i++)
            any |= r[i].usable;
        free(r);
    }
    const char *must = getenv("MOHS_REQUIRE_CL");
    return any ? 0 : must && *must == '1' ? EXIT_FAILURE : 77;
}

int corruption_main(const char *name, void (*add)(TCase *))
{
    int skip = need_device();
    if (skip)
        return skip;
    Suite *s = suite_create(name);
    TCase *t = tcase_create(name);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    add(t);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
