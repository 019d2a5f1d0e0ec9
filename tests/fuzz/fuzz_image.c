/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any bytes as a picture, as RGB and as 16-bit grey. With
 * -fsanitize=fuzzer and MOHS_LIBFUZZER it is a libFuzzer target; otherwise
 * its main() replays the corpus and the golden pictures, whole, cut and with
 * changes made from a fixed seed.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <mohs/rng.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mohs_error e = MOHS_ERROR_INIT;
    struct image im;
    uint16_t *depth = NULL;
    uint32_t w, h;
    if (image_decode(data, n, "fuzz", 0, &im, &e) >= 0) {
        // Touch the far corner: what is promised must be there.
        volatile uint8_t end = im.rgb[(size_t)im.width * im.height * 3 - 1];
        (void)end;
    } else if (!e.text[0] || im.rgb) {
        abort();
    }
    image_free(&im);
    if (image_decode_png16(data, n, "fuzz", &w, &h, &depth, &e) >= 0)
        free(depth);
    return 0;
}

#ifndef MOHS_LIBFUZZER
enum { CHANGES = 12 };

static void replay(const char *path)
{
    char *data;
    size_t n;
    if (file_read(path, 1 << 24, &data, &n, NULL) < 0)
        return;
    LLVMFuzzerTestOneInput((const uint8_t *)data, n);
    for (uint64_t k = 0; n && k < CHANGES; k++) {
        // A fresh block of the exact size lets ASan see the first byte past.
        size_t cut = k % 3 ? n : mohs_rng_below(k, n, 0, (uint32_t)n);
        uint8_t *p = xmalloc(cut ? cut : 1);
        memcpy(p, data, cut);
        for (uint32_t i = 0; cut && i <= k % 4; i++)
            p[mohs_rng_below(k, n, 2 * i + 1, (uint32_t)cut)] =
                (uint8_t)mohs_rng_u32(k, n, 2 * i + 2);
        LLVMFuzzerTestOneInput(p, cut);
        free(p);
    }
    free(data);
}

static size_t replay_dir(const char *dir)
{
    char **name;
    size_t n;
    if (dir_list(dir, &name, &n, NULL) < 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char *path = path_join(dir, name[i]);
        replay(path);
        free(path);
    }
    strv_free(name);
    return n;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    if (argc > 1)
        return 0;
    size_t n = replay_dir(SRCDIR "/tests/golden/images");
    n += replay_dir(SRCDIR "/tests/fuzz/corpus/image");
    return n ? 0 : 1;
}
#endif
