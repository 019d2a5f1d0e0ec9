/* SPDX-License-Identifier: MIT */
/*
 * Which tokenizer a model's directory holds: its files become one
 * tokenizer.json text, with what transformers keeps in tokenizer_config.json
 * and open_clip in open_clip_config.json under the key "mohs" (docs in
 * tokenizer.h, struct tokenizer).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"
#include "model/weights.h"

enum { CONFIG_MAX = 16 << 20, CONTEXT_MAX = 1 << 20 };

/* What the directory says about its tokenizer. */
struct source {
    const char *dir;
    json_t *config;    /* tokenizer_config.json, or NULL */
    json_t *open_clip; /* "text_cfg" of open_clip_config.json, or NULL */
    bool siglip2;      /* a config.json of that kind */
};

/* ---- reading ------------------------------------------------------------ */

/* NULL in *out when there is no such file. */
static mohs_status read_file(const char *dir, const char *file, size_t max,
                             char **out, size_t *n, struct mohs_error *err)
{
    char *path = path_join(dir, file);
    mohs_status st = MOHS_OK;
    *out = NULL;
    if (file_exists(path))
        st = file_read(path, max, out, n, err);
    free(path);
    return st;
}

static mohs_status read_json(const char *dir, const char *file, json_t **out,
                             struct mohs_error *err)
{
    char *text;
    size_t n;
    *out = NULL;
    RET_IF_ERR(read_file(dir, file, CONFIG_MAX, &text, &n, err));
    if (!text)
        return MOHS_OK;
    json_error_t je; // 10^30, which transformers writes, is no integer of C
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
                      &je);
    free(text);
    if (json_is_object(*out))
        return MOHS_OK;
    mohs_status st = mohs_fail(err, MOHS_E_FORMAT, "%s/%s: %s", dir, file,
                               *out ? "not a JSON object" : je.text);
    json_decref(*out);
    *out = NULL;
    return st;
}

/* Takes what a model's configuration says: transformers' or open_clip's, the
 * latter's also without the "model_cfg" around it. */
static void use_config(struct source *s, const json_t *config)
{
    const json_t *outer = json_object_get(config, "model_cfg");
    json_t *text = json_object_get(outer ? outer : config, "text_cfg");
    const char *type = json_string_value(json_object_get(config, "model_type"));
    if (!s->open_clip && json_is_object(text))
        s->open_clip = json_incref(text);
    s->siglip2 |= type && !strcmp(type, "siglip2");
}

static mohs_status source_open(struct source *s, const char *dir,
                               const json_t *model, struct mohs_error *err)
{
    static const char *const files[] = { "open_clip_config.json",
                                         "config.json" };
    *s = (struct source) { .dir = dir };
    RET_IF_ERR(read_json(dir, "tokenizer_config.json", &s->config, err));
    use_config(s, model);
    for (int i = 0; i < 2 && !model; i++) {
        json_t *o;
        RET_IF_ERR(read_json(dir, files[i], &o, err));
        use_config(s, o);
        json_decref(o);
    }
    return MOHS_OK;
}

static void source_close(struct source *s)
{
    json_decref(s->config);
    json_decref(s->open_clip);
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static bool flag(const json_t *o, const char *key, bool absent)
{
    const json_t *v = json_object_get(o, key);
    return json_is_boolean(v) ? json_is_true(v) : absent;
}

/* The class without "Fast", which changes nothing. */
static bool is_class(const struct source *s, const char *name)
{
    const char *c = text_of(s->config, "tokenizer_class");
    size_t n = strlen(name);
    return c && !strncmp(c, name, n) && (!c[n] || !strcmp(c + n, "Fast"));
}

/* ---- the part of mohs's own --------------------------------------------- */

static const char *clean_of(const struct source *s)
{
    const char *c = text_of(json_object_get(s->open_clip, "tokenizer_kwargs"),
                            "clean");
    if (c)
        return c;
    return text_of(s->open_clip, "hf_tokenizer_name") ? "whitespace" : "lower";
}

static void add_step(struct str *b, const char *type)
{
    str_addf(b, "{\"type\":\"%s\"},", type);
}

/* The text before its tokenizer, as open_clip's `clean` says. */
static mohs_status add_clean(struct str *b, const struct source *s,
                             struct mohs_error *err)
{
    const char *clean = clean_of(s);
    bool canonical = !strcmp(clean, "canonicalize");
    bool low = !strcmp(clean, "lower");
    if (!canonical && !low && strcmp(clean, "whitespace"))
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s/open_clip_config.json: clean \"%.40s\" is not "
                         "lower, whitespace or canonicalize", s->dir, clean);
    str_add(b, ",\"clean\":{\"type\":\"Sequence\",\"normalizers\":[");
    add_step(b, "FixText");
    add_step(b, "HtmlUnescape");
    add_step(b, "HtmlUnescape");
    add_step(b, "PythonStrip");
    if (canonical) {
        str_add(b, "{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},"
                   "\"content\":\" \"},");
        add_step(b, "RemovePunctuation");
        add_step(b, "PythonLower");
    }
    str_add(b, "{\"type\":\"PythonWords\"}");
    if (low)
        str_add(b, ",{\"type\":\"PythonLower\"}");
    str_add(b, "]}");
    return MOHS_OK;
}

