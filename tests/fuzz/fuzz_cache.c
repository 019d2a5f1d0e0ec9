/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any bytes as a shard file. With -fsanitize=fuzzer and
 * MOHS_LIBFUZZER it is a libFuzzer target; otherwise its main() replays the
 * files named on the command line, or mutations of a good shard made from a
 * fixed seed.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mohs/rng.h>

#include "cache/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct reading {
    int fd;
    struct frame_codec *codec;
    uint64_t rows;
};

static void read_frame(void *user, const struct frame *f,
                       const struct hash128 *key)
{
    struct reading *r = user;
    if (f->raw > 1 << 24 || !key)
        return;
    uint8_t *packed = malloc((size_t)f->packed);
    float *row = malloc((size_t)f->raw);
    struct mohs_error e = MOHS_ERROR_INIT;
    if (packed && row &&
        shard_pread(r->fd, packed, (size_t)f->packed, frame_payload_at(f)) &&
        frame_decode(r->codec, f, packed, row, &e) >= 0)
        r->rows += f->n_rows;
    free(packed);
    free(row);
}

static uint64_t shard_read(const uint8_t *data, size_t n)
{
    FILE *f = tmpfile();
    if (!f)
        return 0;
    struct reading r = { fileno(f), frame_codec_new(), 0 };
    struct shard_scan scan;
    struct mohs_error e = MOHS_ERROR_INIT;
    if (fwrite(data, 1, n, f) == n && !fflush(f))
        (void)shard_scan(r.fd, read_frame, &r, &scan, &e);
    frame_codec_free(r.codec);
    fclose(f);
    return r.rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    shard_read(data, n);
    return 0;
}

#ifndef MOHS_LIBFUZZER
enum { ROWS = 5, DIM = 16, FRAMES = 4, MUTATIONS = 400 };

static struct str good_shard(void)
{
    struct str b = { 0 };
    uint8_t head[FRAME_HEAD];
    struct frame_codec *c = frame_codec_new();
    frame_shard_header(head);
    str_addn(&b, (const char *)head, sizeof head);
    for (uint32_t k = 0; k < FRAMES; k++) {
        float row[ROWS * DIM];
        struct hash128 key[ROWS];
        for (uint32_t i = 0; i < ROWS * DIM; i++)
            row[i] = mohs_rng_normal(1, k, i);
        for (uint32_t i = 0; i < ROWS; i++)
            key[i] = (struct hash128) { k, i };
        if (frame_encode(c, key, row, ROWS, DIM, &b, NULL) < 0)
            abort();
    }
    frame_codec_free(c);
    return b;
}

/* Flips, overwrites and cuts; a third of the frame heads get their checksum
 * back, so that the checks behind it are reached. */
static size_t mutate(uint8_t *p, size_t n, uint64_t seed)
{
    uint32_t edits = 1 + mohs_rng_below(seed, 0, 0, 6);
    for (uint32_t i = 1; i <= edits; i++) {
        uint32_t at = mohs_rng_below(seed, i, 0, (uint32_t)n);
        uint32_t v = mohs_rng_u32(seed, i, 1);
        if (v & 1)
            p[at] ^= (uint8_t)(1u << (v >> 8 & 7));
        else
            p[at] = (uint8_t)(v >> 8);
    }
    for (size_t at = FRAME_HEAD; seed % 3 == 0 && at + FRAME_HEAD <= n;
         at += FRAME_ALIGN) {
        if (memcmp(p + at, "MOHF", 4))
            continue;
        uint64_t sum = hash_bytes(p + at, 56).lo;
        for (int k = 0; k < 8; k++)
            p[at + 56 + (size_t)k] = (uint8_t)(sum >> 8 * k);
    }
    return seed % 5 ? n : mohs_rng_below(seed, 99, 0, (uint32_t)n);
}

int main(int argc, char **argv)
{
    struct str good = good_shard();
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        char *data;
        size_t n;
        if (file_read(argv[i], 1 << 26, &data, &n, NULL) < 0)
            continue;
        LLVMFuzzerTestOneInput((const uint8_t *)data, n);
        free(data);
    }
    if (shard_read((const uint8_t *)good.s, good.n) != ROWS * FRAMES)
        bad = 1;
    uint8_t *p = xmalloc(good.n);
    for (uint64_t seed = 0; seed < MUTATIONS; seed++) {
        memcpy(p, good.s, good.n);
        size_t n = mutate(p, good.n, seed);
        if (shard_read(p, n) > ROWS * FRAMES)
            bad = 1;
    }
    free(p);
    str_free(&good);
    return bad;
}
#endif
