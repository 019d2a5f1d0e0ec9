/* SPDX-License-Identifier: MIT */
/*
 * Built programs on disk, one file per key under cache_dir()/programs. The
 * key covers source, prelude, options, device and driver, so entries never
 * go stale; every fault of a file means a build from source and a new file.
 * File: magic, payload length, XXH3-128 of the payload, payload (the
 * program's device binary).
 */
#include "config.h"

#include "compute/compute_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 32
#define BINARY_MAX ((size_t)1 << 30)

static const char magic[8] = { 'm', 'o', 'h', 's', 'c', 'l', 'p', '1' };

static void put_u64(unsigned char *p, uint64_t x)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(x >> (8 * i));
}

static uint64_t get_u64(const unsigned char *p)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return x;
}

char *program_cache_path(struct hash128 key)
{
    char hex[33];
    hash_hex(key, hex);
    return xasprintf("%s/programs/%s.clbin", cache_dir(), hex);
}

/* The payload inside a file's bytes, or NULL when damaged. */
static const unsigned char *check_file(const char *data, size_t n, size_t *len)
{
    const unsigned char *p = (const unsigned char *)data;
    if (n < HEADER_BYTES || memcmp(p, magic, sizeof magic) ||
        get_u64(p + 8) != n - HEADER_BYTES || n == HEADER_BYTES)
        return NULL;
    struct hash128 h = hash_bytes(p + HEADER_BYTES, n - HEADER_BYTES);
    if (h.hi != get_u64(p + 16) || h.lo != get_u64(p + 24))
        return NULL;
    *len = n - HEADER_BYTES;
    return p + HEADER_BYTES;
}

cl_program program_cache_load(struct compute *c, struct hash128 key)
{
    char *path = program_cache_path(key), *data = NULL;
    const unsigned char *payload = NULL;
    size_t n, len = 0;
    cl_program p = NULL;
    if (!file_exists(path))
        goto out;
    if (file_read(path, BINARY_MAX, &data, &n, NULL) >= 0)
        payload = check_file(data, n, &len);
    if (payload) {
        cl_int e, bin;
        p = clCreateProgramWithBinary(c->ctx, 1, &c->dev, &len, &payload, &bin,
                                      &e);
        if (p && (e || bin || clBuildProgram(p, 1, &c->dev, "", NULL, NULL))) {
            clReleaseProgram(p);
            p = NULL;
        }
    }
    if (p) {
        c->cache_hits++;
    } else {
        log_debug("program cache: %s is damaged, building from source", path);
        unlink(path);
    }
out:
    free(data);
    free(path);
    return p;
}

void program_cache_store(struct compute *c, struct hash128 key, cl_program p)
{
    size_t len = 0;
    if (clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, sizeof len, &len, NULL) ||
        !len || len > BINARY_MAX)
        return;
    unsigned char *file = malloc(HEADER_BYTES + len);
    if (!file)
        return;
    unsigned char *payload = file + HEADER_BYTES;
    char *path = program_cache_path(key), *dir = path_dir(path);
    struct mohs_error err = MOHS_ERROR_INIT;
    if (clGetProgramInfo(p, CL_PROGRAM_BINARIES, sizeof payload, &payload, NULL))
        goto out;
    struct hash128 h = hash_bytes(payload, len);
    memcpy(file, magic, sizeof magic);
    put_u64(file + 8, len);
    put_u64(file + 16, h.hi);
    put_u64(file + 24, h.lo);
    if (dir_make(dir, &err) < 0 ||
        file_write(path, file, HEADER_BYTES + len, &err) < 0)
        log_debug("program cache: %s", err.text);
    else
        c->cache_stores++;
out:
    free(dir);
    free(path);
    free(file);
}
