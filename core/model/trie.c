/* SPDX-License-Identifier: MIT */
/* A byte trie in one open hash: the edge (node, byte) is its key, so a
 * vocabulary of 250,000 pieces takes some 20 MiB. */
#include "config.h"

#include <stdlib.h>

#include "model/token_model.h"

enum { NODES_MAX = 1 << 23 }; /* an edge fits 32 bits */

struct edge {
    uint32_t key; /* node << 8 | byte */
    int32_t child; /* 0: free */
};

struct trie {
    struct edge *edge;
    size_t cap;
    int32_t *value; /* by node */
    int32_t n, cap_nodes;
};

struct trie *trie_new(void)
{
    struct trie *t = xcalloc(1, sizeof *t);
    t->cap = 256;
    t->edge = xcalloc(t->cap, sizeof *t->edge);
    t->cap_nodes = 128;
    t->value = xmalloc((size_t)t->cap_nodes * sizeof *t->value);
    t->value[0] = -1;
    t->n = 1;
    return t;
}

void trie_free(struct trie *t)
{
    if (!t)
        return;
    free(t->edge);
    free(t->value);
    free(t);
}

static struct edge *edge_of(const struct trie *t, uint32_t key)
{
    size_t i = (size_t)(key * 0x9E3779B97F4A7C15u >> 32) & (t->cap - 1);
    while (t->edge[i].child && t->edge[i].key != key)
        i = (i + 1) & (t->cap - 1);
    return &t->edge[i];
}

static uint32_t key_of(int32_t node, char byte)
{
    return (uint32_t)node << 8 | (unsigned char)byte;
}

static void grow(struct trie *t)
{
    if ((size_t)t->n * 2 >= t->cap) {
        struct edge *old = t->edge;
        size_t n = t->cap;
        t->cap *= 2;
        t->edge = xcalloc(t->cap, sizeof *t->edge);
        for (size_t i = 0; i < n; i++)
            if (old[i].child)
                *edge_of(t, old[i].key) = old[i];
        free(old);
    }
    if (t->n == t->cap_nodes) {
        t->cap_nodes *= 2;
        t->value = xrealloc(t->value, (size_t)t->cap_nodes * sizeof *t->value);
    }
}

void trie_add(struct trie *t, const char *key, size_t n, int32_t value)
{
    int32_t node = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t next = trie_step(t, node, key[i]);
        if (next < 0) {
            if (t->n == NODES_MAX)
                return;
            grow(t);
            next = t->n++;
            t->value[next] = -1;
            *edge_of(t, key_of(node, key[i])) =
                (struct edge) { key_of(node, key[i]), next };
        }
        node = next;
    }
    if (n)
        t->value[node] = value;
}

int32_t trie_step(const struct trie *t, int32_t node, char byte)
{
    const struct edge *e = edge_of(t, key_of(node, byte));
    return e->child ? e->child : -1;
}

int32_t trie_value(const struct trie *t, int32_t node)
{
    return t->value[node];
}

size_t trie_longest(const struct trie *t, const char *s, size_t n)
{
    size_t longest = 0;
    int32_t node = 0;
    for (size_t i = 0; i < n && (node = trie_step(t, node, s[i])) >= 0; i++)
        if (t->value[node] >= 0)
            longest = i + 1;
    return longest;
}
