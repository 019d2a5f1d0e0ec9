/* SPDX-License-Identifier: MIT */
/* What is said of a scene: captions in different words, and its factors. */
#include "config.h"

#include "data/scenes.h"

#include <string.h>

#include <mohs/rng.h>

const char *relation_text(enum relation r)
{
    static const char *const text[] = { "to the left of", "to the right of", "above",
                                        "below" };
    return text[r];
}

static const char *inverse_text(enum relation r)
{
    static const enum relation inverse[] = { RIGHT_OF, LEFT_OF, BELOW, ABOVE };
    return relation_text(inverse[r]);
}

const char *background_text(enum background b)
{
    static const char *const text[] = { "", "shaded ", "striped ", "checkered " };
    return text[b];
}

const char *light_text(enum light l)
{
    static const char *const text[] = { "", " in dim light", " in bright light" };
    return text[l];
}

/* "a" or "an", by the first sound as spelled. */
static const char *article(const char *word)
{
    static const char *const consonant[] = { "ewe", "eu", "uni", "ufo", "one" };
    for (size_t i = 0; i < sizeof consonant / sizeof *consonant; i++)
        if (!strncmp(word, consonant[i], strlen(consonant[i])))
            return "a";
    return strchr("aeiou", *word) ? "an" : "a";
}

/* "a large taco", "small jeans"; size "" for none. */
static void phrase(struct str *s, const char *size, struct noun n)
{
    if (!n.bare)
        str_addf(s, "%s ", article(*size ? size : n.text));
    str_addf(s, "%s%s%s", size, *size ? " " : "", n.text);
}

struct words {
    struct noun a, b, word_a;
    const char *size_a, *size_b, *color, *pattern, *light, *rel, *inv;
};

/* " on a striped red background", the article right. */
static void on_background(struct str *s, const struct words *w)
{
    const char *first = *w->pattern ? w->pattern : w->color;
    str_addf(s, " on %s %s%s background", article(first), w->pattern, w->color);
}

static void one_object(struct str *s, const struct words *w, uint32_t k)
{
    switch (k) {
    case 0:
        phrase(s, "", w->a);
        on_background(s, w);
        str_add(s, w->light);
        break;
    case 1:
        str_add(s, "a picture of ");
        phrase(s, "", w->a);
        str_addf(s, "%s", w->light);
        break;
    case 2:
        str_add(s, w->a.bare ? "just " : "a single ");
        str_addf(s, "%s in front of something %s", w->a.text, w->color);
        break;
    case 3:
        phrase(s, "", w->word_a);
        str_add(s, ", namely ");
        phrase(s, "", w->a);
        str_addf(s, ", against %s", w->color);
        break;
    case 4:
        str_addf(s, "%s %s background with ", article(w->color), w->color);
        phrase(s, "", w->a);
        str_add(s, " in the middle");
        break;
    case 5: str_addf(s, "%s, alone, on %s", w->a.text, w->color); break;
    case 6:
        str_addf(s, "the only thing shown is ");
        phrase(s, "", w->a);
        break;
    default:
        str_addf(s, "%s background%s, ", w->color, w->light);
        phrase(s, "", w->a);
    }
}

static void two_objects(struct str *s, const struct words *w, uint32_t k)
{
    switch (k) {
    case 0:
        phrase(s, w->size_a, w->a);
        str_addf(s, " %s ", w->rel);
        phrase(s, w->size_b, w->b);
        on_background(s, w);
        str_add(s, w->light);
        break;
    case 1:
        phrase(s, "", w->b);
        str_addf(s, " %s ", w->inv);
        phrase(s, "", w->a);
        break;
    case 2:
        phrase(s, "", w->a);
        str_add(s, " and ");
        phrase(s, "", w->b);
        str_addf(s, " against %s", w->color);
        break;
    case 3:
        str_add(s, "a picture of ");
        phrase(s, w->size_b, w->b);
        str_addf(s, " that is %s ", w->inv);
        phrase(s, w->size_a, w->a);
        break;
    case 4:
        str_addf(s, "%s %s background with the %s %s the %s", article(w->color), w->color,
                 w->a.text, w->rel, w->b.text);
        break;
    case 5:
        phrase(s, w->size_a, w->a);
        str_add(s, " together with ");
        phrase(s, w->size_b, w->b);
        str_addf(s, "%s", w->light);
        break;
    case 6:
        phrase(s, "", w->word_a);
        str_add(s, ", namely ");
        phrase(s, "", w->a);
        str_addf(s, ", %s ", w->rel);
        phrase(s, "", w->b);
        break;
    default:
        str_addf(s, "on %s%s: ", w->pattern, w->color);
        phrase(s, "", w->b);
        str_add(s, ", ");
        phrase(s, "", w->a);
    }
}