static void add_context(struct str *b, const json_t *o, const char *key)
{
    double x = json_number_value(json_object_get(o, key));
    if (x >= 1 && x <= CONTEXT_MAX) // transformers writes 1e30 for none
        str_addf(b, ",\"context\":%d", (int)x);
}

static void add_pad(struct str *b, const struct source *s)
{
    const json_t *pad = json_object_get(s->config, "pad_token");
    const char *text = json_is_object(pad) ? text_of(pad, "content")
                                           : json_string_value(pad);
    const char *side = text_of(s->config, "padding_side");
    if (text) {
        str_add(b, ",\"pad_token\":");
        str_add_json(b, text);
    }
    if (side && !strcmp(side, "left"))
        str_add(b, ",\"pad_left\":true");
}

/* "mohs": {..} for a tokenizer whose files are transformers' own. */
static mohs_status add_profile(struct str *b, const struct source *s,
                               struct mohs_error *err)
{
    bool open_clip = s->open_clip && text_of(s->open_clip, "hf_tokenizer_name");
    str_addf(b, "\"mohs\":{\"profile\":\"%s\"",
             open_clip ? "open_clip" : "transformers");
    add_pad(b, s);
    if (open_clip) {
        RET_IF_ERR(add_clean(b, s, err));
        add_context(b, s->open_clip, "context_length");
        if (flag(json_object_get(s->open_clip, "tokenizer_kwargs"),
                 "strip_sep_token", false))
            str_add(b, ",\"blank_token\":\"[SEP]\"");
    } else {
        add_context(b, s->config, "model_max_length");
    }
    if (is_class(s, "Siglip2Tokenizer") || (s->siglip2 && !open_clip))
        str_add(b, ",\"before\":{\"type\":\"Lowercase\"}");
    str_add(b, "}");
    return MOHS_OK;
}

/* ---- SentencePiece ------------------------------------------------------ */

static bool is_siglip(const struct source *s)
{
    return is_class(s, "SiglipTokenizer") && !s->open_clip;
}

static mohs_status from_sentencepiece(const struct source *s, const char *data,
                                      size_t n, const char *name, char **out,
                                      struct mohs_error *err)
{
    struct sp_text text = {
        .data = data, .n = n, .name = name,
        .siglip = is_siglip(s), .lower = flag(s->config, "do_lower_case", true),
    };
    struct str mohs = { 0 };
    str_addf(&mohs, "\"mohs\":{\"profile\":\"%s\"",
             text.siglip ? "siglip" : "sentencepiece");
    if (text.siglip) {
        str_add(&mohs, ",\"mark\":true,\"end_once\":true");
        add_pad(&mohs, s);
        add_context(&mohs, s->config, "model_max_length");
        if (!json_object_get(s->config, "model_max_length"))
            str_add(&mohs, ",\"context\":64");
    }
    mohs_status st = MOHS_OK;
    if (!text.siglip && s->open_clip)
        st = add_clean(&mohs, s, err);
    str_add(&mohs, "}");
    text.mohs = mohs.s;
    if (st >= 0)
        st = tokenizer_json_sentencepiece(&text, out, err);
    str_free(&mohs);
    return st;
}

/* ---- which of them ------------------------------------------------------ */

/* open_clip's SimpleTokenizer; *out stays NULL without its merges. */
static mohs_status simple_tokenizer(const struct source *s, char **out,
                                    struct mohs_error *err)
{
    static const char *const files[] = { "bpe_simple_vocab_16e6.txt",
                                         "merges.txt" };
    struct str mohs = { 0 };
    char *text = NULL;
    size_t n = 0, i;
    mohs_status st = MOHS_OK;
    for (i = 0; i < 2 && !text && st >= 0; i++)
        st = read_file(s->dir, files[i], TOKENIZER_BYTES_MAX, &text, &n, err);
    if (st < 0 || !text)
        return st;
    char *path = path_join(s->dir, files[i - 1]);
    str_add(&mohs, "\"mohs\":{\"profile\":\"open_clip\",\"whole_words\":true");
    st = add_clean(&mohs, s, err);
    str_add(&mohs, ",\"context\":77");
    str_add(&mohs, "}");
    if (st >= 0)
        st = tokenizer_json_simple(text, n, mohs.s, path, out, err);
    free(path);
    free(text);
    str_free(&mohs);
    return st;
}

