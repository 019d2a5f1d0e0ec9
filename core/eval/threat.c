/* SPDX-License-Identifier: MIT */
/* The threat model of an attack as data. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"
#include "eval/session.h"

/* The parameter `name` as text, NULL when there is none. */
static char *param_text(const struct eval_item *a, const char *name)
{
    const struct mohs_param *p;
    for (size_t i = 0; (p = item_param(a->item, i)); i++)
        if (!strcmp(p->name, name)) {
            struct str s = { 0 };
            item_param_text(p, a->params, &s);
            return s.s ? s.s : xstrdup("");
        }
    return NULL;
}

static const char *own(struct arena *arena, char *s)
{
    const char *copy = arena_strdup(arena, s);
    free(s);
    return copy;
}

static const char *space_of(struct arena *arena, const struct eval_item *a)
{
    struct str s = { 0 };
    str_add(&s, "");
    for (uint32_t t = MOHS_TOWER_IMAGE; t <= MOHS_TOWER_TEXT; t++) {
        char *taps = attack_taps(a, t);
        bool texts = t == MOHS_TOWER_TEXT && attacks_texts(a);
        if (*taps)
            str_addf(&s, "%s%s", s.n ? " and " : "",
                     texts                       ? "words of texts"
                     : strcmp(taps, "pixels")    ? taps
                                                 : "pixels in 0..1");
        free(taps);
    }
    return own(arena, s.s);
}

size_t threat_pairs(struct arena *arena, const struct eval_item *a,
                    const struct preprocess *p, struct result_pair out[THREAT_MAX])
{
    static const char *const number[] = { "norm", "eps", "max_words", "max_chars",
                                          "max_tokens" };
    const struct mohs_attack_ops *ops = a->item->item->ops;
    char *pixels = attack_taps(a, MOHS_TOWER_IMAGE);
    size_t n = 0;
    out[n++] = (struct result_pair) { "threat_space", space_of(arena, a) };
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        char *text = param_text(a, number[i]);
        if (text)
            out[n++] = (struct result_pair) { arena_printf(arena, "threat_%s", number[i]),
                                              own(arena, text) };
    }
    if (!strcmp(pixels, "pixels")) {
        out[n++] = (struct result_pair) {
            "threat_resize", arena_printf(arena, "outside: after resizing to %ux%u",
                                          p->width, p->height) };
        out[n++] = (struct result_pair) { "threat_normalisation", "before" };
    } else if (*pixels) {
        out[n++] = (struct result_pair) { "threat_radius", "relative to the activation" };
    }
    out[n++] = (struct result_pair) {
        "threat_knowledge", ops->flags & MOHS_ATTACK_GRADIENT ? "gradients" : "outputs" };
    free(pixels);
    return n;
}
