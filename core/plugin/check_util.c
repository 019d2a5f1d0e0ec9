/* SPDX-License-Identifier: MIT */
/* What the checks of all kinds share: details, instances, parameter ends. */
#include "config.h"

#include "plugin/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool check_fail(struct check_run *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->detail, sizeof c->detail, fmt, ap);
    va_end(ap);
    return false;
}

bool check_note(struct check_run *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->detail, sizeof c->detail, fmt, ap);
    va_end(ap);
    return true;
}

bool check_status(struct check_run *c, const char *what, mohs_status st,
                  const struct mohs_error *err)
{
    if (st >= 0)
        return true;
    return check_fail(c, "%s: %s", what,
                      err->text[0] ? err->text : status_name(st));
}

bool check_refusal(struct check_run *c, const char *what, mohs_status st,
                   const struct mohs_error *err)
{
    if (st >= 0)
        return true;
    if (!memchr(err->text, 0, sizeof err->text))
        return check_fail(c, "%s: the error text has no end", what);
    if (!err->text[0])
        return check_fail(c, "%s: failed (%s) without a text", what,
                          status_name(st));
    if (strchr(err->text, '\n'))
        return check_fail(c, "%s: the error text has more than one line", what);
    return true;
}

mohs_status instance_make(struct check_run *c, void *params, create_fn create,
                          struct instance *out, struct mohs_error *err)
{
    size_t n = c->it->item->params_size;
    out->self = NULL;
    out->params = params;
    out->seen = xmalloc(n);
    memcpy(out->seen, params, n);
    mohs_status st = create(c, out->seen, &out->self, err);
    memset(out->seen, 0xa5, n);
    scratch_reset();
    if (st < 0)
        instance_free(c, out);
    return st;
}

void instance_free(struct check_run *c, struct instance *in)
{
    free(in->seen);
    item_params_free(c->it, in->params);
    in->seen = in->params = NULL;
}

/* ---- parameters at their ends ---- */

struct trial {
    struct check_run *c;
    create_fn create;
    void (*destroy)(struct check_run *c, void *self);
    size_t made, refused;
};

/* One create() with parameter `name` at `text`. */
static bool try_text(struct trial *t, const char *name, const char *text)
{
    struct check_run *c = t->c;
    struct mohs_error err = MOHS_ERROR_INIT;
    struct instance in;
    char what[160];
    void *params = item_params_new(c->it);
    snprintf(what, sizeof what, "create with %.40s=%.60s",
             name ? name : "defaults", text);
    mohs_status st =
        name ? item_param_set_text(c->it, params, name, text, &err) : MOHS_OK;
    bool ok = check_status(c, what, st, &err);
    if (ok) {
        err.text[0] = 0;
        st = instance_make(c, params, t->create, &in, &err);
        ok = name ? check_refusal(c, what, st, &err)
                  : check_status(c, what, st, &err);
        *(st >= 0 ? &t->made : &t->refused) += 1;
        if (st >= 0) {
            t->destroy(c, in.self);
            instance_free(c, &in);
        }
    } else {
        item_params_free(c->it, params);
    }
    return ok;
}

static bool try_number(struct trial *t, const struct mohs_param *p, double x)
{
    char text[64];
    double most = p->type == MOHS_P_FLOAT ? 3e38 : INT32_MAX;
    if (!isfinite(x))
        x = x < 0 ? -most : most;
    snprintf(text, sizeof text, "%.17g", x);
    return try_text(t, p->name, text);
}

static bool try_param(struct trial *t, const struct mohs_param *p)
{
    switch (p->type) {
    case MOHS_P_INT:
    case MOHS_P_FLOAT:
        return try_number(t, p, p->min) && try_number(t, p, p->max);
    case MOHS_P_BOOL:
        return try_text(t, p->name, "0") && try_text(t, p->name, "1");
    case MOHS_P_CHOICE:
        for (size_t i = 0; p->choices[i]; i++)
            if (!try_text(t, p->name, p->choices[i]))
                return false;
        return true;
    case MOHS_P_STRING:
    case MOHS_P_PATHS:
        return try_text(t, p->name, "") &&
               try_text(t, p->name, "no such thing \xc3\xa9/,");
    default: return try_text(t, p->name, "");
    }
}

/* A number outside its range must not get through the table. */
static bool try_outside(struct check_run *c, const struct mohs_param *p)
{
    if ((p->type != MOHS_P_FLOAT && p->type != MOHS_P_INT) || isinf(p->max))
        return true;
    void *params = item_params_new(c->it);
    double over = p->max + (fabs(p->max) + 1);
    mohs_status st = item_param_set_number(c->it, params, p->name, over, NULL);
    item_params_free(c->it, params);
    return st < 0 || check_fail(c, "%s accepts %g", p->name, over);
}

bool check_params(struct check_run *c, create_fn create,
                  void (*destroy)(struct check_run *c, void *self))
{
    struct trial t = { c, create, destroy, 0, 0 };
    const struct mohs_param *p;
    if (!try_text(&t, NULL, ""))
        return false;
    for (size_t i = 0; (p = item_param(c->it, i)); i++)
        if (!try_param(&t, p) || !try_outside(c, p))
            return false;
    return check_note(c, "%u parameters, %zu settings made, %zu refused",
                      c->it->item->n_params, t.made, t.refused);
}