/* Puts `part` behind the first brace of *text, unless it has one already. */
static void insert(char **text, const char *part)
{
    struct str b = { 0 };
    const char *brace = *text ? strchr(*text, '{') : NULL;
    if (!brace || !strncmp(brace + 1, "\"mohs\"", 6))
        return;
    const char *rest = brace + 1 + strspn(brace + 1, " \t\r\n");
    str_addn(&b, *text, (size_t)(brace + 1 - *text));
    str_add(&b, part);
    str_add(&b, *rest == '}' ? "" : ",\n");
    str_add(&b, rest);
    free(*text);
    *text = b.s;
}

/* tokenizer.json, vocab.json with merges.txt, or vocab.txt. */
static mohs_status transformers_files(const struct source *s, char **out,
                                      struct mohs_error *err)
{
    size_t n;
    char *text;
    struct str part = { 0 };
    RET_IF_ERR(read_file(s->dir, "tokenizer.json", TOKENIZER_BYTES_MAX, out, &n,
                         err));
    if (!*out)
        RET_IF_ERR(tokenizer_json_clip(s->dir, out, err));
    if (!*out) {
        RET_IF_ERR(read_file(s->dir, "vocab.txt", TOKENIZER_BYTES_MAX, &text, &n,
                             err));
        if (!text)
            return MOHS_OK;
        char *path = path_join(s->dir, "vocab.txt");
        mohs_status st = tokenizer_json_bert(text, n, s->config, path, out, err);
        free(path);
        free(text);
        RET_IF_ERR(st);
    }
    mohs_status st = add_profile(&part, s, err);
    if (st >= 0)
        insert(out, part.s);
    str_free(&part);
    return st;
}

static mohs_status sentencepiece_files(const struct source *s, char **out,
                                       struct mohs_error *err)
{
    static const char *const files[] = { "spiece.model", "sentencepiece.model",
                                         "tokenizer.model" };
    for (size_t i = 0; i < sizeof files / sizeof *files && !*out; i++) {
        char *text;
        size_t n;
        RET_IF_ERR(read_file(s->dir, files[i], TOKENIZER_BYTES_MAX, &text, &n,
                             err));
        if (!text)
            continue;
        char *path = path_join(s->dir, files[i]);
        mohs_status st = from_sentencepiece(s, text, n, path, out, err);
        free(path);
        free(text);
        RET_IF_ERR(st);
    }
    return MOHS_OK;
}

static mohs_status find(const struct source *s, char **out,
                        struct mohs_error *err)
{
    if (s->open_clip && !text_of(s->open_clip, "hf_tokenizer_name"))
        RET_IF_ERR(simple_tokenizer(s, out, err));
    if (!*out && is_siglip(s)) // transformers reads the model file only
        RET_IF_ERR(sentencepiece_files(s, out, err));
    if (!*out)
        RET_IF_ERR(transformers_files(s, out, err));
    return *out ? MOHS_OK : sentencepiece_files(s, out, err);
}

mohs_status tokenizer_json_from_dir(const char *dir, const json_t *model,
                                    char **out, struct mohs_error *err)
{
    struct source s;
    char *text = NULL;
    mohs_status st = source_open(&s, dir, model, err);
    if (st >= 0)
        st = find(&s, &text, err);
    source_close(&s);
    if (st < 0 || !text)
        free(text);
    else
        *out = text;
    return st;
}

static mohs_status from_file(const char *path, char **text,
                             struct mohs_error *err)
{
    static const struct source none = { .dir = "" };
    char *data = NULL;
    size_t n;
    mohs_status st;
    RET_IF_ERR(file_read(path, TOKENIZER_BYTES_MAX, &data, &n, err));
    if (str_ends(path, ".model"))
        st = from_sentencepiece(&none, data, n, path, text, err);
    else if (str_ends(path, "vocab.txt"))
        st = tokenizer_json_bert(data, n, NULL, path, text, err);
    else {
        *text = data;
        return MOHS_OK;
    }
    free(data);
    return st;
}

mohs_status tokenizer_load(const char *path, struct tokenizer **out,
                           struct mohs_error *err)
{
    char *text = NULL;
    if (!dir_exists(path)) {
        RET_IF_ERR(from_file(path, &text, err));
    } else {
        RET_IF_ERR(tokenizer_json_from_dir(path, NULL, &text, err));
        if (!text)
            return mohs_fail(err, MOHS_E_IO,
                             "%s: no tokenizer.json, no vocab.json with "
                             "merges.txt, no vocab.txt, no spiece.model", path);
    }
    mohs_status st = tokenizer_parse(text, strlen(text), path, out, err);
    free(text);
    return st;
}
