/* SPDX-License-Identifier: MIT */
/*
 * The stack machine of pickle protocols 2 to 5, as far as torch.save and
 * TorchScript use it (CPython's pickletools lists the opcodes). It builds
 * values and calls nothing. pickle_names.c says which names may appear.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "model/pickle.h"
#include "model/pickle_names.h"

enum { VALUES_MAX = 2 << 20, MEMO_MAX = 4 << 20, BLOCK = 1024,
       NAME_BYTES_MAX = 4096 };

struct block {
    struct block *next;
    size_t n;
    struct pickle_value v[BLOCK];
};

struct pickle {
    struct block *blocks;
    size_t n_values;
    struct pickle_value *root;
    const uint8_t *data;
    size_t n, at;
    const char *name;
    struct mohs_error *err;
    struct pickle_value **stack, **memo;
    size_t depth, stack_cap, memo_n;
    size_t *mark;
    size_t n_marks, marks_cap;
};

/* ---- values ------------------------------------------------------------ */

static mohs_status bad(const struct pickle *p, const char *what)
{
    return mohs_fail(p->err, MOHS_E_FORMAT, "%s: bad pickle at byte %zu: %s",
                     p->name, p->at, what);
}

static struct pickle_value *value(struct pickle *p, enum pickle_kind kind)
{
    if (p->n_values >= VALUES_MAX) {
        bad(p, "too many values");
        return NULL;
    }
    if (!p->blocks || p->blocks->n == BLOCK) {
        struct block *b = try_calloc(1, sizeof *b, p->name, p->err);
        if (!b)
            return NULL;
        b->next = p->blocks;
        p->blocks = b;
    }
    p->n_values++;
    struct pickle_value *v = &p->blocks->v[p->blocks->n++];
    v->kind = kind;
    return v;
}

static void *grown(void *v, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return v;
    *cap = 2 * *cap > need ? 2 * *cap : need + 8;
    return xrealloc(v, *cap * size);
}

static void items_add(struct pickle_value *to, struct pickle_value *const *v,
                      size_t n)
{
    if (n)
        to->v = grown(to->v, &to->cap, to->n + n, sizeof *to->v);
    if (n)
        memcpy(to->v + to->n, v, n * sizeof *v);
    to->n += n;
}

static mohs_status push(struct pickle *p, struct pickle_value *v)
{
    if (!v)
        return p->err->status; // value() said why
    p->stack = grown(p->stack, &p->stack_cap, p->depth + 1, sizeof *p->stack);
    p->stack[p->depth++] = v;
    return MOHS_OK;
}

/* The lowest place of the stack that an opcode may take from. */
static size_t floor_of(const struct pickle *p)
{
    return p->n_marks ? p->mark[p->n_marks - 1] : 0;
}

static mohs_status pop(struct pickle *p, struct pickle_value **out)
{
    if (p->depth <= floor_of(p))
        return bad(p, "the stack is empty");
    *out = p->stack[--p->depth];
    return MOHS_OK;
}

static mohs_status top(struct pickle *p, struct pickle_value **out)
{
    if (p->depth <= floor_of(p))
        return bad(p, "the stack is empty");
    *out = p->stack[p->depth - 1];
    return MOHS_OK;
}

/* Takes what lies above the last mark: *v[0..n), valid until a push. */
static mohs_status take_marked(struct pickle *p, struct pickle_value ***v,
                               size_t *n)
{
    if (!p->n_marks)
        return bad(p, "no mark");
    size_t from = p->mark[--p->n_marks];
    *v = p->stack + from;
    *n = p->depth - from;
    p->depth = from;
    return MOHS_OK;
}

/* ---- bytes ------------------------------------------------------------- */

static mohs_status take(struct pickle *p, uint64_t n, const uint8_t **out)
{
    if (n > p->n - p->at)
        return bad(p, "cut off");
    *out = p->data + p->at;
    p->at += (size_t)n;
    return MOHS_OK;
}

