/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: any bytes as a picture, as RGB and as 16-bit grey; the golden
 * pictures are seeds, too. See fuzz_safetensors.c for how it runs.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz/replay.h"
#include "image/image.h"

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
int main(int argc, char **argv)
{
    int bad;
    if (replay_named(argc, argv, &bad))
        return bad;
    return replay_dir("golden/images") | replay_dir("fuzz/corpus/image");
}
#endif
