/* SPDX-License-Identifier: MIT */
/* The program as plugins see it: extensions by id, scratch memory, the log. */
#include "config.h"

#include "plugin/plugin_impl.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- scratch: a bump allocator a thread, merged into one block on reset ----
 */

enum { SCRATCH_KEEP_BYTES = 64 << 20, SCRATCH_LEAST_BYTES = 64 << 10 };

struct block {
    struct block *next;
    size_t cap, used;
    unsigned char *bytes; /* 64-byte aligned */
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void blocks_free(void *list)
{
    for (struct block *b = list, *next; b; b = next) {
        next = b->next;
        free(b->bytes);
        free(b);
    }
}

/* Thread destructors do not run for the main thread. */
static void scratch_main_end(void)
{
    blocks_free(pthread_getspecific(scratch_key));
    pthread_setspecific(scratch_key, NULL);
}

static void scratch_start(void)
{
    if (!pthread_key_create(&scratch_key, blocks_free))
        atexit(scratch_main_end);
}

static struct block *block_push(size_t bytes, struct block *next)
{
    struct block *b = malloc(sizeof *b);
    if (!b)
        return NULL;
    b->cap = bytes;
    b->used = 0;
    b->next = next;
    b->bytes = try_aligned(bytes, "scratch", NULL);
    if (!b->bytes || pthread_setspecific(scratch_key, b)) {
        free(b->bytes);
        free(b);
        return NULL;
    }
    return b;
}

static void *scratch_alloc(const struct mohs_host *host, size_t bytes)
{
    (void)host;
    pthread_once(&scratch_once, scratch_start);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = bytes ? (bytes + 63) & ~(size_t)63 : 64;
    struct block *b = pthread_getspecific(scratch_key);
    if (!b || b->cap - b->used < bytes) {
        size_t cap = bytes > SCRATCH_LEAST_BYTES ? bytes : SCRATCH_LEAST_BYTES;
        b = block_push(cap, b);
        if (!b)
            return NULL;
    }
    void *p = b->bytes + b->used;
    b->used += bytes;
    return p;
}

void scratch_reset(void)
{
    pthread_once(&scratch_once, scratch_start);
    struct block *b = pthread_getspecific(scratch_key);
    if (!b)
        return;
    size_t total = 0;
    for (struct block *i = b; i; i = i->next)
        total += i->used;
    if (!b->next && b->cap <= SCRATCH_KEEP_BYTES) {
        b->used = 0;
        return;
    }
    // The next call probably wants as much: have it in one piece.
    pthread_setspecific(scratch_key, NULL);
    blocks_free(b);
    if (total && total <= SCRATCH_KEEP_BYTES)
        block_push(total, NULL);
}

/* ---- log ---- */

static void log_message(const struct mohs_host *host, int32_t level,
                        const char *text)
{
    (void)host;
    static const enum log_level levels[] = { LOG_DEBUG, LOG_INFO, LOG_WARN,
                                             LOG_ERROR };
    if (level < MOHS_LOG_DEBUG)
        level = MOHS_LOG_DEBUG;
    if (level > MOHS_LOG_ERROR)
        level = MOHS_LOG_ERROR;
    log_msg(levels[level], "%s", text ? text : "(NULL)");
}

/* ---- extensions ---- */

static const struct mohs_log_api log_api = { sizeof log_api, log_message };
static const struct mohs_scratch_api scratch_api = { sizeof scratch_api,
                                                     scratch_alloc };

/* The device or NULL, opened on first use; the failure is kept. */
static struct compute *device_of(struct registry *r)
{
    pthread_mutex_lock(&r->lock);
    if (!r->compute_tried) {
        r->compute_tried = true;
        struct mohs_error none = MOHS_ERROR_INIT;
        r->compute_error = none;
        if (compute_open(r->device, &r->compute, &r->compute_error) < 0)
            r->compute = NULL;
    }
    struct compute *c = r->compute;
    pthread_mutex_unlock(&r->lock);
    return c;
}

static struct compute *host_compute(const struct mohs_host *host)
{
    struct registry *r = host->ctx;
    r->compute_asked = true;
    return device_of(r);
}

/* During init() the table is handed out without opening a device, so that
 * listing plugins costs nothing; later, no device means no table. */
static const void *compute_extension(struct registry *r)
{
    r->compute_asked = true;
    return r->loading || device_of(r) ? &compute_api : NULL;
}

static const void *get_extension(const struct mohs_host *host, const char *id)
{
    struct registry *r = host->ctx;
    if (!id)
        return NULL;
    if (!strcmp(id, MOHS_EXT_LOG))
        return &log_api;
    if (!strcmp(id, MOHS_EXT_SCRATCH))
        return &scratch_api;
    if (!strcmp(id, MOHS_EXT_COMPUTE))
        return compute_extension(r);
    for (size_t i = 0; i < r->n_extensions; i++)
        if (!strcmp(r->extension[i].id, id))
            return r->extension[i].table;
    return NULL;
}

void host_init(struct registry *r)
{
    r->host.size = sizeof r->host;
    r->host.abi = MOHS_ABI;
    r->host.version = PACKAGE_VERSION;
    r->host.ctx = r;
    r->host.get_extension = get_extension;
    compute_of_host = host_compute;
}

struct mohs_host *registry_host(struct registry *r)
{
    return &r->host;
}

mohs_status registry_compute(struct registry *r, struct compute **out,
                             struct mohs_error *err)
{
    *out = device_of(r);
    if (*out)
        return MOHS_OK;
    mohs_status st = r->compute_error.status;
    return mohs_fail(err, st < 0 ? st : MOHS_E_DEVICE, "%s",
                     r->compute_error.text);
}

void registry_extend(struct registry *r, const char *id, const void *table)
{
    size_t i = 0;
    while (i < r->n_extensions && strcmp(r->extension[i].id, id))
        i++;
    if (i == EXTENSIONS_MAX)
        return;
    r->extension[i].id = id;
    r->extension[i].table = table;
    if (i == r->n_extensions)
        r->n_extensions++;
}

bool registry_compute_asked(struct registry *r, bool clear)
{
    return clear ? atomic_exchange(&r->compute_asked, false)
                 : atomic_load(&r->compute_asked);
}
