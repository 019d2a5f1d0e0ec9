/* SPDX-License-Identifier: MIT */
/* Names and synonyms from CLDR's annotations, pictures from Noto's colour
 * bitmaps. */
#include "config.h"

#include "data/scenes.h"

#include <stdlib.h>
#include <string.h>

#include <ft2build.h>
#include FT_FREETYPE_H

enum { HOLD_OUT_EVERY = 10 };

static void utf8(uint32_t cp, char out[5])
{
    int n = cp < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--)
        out[i] = (char)(0x80 | (cp >> (6 * (n - 1 - i)) & 0x3F));
    out[0] = (char)(n == 4 ? 0xF0 | cp >> 18 : 0xE0 | cp >> 12);
    out[n] = 0;
}

/* The text of <annotation cp="X" attribute>text</annotation>, in lower case;
 * NULL when there is none. */
static char *annotation(const char *xml, uint32_t cp, const char *attribute)
{
    char u[5], *text = NULL;
    utf8(cp, u);
    char *key = xasprintf("<annotation cp=\"%s\"%s>", u, attribute);
    const char *at = strstr(xml, key);
    if (at) {
        at += strlen(key);
        text = xasprintf("%.*s", (int)strcspn(at, "<"), at);
        for (char *p = text; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p + 32);
    }
    free(key);
    return text;
}

/* True when a list separated by bars and blanks holds a word. */
static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);
    while (list && *list) {
        list += strspn(list, "| ");
        size_t len = strcspn(list, "|"), used = len;
        while (used && list[used - 1] == ' ')
            used--;
        if (used == n && !memcmp(list, word, n))
            return true;
        list += len;
    }
    return false;
}

static struct noun noun(const char *s, size_t n)
{
    bool bare = n && (*s == '+' || *s == '~');
    return (struct noun) { xasprintf("%.*s", (int)(n - bare), s + bare), bare };
}

/* Name and synonyms of an object; false when CLDR does not know it. */
static bool call(struct object_class *o, const char *xml)
{
    char *name = annotation(xml, o->code_point, " type=\"tts\"");
    char *keywords = annotation(xml, o->code_point, "");
    const struct scene_words *w = scene_words;
    while (w->code_point && w->code_point != o->code_point)
        w++;
    const char *own = w->name ? w->name : name;
    if (name)
        o->name = noun(own, strlen(own));
    for (const char *p = name ? w->synonyms : NULL; p && *p;) {
        size_t n = strcspn(p, "|");
        struct noun s = noun(p, n);
        p += n + (p[n] == '|');
        if (o->n_synonyms < SYNONYMS_MAX &&
            (list_has(keywords, s.text) || !strcmp(name, s.text)))
            o->synonym[o->n_synonyms++] = s;
        else
            free((void *)s.text);
    }
    bool found = name != NULL;
    free(name);
    free(keywords);
    return found;
}

/* The glyph's premultiplied BGRA bitmap, centred in a square, as RGBA. */
static mohs_status load_glyph(FT_Face face, struct object_class *o, const char *font,
                              struct mohs_error *err)
{
    FT_UInt g = FT_Get_Char_Index(face, o->code_point);
    if (!g || FT_Load_Glyph(face, g, FT_LOAD_COLOR))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: no glyph for U+%04X", font,
                         o->code_point);
    const FT_Bitmap *b = &face->glyph->bitmap;
    if (b->pixel_mode != FT_PIXEL_MODE_BGRA || b->rows > GLYPH_PX || b->width > GLYPH_PX)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: U+%04X is no %d px colour bitmap", font,
                         o->code_point, GLYPH_PX);
    o->rgba = xcalloc((size_t)GLYPH_PX * GLYPH_PX, 4);
    unsigned x0 = (GLYPH_PX - b->width) / 2, y0 = (GLYPH_PX - b->rows) / 2;
    for (unsigned y = 0; y < b->rows; y++)
        for (unsigned x = 0; x < b->width; x++) {
            const uint8_t *p = b->buffer + (size_t)y * (size_t)b->pitch + 4 * x;
            uint8_t *q = o->rgba + 4 * ((size_t)(y + y0) * GLYPH_PX + x + x0);
            q[0] = p[2];
            q[1] = p[1];
            q[2] = p[0];
            q[3] = p[3];
        }
    return MOHS_OK;
}

static mohs_status add_all(struct catalogue *c, const char *xml, FT_Face face,
                           const char *cldr, const char *font, struct mohs_error *err)
{
    size_t cap = 0;
    for (const struct scene_group *g = scene_groups; g->word; g++)
        for (const uint32_t *cp = g->code_points; *cp; cp++)
            cap++;
    c->v = xcalloc(cap, sizeof *c->v);
    c->known = xcalloc(cap, sizeof *c->known);
    c->held_out = xcalloc(cap, sizeof *c->held_out);
    for (const struct scene_group *g = scene_groups; g->word; g++)
        for (const uint32_t *cp = g->code_points; *cp; cp++) {
            uint32_t i = (uint32_t)c->n++;
            struct object_class *o = &c->v[i];
            o->code_point = *cp;
            o->word = g->word;
            if (!call(o, xml))
                return mohs_fail(err, MOHS_E_FORMAT, "%s: no name for U+%04X", cldr, *cp);
            RET_IF_ERR(load_glyph(face, o, font, err));
            o->held_out = i % HOLD_OUT_EVERY == HOLD_OUT_EVERY / 2;
            if (!*o->name.text)
                continue;
            if (o->held_out)
                c->held_out[c->n_held_out++] = i;
            else
                c->known[c->n_known++] = i;
        }
    return MOHS_OK;
}

mohs_status catalogue_open(const char *cldr, const char *font,
                           struct catalogue *c, struct mohs_error *err)
{
    FT_Library lib = NULL;
    FT_Face face = NULL;
    char *xml = NULL;
    size_t n;
    mohs_status st;
    memset(c, 0, sizeof *c);
    if (!file_exists(cldr))
        return mohs_fail(err, MOHS_E_IO, "%s: not found; Debian's unicode-cldr-core has it",
                         cldr);
    if (!file_exists(font))
        return mohs_fail(err, MOHS_E_IO,
                         "%s: not found; Debian's fonts-noto-color-emoji has it", font);
    OUT_IF_ERR(file_read(cldr, 64u << 20, &xml, &n, err));
    if (FT_Init_FreeType(&lib) || FT_New_Face(lib, font, 0, &face) ||
        FT_Select_Size(face, 0)) {
        st = mohs_fail(err, MOHS_E_FORMAT, "%s: not a colour bitmap font", font);
        goto out;
    }
    st = add_all(c, xml, face, cldr, font, err);
out:
    if (face)
        FT_Done_Face(face);
    if (lib)
        FT_Done_FreeType(lib);
    free(xml);
    if (st < 0)
        catalogue_free(c);
    return st;
}

void catalogue_free(struct catalogue *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free((void *)c->v[i].name.text);
        for (uint32_t k = 0; k < c->v[i].n_synonyms; k++)
            free((void *)c->v[i].synonym[k].text);
        free(c->v[i].rgba);
    }
    free(c->v);
    free(c->known);
    free(c->held_out);
    memset(c, 0, sizeof *c);
}
