/* SPDX-License-Identifier: MIT */
/* Messages and the progress line, both on stderr; the clock and peak memory. */
#include "config.h"

#include "base/base.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum log_level log_threshold = LOG_INFO;
volatile int interrupted;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char what[80], note[120];
    uint64_t total, done;
    double start, drawn;
    bool active, live;
} bar;

double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uint64_t rss_peak_bytes(void)
{
    // ru_maxrss counts the process that this one was forked from
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && !kib && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %llu", &kib) != 1)
            kib = 0;
    if (f)
        fclose(f);
    if (kib)
        return kib * 1024;
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (uint64_t)r.ru_maxrss * 1024;
}

static void bar_clear(void)
{
    if (bar.active && bar.live)
        fputs("\r\033[K", stderr);
}

static void bar_draw(void)
{
    double t = now_s() - bar.start;
    double rate = t > 0 ? (double)bar.done / t : 0;
    double eta = rate > 0 ? (double)(bar.total - bar.done) / rate : 0;
    fprintf(stderr, "\r\033[K%s %llu/%llu  %.1f/s  ETA %d:%02d  %s", bar.what,
            (unsigned long long)bar.done, (unsigned long long)bar.total, rate,
            (int)eta / 60, (int)eta % 60, bar.note);
    fflush(stderr);
    bar.drawn = now_s();
}

void log_msg(enum log_level l, const char *fmt, ...)
{
    if (l < log_threshold)
        return;
    static const char *const tag[] = { "debug: ", "", "warning: ", "error: " };
    pthread_mutex_lock(&lock);
    bar_clear();
    fputs("mohs: ", stderr);
    fputs(tag[l], stderr);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    pthread_mutex_unlock(&lock);
}

void progress_start(const char *what, uint64_t total)
{
    pthread_mutex_lock(&lock);
    memset(&bar, 0, sizeof bar);
    snprintf(bar.what, sizeof bar.what, "%s", what);
    bar.total = total;
    bar.start = now_s();
    bar.active = true;
    bar.live = isatty(2) && log_threshold <= LOG_INFO;
    pthread_mutex_unlock(&lock);
}

void progress_set(uint64_t done)
{
    pthread_mutex_lock(&lock);
    bar.done = done;
    if (bar.live && now_s() - bar.drawn > 0.1)
        bar_draw();
    pthread_mutex_unlock(&lock);
}

void progress_note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&lock);
    vsnprintf(bar.note, sizeof bar.note, fmt, ap);
    pthread_mutex_unlock(&lock);
    va_end(ap);
}

void progress_end(void)
{
    pthread_mutex_lock(&lock);
    bar_clear();
    bar.active = false;
    pthread_mutex_unlock(&lock);
}
