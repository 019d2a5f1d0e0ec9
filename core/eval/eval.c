/* SPDX-License-Identifier: MIT */
/* The session: what a recipe makes, and running its cells once each. */
#include "config.h"

#include "eval/eval.h"

#include <stdlib.h>
#include <string.h>

#include "eval/session.h"
#include "eval/victim.h"

mohs_status eval_open(struct registry *r, const struct eval_options *o,
                      struct eval **out, struct mohs_error *err)
{
    struct eval *e = xcalloc(1, sizeof *e);
    mohs_status st;
    e->registry = r;
    e->o = *o;
    e->arena = arena_new();
    if (!e->o.memory_bytes)
        e->o.memory_bytes = (uint64_t)1 << 30;
    if (!e->o.n_shards)
        e->o.n_shards = 1;
    if (e->o.shard >= e->o.n_shards) {
        st = mohs_fail(err, MOHS_E_ARG, "shard %u of %u", e->o.shard, e->o.n_shards);
        goto out;
    }
    e->results_path = xstrdup(o->results);
    e->pool = pool_new(o->workers);
    if (o->cache)
        OUT_IF_ERR(cache_open(o->cache, &e->cache, err));
    *out = e;
    return MOHS_OK;
out:
    eval_close(e);
    return st;
}

static void data_free(struct eval_data *d)
{
    if (d->pixels)
        free(d->pixels[0]);
    free(d->pixels);
    free(d->content);
    free(d->label);
    dataset_free(d->set);
    free(d);
}

void eval_close(struct eval *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n_cells; i++)
        cell_drop(&e->cell[i]);
    free(e->cell);
    for (struct eval_model *m = e->models, *next; m; m = next) {
        next = m->next;
        encoder_close(m->encoder);
        free(m->label);
        free(m);
    }
    for (struct eval_prompts *p = e->prompts, *next; p; p = next) {
        next = p->next;
        eval_prompts_free(p);
    }
    for (struct eval_data *d = e->data, *next; d; d = next) {
        next = d->next;
        data_free(d);
    }
    results_close(e->results);
    cache_close(e->cache);
    pool_free(e->pool);
    arena_free(e->arena);
    free(e->results_path);
    free(e);
}

mohs_status eval_add_model(struct eval *e, const char *id, const char *path,
                           const char *label, const char *const *settings,
                           struct eval_model **out, struct mohs_error *err)
{
    struct encoder *enc;
    RET_IF_ERR(encoder_open_with(e->registry, id, path, settings, &enc, err));
    encoder_limits(enc, e->o.memory_bytes, e->o.micro_batch);
    struct eval_model *m = xcalloc(1, sizeof *m);
    m->encoder = enc;
    m->label = label ? xstrdup(label) : path_stem(path);
    m->next = e->models;
    e->models = m;
    *out = m;
    return MOHS_OK;
}

struct eval_data *eval_add_data(struct eval *e, struct dataset *d,
                                const char *label)
{
    struct eval_data *x = xcalloc(1, sizeof *x);
    x->set = d;
    x->label = xstrdup(label ? label : d->name);
    x->next = e->data;
    e->data = x;
    return x;
}

struct encoder *eval_model_encoder(struct eval_model *m)
{
    return m->encoder;
}

const char *eval_model_label(const struct eval_model *m)
{
    return m->label;
}

const struct dataset *eval_data_set(const struct eval_data *d)
{
    return d->set;
}

const char *eval_data_label(const struct eval_data *d)
{
    return d->label;
}

const char *eval_results_path(const struct eval *e)
{
    return e->results_path;
}

/* ---- running ---- */

static const char *cell_name(struct arena *a, const struct cell *c)
{
    const struct eval_cell *s = &c->spec;
    struct str what = { 0 };
    cell_condition(s, &what);
    const char *name = arena_printf(a, "%s on %s, %s", s->model->label, s->data->label,
                                    what.s);
    str_free(&what);
    return name;
}

