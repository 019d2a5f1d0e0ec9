/* SPDX-License-Identifier: MIT */
/* A fixed set of worker threads that share one parallel loop at a time. */
#include "config.h"

#include "base/base.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct pool {
    unsigned n;
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    bool quit;
    uint64_t epoch;
    unsigned busy;
    /* the current loop */
    mohs_status (*fn)(void *, size_t, struct mohs_error *);
    void *user;
    size_t next, count, bad;
    struct mohs_error err;
};

static void work(struct pool *p)
{
    for (;;) {
        pthread_mutex_lock(&p->lock);
        size_t i = p->next < p->count ? p->next++ : SIZE_MAX;
        pthread_mutex_unlock(&p->lock);
        if (i == SIZE_MAX)
            return;
        struct mohs_error e = MOHS_ERROR_INIT;
        mohs_status st = p->fn(p->user, i, &e);
        if (st >= 0)
            continue;
        pthread_mutex_lock(&p->lock);
        if (i < p->bad) {
            p->bad = i;
            p->err = e;
            p->err.status = st;
        }
        pthread_mutex_unlock(&p->lock);
    }
}

static void *worker(void *arg)
{
    struct pool *p = arg;
    uint64_t seen = 0;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (!p->quit && p->epoch == seen)
            pthread_cond_wait(&p->wake, &p->lock);
        seen = p->epoch;
        bool quit = p->quit;
        pthread_mutex_unlock(&p->lock);
        if (quit)
            return NULL;
        work(p);
        pthread_mutex_lock(&p->lock);
        if (!--p->busy)
            pthread_cond_signal(&p->idle);
        pthread_mutex_unlock(&p->lock);
    }
}

struct pool *pool_new(unsigned n)
{
    if (!n) {
        long c = sysconf(_SC_NPROCESSORS_ONLN);
        n = c < 1 ? 1 : (unsigned)c;
    }
    if (n > 64)
        n = 64;
    struct pool *p = xcalloc(1, sizeof *p);
    p->thread = xcalloc(n, sizeof *p->thread);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->idle, NULL);
    while (p->n < n && !pthread_create(&p->thread[p->n], NULL, worker, p))
        p->n++;
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->idle);
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p);
}

unsigned pool_size(const struct pool *p)
{
    return p->n ? p->n : 1;
}

mohs_status pool_run(struct pool *p, size_t n,
                     mohs_status (*fn)(void *user, size_t i,
                                       struct mohs_error *err),
                     void *user, struct mohs_error *err)
{
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->user = user;
    p->next = 0;
    p->count = n;
    p->bad = SIZE_MAX;
    p->busy = p->n;
    p->epoch++;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    if (!p->n)
        work(p);
    pthread_mutex_lock(&p->lock);
    while (p->busy)
        pthread_cond_wait(&p->idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
    if (p->bad == SIZE_MAX)
        return MOHS_OK;
    if (err)
        *err = p->err;
    return p->err.status;
}
