/* SPDX-License-Identifier: MIT */
/* Checked allocation and the arena. */
#include "config.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>

static void *must(void *p, size_t n)
{
    if (!p && n) {
        fprintf(stderr, "mohs: out of memory (%zu bytes)\n", n);
        abort();
    }
    return p;
}

void *xmalloc(size_t n)
{
    return must(malloc(n ? n : 1), n);
}

void *xcalloc(size_t n, size_t size)
{
    return must(calloc(n ? n : 1, size ? size : 1), n);
}

void *xrealloc(void *p, size_t n)
{
    return must(realloc(p, n ? n : 1), n);
}

char *xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = xmalloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

void *try_calloc(size_t n, size_t size, const char *what, struct mohs_error *err)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        mohs_fail(err, MOHS_E_NOMEM, "no memory for %s (%zu x %zu bytes)", what,
                  n, size);
    return p;
}

void *try_aligned(size_t bytes, const char *what, struct mohs_error *err)
{
    size_t n = (bytes + 63) & ~(size_t)63;
    void *p = n >= bytes ? aligned_alloc(64, n ? n : 64) : NULL;
    if (!p)
        mohs_fail(err, MOHS_E_NOMEM, "no memory for %s (%zu bytes)", what, bytes);
    return p;
}

struct block {
    struct block *next;
    size_t used, cap;
};

struct arena {
    struct block *head;
};

enum { BLOCK_HEADER = 64, BLOCK_BYTES = 1 << 16 };

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

/* n bytes at a multiple of `align`, not cleared. */
static void *take(struct arena *a, size_t n, size_t align)
{
    struct block *b = a->head;
    size_t at = b ? (b->used + align - 1) & ~(align - 1) : 0;
    if (!b || at > b->cap || b->cap - at < n) {
        size_t cap = n > BLOCK_BYTES ? (n + 63) & ~(size_t)63 : BLOCK_BYTES;
        b = must(aligned_alloc(64, BLOCK_HEADER + cap), cap);
        b->next = a->head;
        b->cap = cap;
        a->head = b;
        at = 0;
    }
    b->used = at + n;
    return (char *)b + BLOCK_HEADER + at;
}

void *arena_alloc(struct arena *a, size_t n)
{
    n = (n + 63) & ~(size_t)63;
    if (!n)
        n = 64;
    return memset(take(a, n, 64), 0, n);
}

char *arena_strdup(struct arena *a, const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(take(a, n, 1), s, n);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = take(a, (size_t)n + 1, 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}