static mohs_status run_cell(struct eval *e, struct cell *c, struct mohs_error *err)
{
    struct measured m;
    double t0 = now_s();
    RET_IF_ERR(measure_cell(e, &c->spec, &m, err));
    mohs_status st = cell_store(e, c, &m, now_s() - t0, err);
    measured_free(&m);
    if (st >= 0 && e->cache)
        st = cache_flush(e->cache, err);
    return st;
}

static mohs_status run_cells(struct eval *e, bool *computed, struct mohs_error *err)
{
    struct arena *a = arena_new();
    mohs_status st = MOHS_OK;
    for (size_t i = e->o.shard; i < e->n_cells && st >= 0; i += e->o.n_shards) {
        struct cell *c = &e->cell[i];
        const char *name = cell_name(a, c);
        progress_note("%s", name);
        if (results_has(e->results, c->hash)) {
            st = results_link(e->results, e->run, c->hash, err);
        } else {
            st = run_cell(e, c, err);
            computed[i] = st >= 0;
            if (st < 0)
                err_prefix(err, st, "%s", name);
        }
        progress_set(i + 1);
        if (st >= 0 && interrupted)
            st = mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
    }
    arena_free(a);
    return st;
}

mohs_status eval_run(struct eval *e, const struct eval_run_info *info,
                     struct mohs_error *err)
{
    double t0 = now_s();
    size_t done = 0;
    if (!e->results)
        RET_IF_ERR(results_open(e->results_path, &e->results, err));
    bool *computed = xcalloc(e->n_cells, sizeof *computed);
    char shard[32];
    snprintf(shard, sizeof shard, "%u/%u", e->o.shard, e->o.n_shards);
    struct result_pair facts[] = { { "mohs", PACKAGE_VERSION }, { "shard", shard } };
    mohs_status st = e->run ? MOHS_OK
                            : results_run(e->results, info->recipe_name,
                                          info->recipe_text, info->args_json,
                                          e->o.seed, facts, 2, &e->run, err);
    progress_start("cells", e->n_cells);
    if (st >= 0)
        st = run_cells(e, computed, err);
    progress_end();
    for (size_t i = 0; i < e->n_cells; i++)
        done += computed[i];
    plan_learn(e, computed, now_s() - t0);
    free(computed);
    uint64_t now, peak = 0;
    struct compute *dev;
    if (done && registry_compute(e->registry, &dev, NULL) >= 0)
        compute_memory(dev, &now, &peak);
    mohs_status end = results_run_end(e->results, e->run,
                                      st >= 0 ? "done" : status_name(st),
                                      now_s() - t0, peak, st >= 0 ? err : NULL);
    if (st < 0)
        return st;
    log_info("%zu cells, %zu computed, %.1f s; peak memory: device %.1f MiB, "
             "process %.1f MiB", e->n_cells, done, now_s() - t0,
             (double)peak / (1 << 20), (double)rss_peak_bytes() / (1 << 20));
    return end;
}

struct visit {
    struct eval *e;
    mohs_status (*fn)(void *, const struct result_cell *, struct mohs_error *);
    void *user;
};

static mohs_status visit_own(void *user, const struct result_cell *rc,
                             struct mohs_error *err)
{
    struct visit *v = user;
    for (size_t i = 0; i < v->e->n_cells; i++)
        if (v->e->cell[i].hash.hi == rc->hash.hi && v->e->cell[i].hash.lo == rc->hash.lo)
            return v->fn(v->user, rc, err);
    return MOHS_OK;
}

mohs_status eval_each(struct eval *e,
                      mohs_status (*fn)(void *user,
                                        const struct result_cell *cell,
                                        struct mohs_error *err),
                      void *user, struct mohs_error *err)
{
    struct visit v = { e, fn, user };
    if (!e->results)
        return MOHS_OK;
    return results_each(e->results, visit_own, &v, err);
}