static mohs_status number(struct pickle *p, uint32_t bytes, uint64_t *out)
{
    const uint8_t *b = NULL;
    RET_IF_ERR(take(p, bytes, &b));
    *out = 0;
    for (uint32_t i = 0; i < bytes; i++)
        *out |= (uint64_t)b[i] << 8 * i;
    return MOHS_OK;
}

static mohs_status push_int(struct pickle *p, enum pickle_kind kind, int64_t i)
{
    struct pickle_value *v = value(p, kind);
    if (v)
        v->i = i;
    return push(p, v);
}

/* Two's complement of any length, little endian. */
static mohs_status push_long(struct pickle *p, uint32_t length_bytes)
{
    uint64_t n = 0;
    const uint8_t *b = NULL;
    RET_IF_ERR(number(p, length_bytes, &n));
    RET_IF_ERR(take(p, n, &b));
    bool negative = n && b[n - 1] & 0x80;
    uint64_t x = negative ? UINT64_MAX : 0;
    for (uint64_t i = 0; i < n && i < 8; i++)
        x = (x & ~((uint64_t)0xFF << 8 * i)) | (uint64_t)b[i] << 8 * i;
    if (n > 8)
        x = negative ? (uint64_t)INT64_MIN : (uint64_t)INT64_MAX;
    int64_t i;
    memcpy(&i, &x, sizeof i);
    return push_int(p, PICKLE_INT, i);
}

static mohs_status push_float(struct pickle *p)
{
    const uint8_t *b = NULL;
    uint64_t bits = 0;
    RET_IF_ERR(take(p, 8, &b));
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | b[i];
    struct pickle_value *v = value(p, PICKLE_FLOAT);
    if (v)
        memcpy(&v->f, &bits, sizeof bits);
    return push(p, v);
}

static mohs_status push_string(struct pickle *p, uint32_t length_bytes)
{
    uint64_t n = 0;
    const uint8_t *b = NULL;
    RET_IF_ERR(number(p, length_bytes, &n));
    RET_IF_ERR(take(p, n, &b));
    struct pickle_value *v = value(p, PICKLE_STRING);
    if (!v)
        return push(p, v);
    v->s = try_calloc((size_t)n + 1, 1, p->name, p->err);
    if (!v->s)
        return MOHS_E_NOMEM;
    if (n)
        memcpy(v->s, b, (size_t)n);
    v->n = (size_t)n;
    return push(p, v);
}

/* ---- names ------------------------------------------------------------- */

static mohs_status push_name(struct pickle *p, const char *module, size_t m,
                             const char *name, size_t n)
{
    if (m > NAME_BYTES_MAX || n > NAME_BYTES_MAX || memchr(module, 0, m) ||
        memchr(name, 0, n))
        return bad(p, "a name is not one");
    char *full = xasprintf("%.*s.%.*s", (int)m, module, (int)n, name);
    if (!pickle_name_allowed(full)) {
        mohs_status st = mohs_fail(
            p->err, MOHS_E_FORMAT,
            "%s: names %.80s, which weights need not: refused, nothing was "
            "executed", p->name, full);
        free(full);
        return st;
    }
    struct pickle_value *v = value(p, PICKLE_NAME);
    if (!v) {
        free(full);
        return push(p, v);
    }
    v->s = full;
    v->n = strlen(full);
    return push(p, v);
}

static mohs_status line(struct pickle *p, const char **s, size_t *n)
{
    const uint8_t *from = p->data + p->at;
    const uint8_t *end = memchr(from, '\n', p->n - p->at);
    if (!end)
        return bad(p, "cut off");
    *s = (const char *)from;
    *n = (size_t)(end - from);
    p->at += *n + 1;
    return MOHS_OK;
}

static mohs_status op_global(struct pickle *p)
{
    const char *module = "", *name = "";
    size_t m = 0, n = 0;
    RET_IF_ERR(line(p, &module, &m));
    RET_IF_ERR(line(p, &name, &n));
    return push_name(p, module, m, name, n);
}

