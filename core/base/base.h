/* SPDX-License-Identifier: MIT */
/*
 * What every room of the core stands on: error macros, memory, strings,
 * hashes, files, log, progress, worker threads. Depends on libc, the
 * hash libraries (xxhash, nettle) and the public headers only.
 */
#ifndef CORE_BASE_H
#define CORE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <mohs/error.h>
#include <mohs/util.h>

/* ---- errors ---------------------------------------------------------- */

/* Leaves the function with the status of a failed expression; for places
 * where nothing is owned yet. */
#define RET_IF_ERR(expr)                  \
    do {                                  \
        mohs_status st_ = (expr);         \
        if (st_ < 0)                      \
            return st_;                   \
    } while (0)
/* Needs `mohs_status st` and a label `out`. */
#define OUT_IF_ERR(expr)                  \
    do {                                  \
        st = (expr);                      \
        if (st < 0)                       \
            goto out;                     \
    } while (0)

/* Puts "prefix: " before the text of *err; returns st. */
MOHS_PRINTF(3, 4)
mohs_status err_prefix(struct mohs_error *err, mohs_status st, const char *fmt,
                       ...);
/* MOHS_E_IO with strerror(errno) appended. */
MOHS_PRINTF(2, 3)
mohs_status err_errno(struct mohs_error *err, const char *fmt, ...);
/* "argument", "out of memory", ... */
const char *status_name(mohs_status st);
/* Process exit code for a status: 1 failed, 2 usage, 3 bad input, 4 device,
 * 5 missing plugin, 130 interrupted (PLATFORM conventions). */
int status_exit_code(mohs_status st);

/* ---- memory ---------------------------------------------------------- */

/* Small fixed-size allocations: abort with a message when out of memory. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
MOHS_PRINTF(1, 2)
char *xasprintf(const char *fmt, ...);
/* Input-sized allocations: n * size bytes, zeroed, overflow checked; NULL
 * and *err filled with `what` when there is no memory. Free with free(). */
void *try_calloc(size_t n, size_t size, const char *what, struct mohs_error *err);
/* 64-byte aligned, not cleared. Free with free(). */
void *try_aligned(size_t bytes, const char *what, struct mohs_error *err);

/* Arena: many small allocations freed together. */
struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is fine */
void *arena_alloc(struct arena *a, size_t n); /* 64-byte aligned, zeroed */
/* Strings lie close together, at any address. */
char *arena_strdup(struct arena *a, const char *s);
MOHS_PRINTF(2, 3)
char *arena_printf(struct arena *a, const char *fmt, ...);

/* ---- strings --------------------------------------------------------- */

/* A growing byte string, always NUL-terminated once used. {0} is empty. */
struct str {
    char *s;
    size_t n, cap;
};
void str_free(struct str *b);
void str_add(struct str *b, const char *s);
void str_addn(struct str *b, const char *s, size_t n);
MOHS_PRINTF(2, 3)
void str_addf(struct str *b, const char *fmt, ...);
/* Appends s as a JSON string literal, quotes included. */
void str_add_json(struct str *b, const char *s);
/* Appends s with & < > " ' escaped for HTML and XML. */
void str_add_html(struct str *b, const char *s);
/* Base64 with padding (base64.c); the reverse takes nothing else, and gives
 * a fresh array. */
void str_add_base64(struct str *b, const void *data, size_t n);
bool base64_decode(const char *s, uint8_t **out, size_t *n);

bool str_ends(const char *s, const char *suffix);
/* Edit distance based "did you mean": the nearest of n names within
 * distance 3, or NULL. */
const char *str_nearest(const char *s, const char *const *names, size_t n);
/* Whole-string number parsers; false when s is not exactly one number. */
bool str_to_double(const char *s, double *out);
bool str_to_i64(const char *s, int64_t *out);
/* True when s[0..n) is valid UTF-8. */
bool utf8_valid(const char *s, size_t n);

/* ---- edits ----------------------------------------------------------- */

/* The fewest insertions, removals and replacements of ids, of words (what
 * stands between white space), or of characters that make one text of the
 * other; for characters an exchange of neighbours is one edit too. Texts that
 * differ over thousands of characters: the length of the longer difference. */
size_t edits_ids(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b);
size_t edits_words(const char *a, const char *b);
size_t edits_chars(const char *a, const char *b);

