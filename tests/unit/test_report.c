/* SPDX-License-Identifier: MIT */
/*
 * The report: from made-up but realistic results (two models, clean, four
 * corruptions of five severities, two attacks, pictures, training curves).
 * MOHS_KEEP_REPORT=FILE keeps the page to look at.
 */
#include "config.h"

#include <check.h>
#include <ctype.h>
#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "report/report.h"
#include "results/results.h"

static char *dir, *db, *page;

static void setup(void)
{
    const char *tmp = getenv("TMPDIR");
    dir = xasprintf("%s/mohs-report-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    db = path_join(dir, "run.db");
    page = path_join(dir, "run.html");
}

static void teardown(void)
{
    unlink(db);
    unlink(page);
    rmdir(dir);
    free(dir);
    free(db);
    free(page);
}

#define OK(expr)                                    \
    do {                                            \
        struct mohs_error err = MOHS_ERROR_INIT;    \
        ck_assert_msg((expr) >= 0, "%s", err.text); \
    } while (0)

/* ---- a made-up run ---------------------------------------------------- */

struct spec {
    const char *model, *data, *corruption, *attack, *attack_params;
    int severity;
};

static const struct {
    const char *name, *unit, *doc;
    int direction;
    double scale; /* of the underlying quality in [0, 1] */
} values[] = {
    { "i2t_r1", "%", "image to text, recall at 1", 1, 62 },
    { "i2t_r5", "%", "image to text, recall at 5", 1, 84 },
    { "i2t_r10", "%", "image to text, recall at 10", 1, 93 },
    { "t2i_r1", "%", "text to image, recall at 1", 1, 55 },
    { "t2i_r5", "%", "text to image, recall at 5", 1, 80 },
    { "t2i_r10", "%", "text to image, recall at 10", 1, 90 },
    { "mean_recall", "%", "mean of the six recalls", 1, 77 },
    { "i2t_mrr", "", "image to text, mean reciprocal rank", 1, 0.7 },
    { "i2t_median_rank", "rank", "image to text, median rank", -1, 0 },
};
enum { N_VALUES = sizeof values / sizeof values[0] };

/* The robust model starts lower and falls slower. */
static double quality(const struct spec *s)
{
    bool robust = strcmp(s->model, "clean");
    static const char *const name[] = { "gaussian_noise", "defocus_blur",
                                        "contrast", "jpeg_compression" };
    static const double hurt[] = { 0.27, 0.2, 0.34, 0.06 };
    double q = robust ? 0.94 : 1;
    for (int i = 0; s->corruption && i < 4; i++)
        if (!strcmp(s->corruption, name[i]))
            q *= exp(-hurt[i] * s->severity * (robust ? 0.62 : 1));
    if (s->attack)
        q *= strcmp(s->attack, "pgd") ? (robust ? 0.55 : 0.21)
                                      : (robust ? 0.28 : 0.03);
    return q;
}

static struct str picture(const struct spec *s, int item, bool delta)
{
    enum { W = 64 };
    static uint8_t rgb[W * W * 3];
    for (int y = 0; y < W; y++) {
        for (int x = 0; x < W; x++) {
            int cx = 20 + 12 * item, r = 14 + s->severity;
            bool in = (x - cx) * (x - cx) + (y - 30) * (y - 30) < r * r;
            for (int c = 0; c < 3; c++) {
                double v = delta ? 128 : in ? (c == item ? 230 : 60) : 150 + y;
                uint64_t key = (uint64_t)(y * W + x) * 3 + (uint64_t)c;
                double n = mohs_rng_normal(7, (uint64_t)s->severity, key);
                if (s->corruption && !strcmp(s->corruption, "gaussian_noise"))
                    v += 12 * s->severity * n;
                if (s->corruption && !strcmp(s->corruption, "contrast"))
                    v = 150 + (v - 150) * (1 - 0.17 * s->severity);
                if (s->attack)
                    v += (delta ? 60 : 6) * ((x / 8 + y / 8) % 2 ? 1 : -1) *
                         (strcmp(s->model, "clean") ? n : 1);
                rgb[key] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    }
    png_image im = { .version = PNG_IMAGE_VERSION, .width = W, .height = W,
                     .format = PNG_FORMAT_RGB };
    png_alloc_size_t n = PNG_IMAGE_PNG_SIZE_MAX(im);
    char *buf = malloc(n);
    struct str out = { 0 };
    ck_assert(png_image_write_to_memory(&im, buf, &n, 0, rgb, 0, NULL));
    str_addn(&out, buf, n);
    free(buf);
    return out;
}

static size_t add(struct result_pair *p, size_t n, const char *k, const char *v)
{
    if (v)
        p[n++] = (struct result_pair) { k, v };
    return n;
}

static void put_cell(struct results *r, int64_t run, const struct spec *s)
{
    struct result_pair axis[8], prov[8];
    struct result_value v[N_VALUES + 2];
    struct result_artefact art[8];
    struct str png[8] = { { 0 } };
    char severity[8], hash[33];
    size_t n = 0, m = 0, k = 0;
    snprintf(severity, sizeof severity, "%d", s->severity);
    n = add(axis, n, "model", s->model);
    n = add(axis, n, "data", s->data);
    n = add(axis, n, "corruption", s->corruption);
    n = add(axis, n, "severity", s->severity ? severity : NULL);
    n = add(axis, n, "attack", s->attack);
    n = add(axis, n, "attack_params", s->attack_params);
    n = add(axis, n, "metric", "retrieval");
    struct hasher *h = hasher_new();
    for (size_t i = 0; i < n; i++) {
        hasher_str(h, axis[i].key);
        hasher_str(h, axis[i].value);
    }
    struct hash128 key = hasher_end(h);
    hash_hex(hash_bytes(s->model, strlen(s->model)), hash);
    m = add(prov, m, "model_hash", hash);
    m = add(prov, m, "preprocess", "clip 64x64");
    m = add(prov, m, "device", "cpu: a <fast> one");
    m = add(prov, m, "corruption_plugin", s->corruption ? "common 1.0" : "");
    double q = quality(s);
    for (int i = 0; i < N_VALUES; i++) {
        double x = values[i].scale * q, half = 0.05 * values[i].scale * sqrt(q);
        if (values[i].direction < 0)
            x = floor(1 + 60 * (1 - q)), half = NAN;
        v[i] = (struct result_value) { values[i].name, values[i].unit,
                                       values[i].doc, values[i].direction, x,
                                       x - half, x + half };
    }
    int nv = N_VALUES;
    if (s->attack)
        v[nv++] = (struct result_value) { "asr_flip", "%", "hits lost", -1,
                                          100 * (1 - q), NAN, NAN };
    bool shown = !s->corruption || !strcmp(s->corruption, "gaussian_noise") ||
                 !strcmp(s->corruption, "contrast");
    for (int item = 0; shown && item < 2; item++) {
        for (int delta = 0; delta < (s->attack ? 2 : 1); delta++) {
            png[k] = picture(s, item, delta);
            art[k] = (struct result_artefact) {
                delta ? item ? "delta:scene 2" : "delta:scene 1"
                      : item ? "thumb:scene 2" : "thumb:scene 1",
                "image/png", png[k].s, png[k].n };
            k++;
        }
    }
    struct result_cell c = { .hash = key, .axis = axis, .n_axes = n,
                             .provenance = prov, .n_provenance = m, .value = v,
                             .n_values = (size_t)nv, .artefact = art,
                             .n_artefacts = k, .seconds = 0.8 };
    OK(results_put(r, run, &c, &err));
    for (size_t i = 0; i < k; i++)
        str_free(&png[i]);
}

static void put_training(struct results *r, int64_t run, const char *model)
{
    struct str x = { 0 }, loss = { 0 }, lr = { 0 };
    for (int i = 0; i < 200; i++) {
        double t = i / 200.0;
        str_addf(&x, "%s%d", i ? "," : "", i * 10);
        str_addf(&loss, "%s%.4f", i ? "," : "",
                 (strcmp(model, "clean") ? 5.2 : 4.9) * exp(-3 * t) + 0.4 +
                     0.05 * mohs_rng_normal(3, 1, (uint64_t)i));
        str_addf(&lr, "%s%.3g", i ? "," : "", 1e-3 * cos(1.5 * t));
    }
    struct str json = { 0 };
    str_addf(&json, "{\"x\":[%s],\"y\":{\"loss\":[", x.s);
    str_add(&json, loss.s);
    str_add(&json, "],\"learning rate\":[");
    str_add(&json, lr.s);
    str_add(&json, "]},\"xlabel\":\"step\"}");
    const struct result_pair axis[] = { { "model", model },
                                        { "metric", "training" } };
    const struct result_artefact art = { "curve:train", "application/json",
                                         json.s, json.n };
    const struct result_value v = { "final_loss", "", "", -1, 0.61, NAN, NAN };
    struct result_cell c = { .hash = hash_bytes(model, strlen(model)),
                             .axis = axis, .n_axes = 2, .value = &v,
                             .n_values = 1, .artefact = &art, .n_artefacts = 1 };
    OK(results_put(r, run, &c, &err));
    str_free(&x);
    str_free(&loss);
    str_free(&lr);
    str_free(&json);
}

static const char recipe[] =
    "-- SPDX-License-Identifier: MIT\n"
    "-- Does feature-level adversarial pretraining make retrieval robust\n"
    "-- against common corruptions? Two twins, trained alike but for that.\n"
    "local mohs = require \"mohs\"\n"
    "for c in mohs.each(mohs.corruptions.quick, 1, 5) do\n"
    "  if 1 < 2 and c then mohs.cell { corruption = c } end\n"
    "end\n";

static void make_run(const char *second)
{
    struct results *r = NULL;
    int64_t run;
    static const char *const corruption[] = { "gaussian_noise", "defocus_blur",
                                              "contrast", "jpeg_compression" };
    static const char *const model0 = "clean";
    const struct result_pair fact[] = { { "mohs", "0.1.0" }, { "shard", "0/1" } };
    OK(results_open(db, &r, &err));
    OK(results_run(r, "twins_study.lua", recipe, "{\"images\":500}", 42, fact, 2,
                   &run, &err));
    for (int m = 0; m < 2; m++) {
        struct spec s = { .model = m ? second : model0, .data = "scenes/test" };
        put_cell(r, run, &s);
        for (int c = 0; c < 4; c++) {
            for (s.severity = 5; s.severity >= 1; s.severity--) {
                s.corruption = corruption[c];
                put_cell(r, run, &s);
            }
        }
        s.severity = 0;
        s.corruption = NULL;
        s.attack = "pgd";
        s.attack_params = "eps=2/255, steps=10";
        put_cell(r, run, &s);
        s.attack = "feature_pgd";
        s.attack_params = "tap=image.patch, eps=0.1";
        put_cell(r, run, &s);
        put_training(r, run, s.model);
    }
    OK(results_run_end(r, run, "done", 143, 512u << 20, &err));
    results_close(r);
}

static char *make_page(const char *title)
{
    char *html;
    OK(report_write(db, page, title, &err));
    OK(file_read(page, 0, &html, NULL, &err));
    return html;
}

/* ---- a checker of markup --------------------------------------------- */

/* Every element closed in order, attributes quoted, no stray < & or >. */
static void check_markup(const char *html)
{
    enum { DEPTH = 64, NAME = 24 };
    char open[DEPTH][NAME];
    int depth = 0;
    const char *p = html;
    ck_assert_int_eq(strncmp(p, "<!DOCTYPE html>", 15), 0);
    for (p += 15; *p;) {
        if (*p == '&') {
            size_t n = strspn(p + 1, "#abcdefghijklmnopqrstuvwxyz0123456789");
            ck_assert_msg(n > 1 && p[1 + n] == ';', "bad entity: %.30s", p);
        }
        ck_assert_msg(*p != '>', "stray >: %.30s", p);
        if (*p++ != '<')
            continue;
        bool close = *p == '/';
        p += close;
        size_t n = strcspn(p, " />\n");
        ck_assert_msg(n > 0 && n < NAME, "bad element: %.30s", p);
        char name[NAME] = { 0 };
        memcpy(name, p, n);
        bool quoted = false;
        for (p += n; *p && (quoted || *p != '>'); p++) {
            ck_assert_msg(*p != '<', "< in a tag: %.30s", p);
            quoted ^= *p == '"';
            if (*p == '=' && !quoted)
                ck_assert_int_eq(p[1], '"');
        }
        ck_assert_int_eq(*p, '>');
        bool empty = p[-1] == '/';
        p++;
        if (close) {
            ck_assert_int_gt(depth, 0);
            ck_assert_msg(!strcmp(open[--depth], name), "<%s> closed by </%s>",
                          open[depth], name);
        } else if (!empty) {
            ck_assert_int_lt(depth, DEPTH);
            memcpy(open[depth++], name, NAME);
            if (!strcmp(name, "script") || !strcmp(name, "style")) {
                char end[NAME + 4];
                snprintf(end, sizeof end, "</%s>", name);
                p = strstr(p, end);
                ck_assert_ptr_nonnull(p);
            }
        }
    }
    ck_assert_int_eq(depth, 0);
}

static int count(const char *s, const char *what)
{
    int n = 0;
    for (; (s = strstr(s, what)); s += strlen(what))
        n++;
    return n;
}

#define HAS(html, text) \
    ck_assert_msg(strstr(html, text) != NULL, "no %s", text)
#define HAS_NOT(html, text) \
    ck_assert_msg(strstr(html, text) == NULL, "has %s", text)

static char *report_html;
static mohs_status check_cell(void *user, const struct result_cell *c,
                              struct mohs_error *err)
{
    (void)user;
    (void)err;
    for (size_t i = 0; i < c->n_values; i++) {
        char exact[64];
        double x = c->value[i].value;
        snprintf(exact, sizeof exact, "data-v=\"%.17g\">%.2f", x, x);
        if (!strcmp(c->value[i].unit, "%"))
            HAS(report_html, exact);
        snprintf(exact, sizeof exact, "data-v=\"%.17g\"", x);
        HAS(report_html, exact);
    }
    return MOHS_OK;
}

START_TEST(whole_page)
{
    make_run("feature-adversarial");
    char *html = report_html = make_page(NULL);
    const char *keep = getenv("MOHS_KEEP_REPORT");
    if (keep && *keep)
        OK(file_write(keep, html, strlen(html), &err));
    check_markup(html);
    HAS(html, "<title>twins study</title>");
    HAS(html, "Does feature-level adversarial pretraining make");
    HAS_NOT(html, "<p class=\"lead\">SPDX");
    HAS(html, "2 min 23 s");
    HAS(html, "512 MiB");
    HAS(html, "mohs rerun run.db");
    HAS(html, "if 1 &lt; 2 and c then");
    HAS(html, "cpu: a &lt;fast&gt; one");
    HAS(html, "checked=\"checked\"/>");
    HAS(html, "id=\"b0v6\" name=\"b0\" aria-label=\"mean_recall\" checked");
    HAS(html, "pgd (eps=2/255, steps=10)");
    HAS(html, "asr flip");
    // Every number of every cell, exactly.
    struct results *r = NULL;
    OK(results_open_readonly(db, &r, &err));
    OK(results_each(r, check_cell, NULL, &err));
    results_close(r);
    // 77 * exp(-0.27) = 58.8, its interval, and what is kept of clean.
    HAS(html, ">58.8<small class=\"ci\">[55.4, 62.1]</small>");
    // 4 corruptions x 9 values, each a panel with title and description.
    ck_assert_int_eq(count(html, "<figure class=\"panel\">"), 4 * N_VALUES + 2);
    ck_assert_int_eq(count(html, "<svg class=\"chart\""),
                     count(html, "<desc id="));
    // 2 scenes: clean, 2 x 5 corrupted (shared by the models), 2 x 2 x 2.
    ck_assert_int_eq(count(html, "<figure class=\"thumb\">"), 2 * (1 + 10 + 8));
    HAS(html, "src=\"data:image/png;base64,iVBORw0KGgo");
    ck_assert_int_eq(count(html, "perturbation, magnified"), 16);
    // Nothing from outside.
    HAS_NOT(html, "http:");
    HAS_NOT(html, "https:");
    HAS_NOT(html, "@import");
    HAS_NOT(html, "url(");
    HAS_NOT(html, "src=\"//");
    HAS_NOT(html, "<link");
    free(html);
}
END_TEST

START_TEST(hostile_names)
{
    static const char evil[] = "</title></script><script>alert(1)</script>"
                               "\" onload=\"x' & \x01\xff";
    make_run(evil);
    char *html = make_page(evil);
    check_markup(html);
    HAS_NOT(html, "alert(1)</script>");
    HAS_NOT(html, "\" onload=\"");
    ck_assert_int_eq(count(html, "<script>"), 1);
    ck_assert(strlen(html) > 100000);
    free(html);
}
END_TEST

START_TEST(odd_runs)
{
    struct results *r = NULL;
    int64_t run;
    OK(results_open(db, &r, &err));
    char *html = make_page("empty");
    check_markup(html);
    HAS(html, "no cells yet");
    free(html);
    // No model axis, unknown axes, NaN, infinity, a broken picture and curve.
    OK(results_run(r, "odd.lua", "", "{}", 1, NULL, 0, &run, &err));
    const struct result_pair axis[] = { { "planet", "mars" },
                                        { "corruption", "fog" } };
    const struct result_value v[] = {
        { "a", "%", "", 1, NAN, NAN, NAN },
        { "b", "", "", -1, INFINITY, NAN, NAN },
        { "c", "s", "", 0, -1e-7, -2, 0 },
    };
    const struct result_artefact art[] = {
        { "thumb:x", "image/png", "not a png", 9 },
        { "thumb:y", "image/png", "", 0 },
    };
    struct result_cell c = { .axis = axis, .n_axes = 2, .value = v, .n_values = 3,
                             .artefact = art, .n_artefacts = 2 };
    OK(results_put(r, run, &c, &err));
    static const char *const json[] = {
        "{\"x\":[1,", "{\"x\":[1,2,3],\"y\":{\"l\":[1,null,\"s\",4]}}",
        "{\"x\":[1],\"y\":{\"l\":[5]}}"
    };
    const struct result_artefact curve[] = {
        { "curve:bad", "application/json", json[0], strlen(json[0]) },
        { "curve:nan", "application/json", json[1], strlen(json[1]) },
        { "curve:flat", "application/json", json[2], strlen(json[2]) },
    };
    c = (struct result_cell) { .hash = { 1, 1 }, .artefact = curve,
                               .n_artefacts = 3 };
    OK(results_put(r, run, &c, &err));
    results_close(r);
    html = make_page(NULL);
    check_markup(html);
    HAS(html, "planet: mars");
    HAS_NOT(html, "base64,bm90");
    free(html);
    struct mohs_error e = MOHS_ERROR_INIT;
    ck_assert_int_eq(report_write("no/such.db", page, NULL, &e), MOHS_E_IO);
    ck_assert_int_lt(report_write(db, "no/such/dir.html", NULL, &e), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("report");
    TCase *t = tcase_create("report");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, whole_page);
    tcase_add_test(t, hostile_names);
    tcase_add_test(t, odd_runs);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int bad = srunner_ntests_failed(r);
    srunner_free(r);
    return bad ? 1 : 0;
}