static mohs_status op_stack_global(struct pickle *p)
{
    struct pickle_value *name = NULL, *module = NULL;
    RET_IF_ERR(pop(p, &name));
    RET_IF_ERR(pop(p, &module));
    if (name->kind != PICKLE_STRING || module->kind != PICKLE_STRING)
        return bad(p, "a name is no string");
    return push_name(p, module->s, module->n, name->s, name->n);
}

/* ---- records ----------------------------------------------------------- */

/* Containers that are made by calling their class. */
static bool makes(const struct pickle_value *what, enum pickle_kind *kind)
{
    static const struct {
        const char *name;
        enum pickle_kind kind;
    } known[] = {
        { "collections.OrderedDict", PICKLE_DICT },
        { "collections.defaultdict", PICKLE_DICT },
        { "builtins.dict", PICKLE_DICT },
        { "__builtin__.dict", PICKLE_DICT },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (pickle_is(what, known[i].name)) {
            *kind = known[i].kind;
            return true;
        }
    return false;
}

/* REDUCE, NEWOBJ, NEWOBJ_EX: a call is written down, not made. */
static mohs_status op_call(struct pickle *p, bool keywords)
{
    struct pickle_value *what = NULL, *args = NULL, *kw;
    enum pickle_kind kind;
    if (keywords)
        RET_IF_ERR(pop(p, &kw));
    RET_IF_ERR(pop(p, &args));
    RET_IF_ERR(pop(p, &what));
    if (what->kind != PICKLE_NAME)
        return bad(p, "calls what is no name");
    if (args->kind != PICKLE_TUPLE)
        return bad(p, "arguments are no tuple");
    if (makes(what, &kind))
        return push(p, value(p, kind));
    struct pickle_value *v = value(p, PICKLE_OBJECT);
    if (v) {
        v->what = what;
        v->args = args;
    }
    return push(p, v);
}

static mohs_status op_build(struct pickle *p)
{
    struct pickle_value *state = NULL, *to = NULL;
    RET_IF_ERR(pop(p, &state));
    RET_IF_ERR(top(p, &to));
    if (to->kind == PICKLE_OBJECT)
        to->state = state;
    else if (to->kind != PICKLE_DICT) // an OrderedDict's attributes
        return bad(p, "sets the state of a plain value");
    return MOHS_OK;
}

static mohs_status op_persistent(struct pickle *p)
{
    struct pickle_value *id = NULL;
    RET_IF_ERR(pop(p, &id));
    struct pickle_value *v = value(p, PICKLE_PERSISTENT);
    if (v)
        v->args = id;
    return push(p, v);
}

/* ---- containers -------------------------------------------------------- */

static mohs_status push_items(struct pickle *p, enum pickle_kind kind,
                              struct pickle_value *const *v, size_t n)
{
    struct pickle_value *to = value(p, kind);
    if (to)
        items_add(to, v, n);
    return push(p, to);
}

static mohs_status op_tuple(struct pickle *p, uint32_t n)
{
    if (p->depth < floor_of(p) + n)
        return bad(p, "the stack is empty");
    p->depth -= n;
    return push_items(p, PICKLE_TUPLE, p->stack + p->depth, n);
}

static mohs_status op_marked(struct pickle *p, enum pickle_kind kind)
{
    struct pickle_value **v = NULL;
    size_t n = 0;
    RET_IF_ERR(take_marked(p, &v, &n));
    if (kind == PICKLE_DICT && n % 2)
        return bad(p, "a key without a value");
    return push_items(p, kind, v, n);
}

/* SETITEM(S), APPEND(S), ADDITEMS: objects that act as containers keep their
 * items too. */
static mohs_status add_to(struct pickle *p, bool pairs,
                          struct pickle_value *const *v, size_t n)
{
    struct pickle_value *to = NULL;
    RET_IF_ERR(top(p, &to));
    if (to->kind != PICKLE_OBJECT && to->kind != (pairs ? PICKLE_DICT : PICKLE_LIST))
        return bad(p, "adds items to what holds none");
    if (pairs && n % 2)
        return bad(p, "a key without a value");
    items_add(to, v, n);
    return MOHS_OK;
}

static mohs_status op_add(struct pickle *p, bool pairs, bool marked)
{
    struct pickle_value **v = NULL;
    size_t n = pairs ? 2 : 1;
    if (marked) {
        RET_IF_ERR(take_marked(p, &v, &n));
        return add_to(p, pairs, v, n);
    }
    if (p->depth < floor_of(p) + n)
        return bad(p, "the stack is empty");
    p->depth -= n;
    return add_to(p, pairs, p->stack + p->depth, n);
}

/* ---- marks and memo ---------------------------------------------------- */

static mohs_status op_mark(struct pickle *p)
{
    p->mark = grown(p->mark, &p->marks_cap, p->n_marks + 1, sizeof *p->mark);
    p->mark[p->n_marks++] = p->depth;
    return MOHS_OK;
}

static mohs_status memo_put(struct pickle *p, uint64_t i)
{
    struct pickle_value *v = NULL;
    RET_IF_ERR(top(p, &v));
    if (i >= MEMO_MAX || i > p->n)
        return bad(p, "a memo too far");
    if (i >= p->memo_n) {
        size_t n = (size_t)i + 1 < 2 * p->memo_n ? 2 * p->memo_n : (size_t)i + 1;
        p->memo = xrealloc(p->memo, n * sizeof *p->memo);
        memset(p->memo + p->memo_n, 0, (n - p->memo_n) * sizeof *p->memo);
        p->memo_n = n;
    }
    p->memo[i] = v;
    return MOHS_OK;
}

static mohs_status memo_get(struct pickle *p, uint64_t i)
{
    if (i >= p->memo_n || !p->memo[i])
        return bad(p, "a memo that was never written");
    return push(p, p->memo[i]);
}

static mohs_status op_memo(struct pickle *p, bool put, uint32_t bytes)
{
    uint64_t i = 0;
    RET_IF_ERR(number(p, bytes, &i));
    return put ? memo_put(p, i) : memo_get(p, i);
}

/* MEMOIZE counts by itself. */
static mohs_status op_memoize(struct pickle *p, uint64_t *count)
{
    return memo_put(p, (*count)++);
}

/* ---- the machine ------------------------------------------------------- */

static mohs_status op_number(struct pickle *p, uint8_t op)
{
    uint64_t x = 0;
    switch (op) {
    case 'K': RET_IF_ERR(number(p, 1, &x)); break;
    case 'M': RET_IF_ERR(number(p, 2, &x)); break;
    default:
        RET_IF_ERR(number(p, 4, &x));
        return push_int(p, PICKLE_INT, (int32_t)(uint32_t)x);
    }
    return push_int(p, PICKLE_INT, (int64_t)x);
}

static mohs_status op_skip(struct pickle *p, uint32_t bytes)
{
    const uint8_t *b = NULL;
    return take(p, bytes, &b);
}

static mohs_status op_dup(struct pickle *p)
{
    struct pickle_value *v = NULL;
    RET_IF_ERR(top(p, &v));
    return push(p, v);
}

static mohs_status op_drop(struct pickle *p, bool marked)
{
    struct pickle_value **v, *one;
    size_t n;
    return marked ? take_marked(p, &v, &n) : pop(p, &one);
}

static mohs_status step(struct pickle *p, uint8_t op, uint64_t *memos)
{
    switch (op) {
    case 0x80: return op_skip(p, 1);  // PROTO
    case 0x95: return op_skip(p, 8);  // FRAME
    case '(': return op_mark(p);
    case '0': return op_drop(p, false);
    case '1': return op_drop(p, true);
    case '2': return op_dup(p);
    case 'N': return push(p, value(p, PICKLE_NONE));
    case 0x88: return push_int(p, PICKLE_BOOL, 1);
    case 0x89: return push_int(p, PICKLE_BOOL, 0);
    case 'J':
    case 'K':
    case 'M': return op_number(p, op);
    case 0x8a: return push_long(p, 1);
    case 0x8b: return push_long(p, 4);
    case 'G': return push_float(p);
    case 'X':
    case 'T':
    case 'B': return push_string(p, 4);
    case 0x8c:
    case 'U':
    case 'C': return push_string(p, 1);
    case 0x8d:
    case 0x8e:
    case 0x96: return push_string(p, 8);
    case ')': return push_items(p, PICKLE_TUPLE, NULL, 0);
    case 0x85: return op_tuple(p, 1);
    case 0x86: return op_tuple(p, 2);
    case 0x87: return op_tuple(p, 3);
    case 't': return op_marked(p, PICKLE_TUPLE);
    case ']':
    case 0x8f: return push_items(p, PICKLE_LIST, NULL, 0); // set: a list too
    case 'l':
    case 0x91: return op_marked(p, PICKLE_LIST);
    case '}': return push_items(p, PICKLE_DICT, NULL, 0);
    case 'd': return op_marked(p, PICKLE_DICT);
    case 'a': return op_add(p, false, false);
    case 'e':
    case 0x90: return op_add(p, false, true);
    case 's': return op_add(p, true, false);
    case 'u': return op_add(p, true, true);
    case 'c': return op_global(p);
    case 0x93: return op_stack_global(p);
    case 'R':
    case 0x81: return op_call(p, false);
    case 0x92: return op_call(p, true);
    case 'b': return op_build(p);
    case 'Q': return op_persistent(p);
    case 'q': return op_memo(p, true, 1);
    case 'r': return op_memo(p, true, 4);
    case 'h': return op_memo(p, false, 1);
    case 'j': return op_memo(p, false, 4);
    case 0x94: return op_memoize(p, memos);
    default:
        return mohs_fail(p->err, MOHS_E_FORMAT,
                         "%s: pickle opcode 0x%02x at byte %zu is none that "
                         "torch.save writes", p->name, op, p->at - 1);
    }
}

static mohs_status run(struct pickle *p)
{
    uint64_t memos = 0;
    for (;;) {
        const uint8_t *op = NULL;
        RET_IF_ERR(take(p, 1, &op));
        if (*op == '.')
            break;
        RET_IF_ERR(step(p, *op, &memos));
    }
    if (p->n_marks || p->depth != 1)
        return bad(p, "ends with more or less than one value");
    p->root = p->stack[0];
    return MOHS_OK;
}

mohs_status pickle_open(const uint8_t *data, size_t n, const char *name,
                        struct pickle **out, struct mohs_error *err)
{
    struct mohs_error mine = MOHS_ERROR_INIT;
    struct pickle *p = xcalloc(1, sizeof *p);
    p->data = data;
    p->n = n;
    p->name = name;
    p->err = &mine;
    mohs_status st = run(p);
    p->data = NULL;
    p->err = NULL;
    free(p->stack);
    free(p->memo);
    free(p->mark);
    p->stack = p->memo = NULL;
    p->mark = NULL;
    if (st < 0) {
        if (err)
            *err = mine;
        pickle_close(p);
        return st;
    }
    *out = p;
    return MOHS_OK;
}

const struct pickle_value *pickle_root(const struct pickle *p)
{
    return p->root;
}

void pickle_close(struct pickle *p)
{
    if (!p)
        return;
    for (struct block *next, *b = p->blocks; b; b = next) {
        next = b->next;
        for (size_t i = 0; i < b->n; i++) {
            free(b->v[i].s);
            free(b->v[i].v);
        }
        free(b);
    }
    free(p);
}

const struct pickle_value *pickle_get(const struct pickle_value *dict,
                                      const char *key)
{
    const struct pickle_value *found = NULL;
    if (!dict || dict->kind != PICKLE_DICT)
        return NULL;
    for (size_t i = 0; i + 1 < dict->n; i += 2)
        if (dict->v[i]->kind == PICKLE_STRING && !strcmp(dict->v[i]->s, key))
            found = dict->v[i + 1];
    return found;
}

bool pickle_is(const struct pickle_value *v, const char *name)
{
    return v && v->kind == PICKLE_NAME && !strcmp(v->s, name);
}
