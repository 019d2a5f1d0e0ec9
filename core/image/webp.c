/* SPDX-License-Identifier: MIT */
/*
 * WebP through libwebp's animation decoder, which Pillow uses for still
 * pictures too: the first frame on its canvas, alpha dropped.
 */
#include "config.h"

#include "image/codec.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

static unsigned orientation_of(const WebPAnimDecoder *dec)
{
    const WebPDemuxer *demux = WebPAnimDecoderGetDemuxer(dec);
    WebPChunkIterator it;
    unsigned o = 1;
    if (!WebPDemuxGetChunk(demux, "EXIF", 1, &it))
        return 1;
    const uint8_t *p = it.chunk.bytes;
    size_t n = it.chunk.size;
    // Some writers keep the prefix of JPEG's marker.
    if (n > 6 && !memcmp(p, "Exif\0\0", 6)) {
        p += 6;
        n -= 6;
    }
    o = exif_orientation(p, n);
    WebPDemuxReleaseChunkIterator(&it);
    return o;
}

static mohs_status read_frame(WebPAnimDecoder *dec, struct decoding *d,
                              struct mohs_error *err)
{
    uint8_t *rgba = NULL;
    int time = 0;
    if (!WebPAnimDecoderGetNext(dec, &rgba, &time))
        return mohs_fail(err, MOHS_E_FORMAT, "%s: damaged or truncated WebP",
                         d->name);
    size_t n = (size_t)d->out->width * d->out->height;
    for (size_t i = 0; i < n; i++)
        memcpy(d->out->rgb + 3 * i, rgba + 4 * i, 3);
    d->orientation = orientation_of(dec);
    return MOHS_OK;
}

/* The canvas size from the headers, so that the limit is checked before the
 * decoder allocates its canvases. */
mohs_status webp_decode(struct decoding *d, struct mohs_error *err)
{
    WebPData data = { d->data, d->n };
    WebPDemuxState state;
    WebPDemuxer *head = WebPDemuxPartial(&data, &state);
    uint32_t w = head ? WebPDemuxGetI(head, WEBP_FF_CANVAS_WIDTH) : 0;
    uint32_t h = head ? WebPDemuxGetI(head, WEBP_FF_CANVAS_HEIGHT) : 0;
    WebPDemuxDelete(head);
    if (!head || state < WEBP_DEMUX_DONE)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: damaged or truncated WebP",
                         d->name);
    RET_IF_ERR(image_alloc(d->out, w, h, d->name, err));
    WebPAnimDecoderOptions options;
    if (!WebPAnimDecoderOptionsInit(&options))
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "%s: libwebp differs from its headers", d->name);
    options.color_mode = MODE_RGBA;
    options.use_threads = 0;
    WebPAnimDecoder *dec = WebPAnimDecoderNew(&data, &options);
    if (!dec)
        return mohs_fail(err, MOHS_E_FORMAT, "%s: damaged WebP", d->name);
    mohs_status st = read_frame(dec, d, err);
    WebPAnimDecoderDelete(dec);
    return st;
}

void webp_version(struct str *out)
{
    int v = WebPGetDecoderVersion();
    str_addf(out, "libwebp %d.%d.%d", v >> 16, v >> 8 & 255, v & 255);
}
