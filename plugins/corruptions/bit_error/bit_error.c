/* SPDX-License-Identifier: MIT */
/*
 * Bit errors in a compressed picture. The 3D common corruptions damage an
 * H.264 stream (ffmpeg's noise filter: one byte in 100000, 50000, 30000,
 * 20000, 10000) and keep a frame; errors there add up until the next key
 * frame. A single picture has no such stream, so here:
 *
 * - the picture is one JPEG (`quality`, 4:2:0, standard tables) with a restart
 *   marker after every line of blocks, where a decoder finds its way again,
 *   as it does at the slices of H.264;
 * - every byte of the entropy-coded data gets one flipped bit with
 *   probability frames / 100000 and so on: the rates of the source, times
 *   `frames` because that many frames' bytes show in one;
 * - markers and headers stay whole, no bit makes a new marker, and libjpeg
 *   decodes on over the damage, so a picture always comes out: shifted
 *   colours, streaks and lost blocks to the end of a line of blocks, instead
 *   of H.264's smeared motion.
 *
 * Runs on the host: the codec is the definition. Other releases of libjpeg
 * may conceal errors otherwise.
 */
#include "config.h"

#include "../common/depth.h"

struct bit_params {
    struct corruption_params common; /* unused, but what the host fills */
    int32_t quality;
    float frames;
};

static mohs_status encode(const struct job *j, const uint8_t *rgb, int quality,
                          unsigned char **data, unsigned long *n)
{
    struct jpeg_compress_struct c;
    struct jpeg_trap t;
    memset(&c, 0, sizeof c);
    c.err = jpeg_trap_init(&t);
    if (setjmp(t.out)) {
        jpeg_destroy_compress(&c);
        return mohs_fail(j->err, MOHS_E_FORMAT, "bit_error: %s", t.text);
    }
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, data, n);
    c.image_width = j->width;
    c.image_height = j->height;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, quality, TRUE);
    c.restart_in_rows = 1;
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < j->height) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)c.next_scanline * j->row);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return MOHS_OK;
}

/* Where the entropy-coded data begins: behind the SOS segment. */
static unsigned long scan_start(const unsigned char *data, unsigned long n)
{
    unsigned long i = 2;
    while (i + 4 <= n && data[i] == 0xFF) {
        unsigned length = (unsigned)data[i + 2] << 8 | data[i + 3];
        int sos = data[i + 1] == 0xDA;
        i += 2 + length;
        if (sos)
            return i;
    }
    return n;
}

/* Bytes that are no part of a marker or of a stuffed 0xFF 0x00. */
static void damage(const struct job *j, uint64_t key, double rate,
                   unsigned char *data, unsigned long n)
{
    for (unsigned long i = scan_start(data, n), k = 0; i + 2 < n; i++) {
        if (data[i] == 0xFF) {
            i++;
            continue;
        }
        float u = mohs_rng_uniform(j->seed, key, 2 * k);
        uint32_t bit = mohs_rng_below(j->seed, key, 2 * k++ + 1, 8);
        if ((double)u >= rate)
            continue;
        unsigned char byte = data[i] ^ (unsigned char)(1u << bit);
        if (byte == 0xFF)
            byte = data[i] ^ (unsigned char)(1u << (bit + 1) % 8);
        data[i] = byte;
    }
}

static void picture(struct job *j, uint32_t i, uint8_t *out)
{
    static const double amount[] = { 1e5, 5e4, 3e4, 2e4, 1e4 };
    const struct bit_params *p = j->self->own;
    unsigned char *data = NULL;
    unsigned long n = 0;
    if (j->width > JPEG_MAX_DIMENSION || j->height > JPEG_MAX_DIMENSION) {
        job_fail(j, MOHS_E_ARG, "JPEG allows no side that long");
        return;
    }
    j->st = encode(j, j->rgb + (size_t)i * j->values, p->quality, &data,
                   &n);
    if (j->st >= 0) {
        damage(j, j->key[i], (double)p->frames / amount[j->level], data, n);
        j->st = jpeg_decode("bit_error", data, n, j->width, out, j->err);
    }
    free(data);
}

static mohs_status bit_open(struct corruption_self *s, const void *params,
                            struct mohs_error *err)
{
    return own_params(s, params, sizeof(struct bit_params), err);
}

static const struct corruption bit_error_corruption = {
    .id = "bit_error",
    .reference = picture,
    .open = bit_open,
    .close = free,
};
static const struct mohs_param bit_params[] = {
    { "quality", "of the JPEG that is damaged", MOHS_P_INT,
      offsetof(struct bit_params, quality), 85, 1, 100, NULL, NULL },
    { "frames", "how many frames' damage a picture shows", MOHS_P_FLOAT,
      offsetof(struct bit_params, frames), 12, 0, 10000, NULL, NULL },
};
CORRUPTION_ITEM_OF(bit_error, MOHS_CORRUPTION_STOCHASTIC,
                   "flipped bits in a compressed picture (3D common "
                   "corruptions)",
                   bit_params, struct bit_params);
CORRUPTION_PLUGIN("mohs.bit_error", "Bit error", &bit_error_item)