/* The first caption says the name; the others a synonym half of the time. */
static struct noun name_for(const struct catalogue *c, const struct scene *sc,
                            size_t object, uint32_t caption)
{
    const struct object_class *o = &c->v[sc->object[object].kind];
    uint32_t roll = mohs_rng_u32(sc->seed, 4 + object, caption);
    if (!caption || !o->n_synonyms || roll & 1)
        return o->name;
    return o->synonym[(roll >> 1) % o->n_synonyms];
}

void scene_captions(const struct catalogue *c, const struct scene *sc, uint32_t n,
                    char **out)
{
    const struct placed *o = sc->object;
    struct words w = {
        .word_a = { c->v[o[0].kind].word, false },
        .size_a = o[0].large ? "large" : "small",
        .size_b = o[1].large ? "large" : "small",
        .color = scene_colors[sc->color],
        .pattern = background_text(sc->background),
        .light = light_text(sc->light),
        .rel = relation_text(sc->relation),
        .inv = inverse_text(sc->relation),
    };
    // the first caption names everything, the others begin at a random one
    uint32_t from = mohs_rng_below(sc->seed, 2, 0, 7);
    for (uint32_t i = 0; i < n; i++) {
        struct str s = { 0 };
        uint32_t k = i ? 1 + (from + i - 1) % 7 : 0;
        w.a = name_for(c, sc, 0, i);
        if (sc->n > 1)
            w.b = name_for(c, sc, 1, i);
        if (sc->n == 1)
            one_object(&s, &w, k);
        else
            two_objects(&s, &w, k);
        // every other caption tells of the third thing
        if (sc->n > 2 && i % 2 == 0) {
            str_add(&s, ", with ");
            phrase(&s, "", name_for(c, sc, 2, i));
            str_addf(&s, " at the %s", sc->corner);
        }
        out[i] = s.s;
    }
}

void scene_factors(const struct catalogue *c, const struct scene *s, const char *file,
                   struct str *out)
{
    static const char *const backgrounds[] = { "plain", "gradient", "stripes", "checks" };
    static const char *const lights[] = { "normal", "dim", "bright" };
    str_add(out, "{\"file_name\": ");
    str_add_json(out, file);
    str_addf(out, ", \"background\": \"%s\", \"color\": \"%s\", \"light\": \"%s\", "
                  "\"relation\": \"%s\", \"occluded\": %d, \"objects\": [",
             backgrounds[s->background], scene_colors[s->color], lights[s->light],
             s->n > 1 ? relation_text(s->relation) : "", s->occluded);
    for (size_t i = 0; i < s->n; i++) {
        const struct placed *p = &s->object[i];
        str_add(out, i ? ", {\"class\": " : "{\"class\": ");
        str_add_json(out, c->v[p->kind].name.text);
        str_addf(out, ", \"code_point\": %u, \"group\": \"%s\", \"x\": %.4f, \"y\": %.4f, \"size\": %u, "
                      "\"rotation\": %d, \"large\": %s, \"depth_mm\": %u}",
                 c->v[p->kind].code_point, c->v[p->kind].word, p->x / 16.0, p->y / 16.0, p->size, p->rotation,
                 p->large ? "true" : "false", p->depth_mm);
    }
    str_add(out, "]}");
}