/* ---- hashes ---------------------------------------------------------- */

struct hash128 {
    uint64_t hi, lo;
};
struct hasher; /* XXH3-128, streaming */
struct hasher *hasher_new(void);
void hasher_bytes(struct hasher *h, const void *p, size_t n);
/* Length-prefixed, so that ("ab","c") and ("a","bc") differ. */
void hasher_str(struct hasher *h, const char *s);
void hasher_u64(struct hasher *h, uint64_t x);
void hasher_f64(struct hasher *h, double x);
/* The content of what is named, parted by colons: files, and those directly in
 * directories, with their names. What cannot be read counts as not there. Files
 * that were read before are not read again until they change. [any thread] */
void hasher_paths(struct hasher *h, const char *paths);
struct hash128 hasher_end(struct hasher *h); /* frees h */
struct hash128 hash_bytes(const void *p, size_t n);
uint64_t hash_str64(const char *s);
void hash_hex(struct hash128 h, char out[33]);
/* SHA-256 of a file, in hex. */
mohs_status sha256_file(const char *path, char out[65], struct mohs_error *err);
void sha256_hex(const void *p, size_t n, char out[65]);

/* ---- files ----------------------------------------------------------- */

/* Whole file into memory (NUL appended, not counted). max 0: no limit;
 * larger files fail. */
mohs_status file_read(const char *path, size_t max, char **data, size_t *n,
                      struct mohs_error *err);
/* n bytes from `offset` on (NUL appended, not counted); malloc'ed. Fails when
 * the file has fewer. */
mohs_status file_read_range(const char *path, uint64_t offset, size_t n,
                            char **data, struct mohs_error *err);
/* Writes a temporary beside `path` and renames: never a half file. */
mohs_status file_write(const char *path, const void *data, size_t n,
                       struct mohs_error *err);
bool file_exists(const char *path);
bool dir_exists(const char *path);
/* mkdir -p */
mohs_status dir_make(const char *path, struct mohs_error *err);
/* $XDG_CACHE_HOME/mohs or ~/.cache/mohs, overridden by MOHS_CACHE_DIR;
 * made on first use. Borrowed, process lifetime. */
const char *cache_dir(void);
/* Joins with one slash into a fresh string. */
char *path_join(const char *a, const char *b);
/* Path without directory; borrowed. */
const char *path_base(const char *path);
/* Base name without its last extension; fresh. */
char *path_stem(const char *path);
/* Directory part, "." when none; fresh. */
char *path_dir(const char *path);
/* Entries of a directory, sorted bytewise, "." and ".." left out; a fresh
 * NULL-terminated vector, freed with strv_free. */
mohs_status dir_list(const char *path, char ***out, size_t *n,
                     struct mohs_error *err);
void strv_free(char **v);

/* ---- log and progress ------------------------------------------------ */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
extern enum log_level log_threshold; /* default LOG_INFO; -q sets LOG_WARN */
MOHS_PRINTF(2, 3)
void log_msg(enum log_level l, const char *fmt, ...);
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_msg(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)

/* A line on stderr with rate and ETA: live on a terminal, silent elsewhere
 * apart from start and end at LOG_INFO. One at a time. [main] */
void progress_start(const char *what, uint64_t total);
void progress_set(uint64_t done);
MOHS_PRINTF(1, 2)
void progress_note(const char *fmt, ...); /* text behind the bar */
void progress_end(void);

/* Monotonic seconds. */
double now_s(void);
/* Peak resident set of this process, bytes. */
uint64_t rss_peak_bytes(void);
/* Set by SIGINT and SIGTERM; long loops return MOHS_E_CANCELLED. */
extern volatile int interrupted;

/* ---- threads --------------------------------------------------------- */

struct pool;
/* n threads, 0: one per online CPU, at most 64. */
struct pool *pool_new(unsigned n);
void pool_free(struct pool *p);
unsigned pool_size(const struct pool *p);
/* Calls fn(user, i) for i in [0, n) on the workers and waits. Keeps going
 * after a failure; returns the failure of the lowest i and its text. */
mohs_status pool_run(struct pool *p, size_t n,
                     mohs_status (*fn)(void *user, size_t i,
                                       struct mohs_error *err),
                     void *user, struct mohs_error *err);

#endif
