/* SPDX-License-Identifier: MIT */
/* Content hashes: XXH3-128 for keys, SHA-256 for provenance. */
#include "config.h"

#include "base/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>
#include <xxhash.h>

struct hasher {
    XXH3_state_t *st;
};

struct hasher *hasher_new(void)
{
    struct hasher *h = xcalloc(1, sizeof *h);
    h->st = XXH3_createState();
    XXH3_128bits_reset(h->st);
    return h;
}

void hasher_bytes(struct hasher *h, const void *p, size_t n)
{
    XXH3_128bits_update(h->st, p, n);
}

void hasher_u64(struct hasher *h, uint64_t x)
{
    unsigned char b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(x >> (8 * i));
    hasher_bytes(h, b, sizeof b);
}

void hasher_f64(struct hasher *h, double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    hasher_u64(h, x == 0 ? 0 : u);
}

void hasher_str(struct hasher *h, const char *s)
{
    size_t n = strlen(s);
    hasher_u64(h, n);
    hasher_bytes(h, s, n);
}

struct hash128 hasher_end(struct hasher *h)
{
    XXH128_hash_t x = XXH3_128bits_digest(h->st);
    XXH3_freeState(h->st);
    free(h);
    return (struct hash128) { x.high64, x.low64 };
}

struct hash128 hash_bytes(const void *p, size_t n)
{
    XXH128_hash_t x = XXH3_128bits(p, n);
    return (struct hash128) { x.high64, x.low64 };
}

uint64_t hash_str64(const char *s)
{
    return XXH3_64bits(s, strlen(s));
}

void hash_hex(struct hash128 h, char out[33])
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)h.hi,
             (unsigned long long)h.lo);
}

static void sha_end(struct sha256_ctx *c, char out[65])
{
    uint8_t d[SHA256_DIGEST_SIZE];
    sha256_digest(c, sizeof d, d);
    for (size_t i = 0; i < sizeof d; i++)
        snprintf(out + 2 * i, 3, "%02x", d[i]);
}

void sha256_hex(const void *p, size_t n, char out[65])
{
    struct sha256_ctx c;
    sha256_init(&c);
    sha256_update(&c, n, p);
    sha_end(&c, out);
}

mohs_status sha256_file(const char *path, char out[65], struct mohs_error *err)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_errno(err, "%s", path);
    struct sha256_ctx c;
    sha256_init(&c);
    static _Thread_local uint8_t buf[1 << 16];
    size_t n;
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        sha256_update(&c, n, buf);
    bool bad = ferror(f);
    fclose(f);
    if (bad)
        return err_errno(err, "%s", path);
    sha_end(&c, out);
    return MOHS_OK;
}
