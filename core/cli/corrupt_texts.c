/* SPDX-License-Identifier: MIT */
/* A file of texts through a text corruption. */
#include "config.h"

#include "cli/corrupt.h"

#include <stdlib.h>
#include <string.h>

struct lines {
    char *data;
    const char **text;
    uint64_t *key;
    char **out; /* corrupted; owned */
    uint32_t n;
};

static void lines_free(struct lines *l)
{
    for (uint32_t i = 0; i < l->n && l->out; i++)
        free(l->out[i]);
    free(l->out);
    free(l->text);
    free(l->key);
    free(l->data);
}

/* \n or \r\n ends a line; the last one may lack it. */
static mohs_status lines_read(const char *path, struct lines *l,
                              struct mohs_error *err)
{
    size_t n, count = 0;
    RET_IF_ERR(file_read(path, (size_t)1 << 30, &l->data, &n, err));
    for (size_t i = 0; i < n; i++)
        count += l->data[i] == '\n';
    count += n && l->data[n - 1] != '\n';
    l->text = xcalloc(count + 1, sizeof *l->text);
    l->key = xcalloc(count + 1, sizeof *l->key);
    for (char *s = l->data, *end = l->data + n; s < end;) {
        char *stop = memchr(s, '\n', (size_t)(end - s));
        char *next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        if (stop > s && stop[-1] == '\r')
            stop--;
        *stop = 0;
        if (strlen(s) != (size_t)(stop - s) || !utf8_valid(s, (size_t)(stop - s)))
            return mohs_fail(err, MOHS_E_FORMAT, "%s: line %u is not UTF-8 text",
                             path, l->n + 1);
        l->key[l->n] = l->n;
        l->text[l->n++] = s;
        s = next;
    }
    if (!l->n)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no lines", path);
    l->out = xcalloc(l->n, sizeof *l->out);
    return MOHS_OK;
}

static mohs_status put(struct mohs_text_sink *s, uint32_t i, const char *text,
                       uint32_t edits, struct mohs_error *err)
{
    struct lines *l = s->ctx;
    (void)edits;
    if (i >= l->n || l->out[i] || strchr(text, '\n'))
        return mohs_fail(err, MOHS_E_ARG, "put() of text %u is not one line", i);
    l->out[i] = xstrdup(text);
    return MOHS_OK;
}

mohs_status corrupt_texts(const char *from, const char *to,
                          const struct item *it, void *self, uint32_t severity,
                          uint64_t seed, struct mohs_error *err)
{
    const struct mohs_corruption_ops *ops = it->item->ops;
    struct lines l = { 0 };
    struct str s = { 0 };
    mohs_status st = lines_read(from, &l, err);
    if (st >= 0) {
        struct mohs_texts in = { sizeof in, l.n, l.text, l.key };
        struct mohs_text_sink sink = { sizeof sink, &l, put };
        err->text[0] = 0;
        st = ops->apply_text(self, &in, &sink, severity, seed, err);
        scratch_reset();
        if (st < 0 && !err->text[0])
            mohs_fail(err, st, "%s failed", it->item->id);
        if (st < 0)
            err_prefix(err, st, "%s", from);
    }
    for (uint32_t i = 0; i < l.n && st >= 0; i++)
        if (l.out[i])
            str_addf(&s, "%s\n", l.out[i]);
        else
            st = mohs_fail(err, MOHS_E_ARG, "%s: %s: nothing for line %u", from,
                           it->item->id, i + 1);
    if (st >= 0)
        st = file_write(to, s.s, s.n, err);
    str_free(&s);
    lines_free(&l);
    return st;
}
