/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints, tokenizers and preprocessing: everything between a model's
 * files and the tensors its graph takes. The model plugins themselves live
 * outside the core; registry.h finds them.
 */
#ifndef CORE_MODEL_H
#define CORE_MODEL_H

#include <mohs/ext/weights.h>
#include <mohs/model.h>

#include "base/base.h"
#include "image/image.h"

/* ---- checkpoints ------------------------------------------------------ */

/*
 * Opens a directory (config.json + model.safetensors [+ tokenizer.json or
 * vocab.json and merges.txt] [+ preprocessor_config.json]) or one
 * .safetensors file. A lone file takes what is missing from its directory
 * or, as mohs's own checkpoints do, from its __metadata__ keys "config",
 * "tokenizer" and "preprocessor" (JSON texts). Tensors are mapped, not
 * read. Every header is validated: overlaps, holes, duplicate names, sizes.
 */
mohs_status weights_open(const char *path, struct mohs_weights **out,
                         struct mohs_error *err);
/* An empty set with a configuration only (JSON texts; tokenizer and
 * preprocessor may be NULL), to be filled with weights_put. */
mohs_status weights_new(const char *config, const char *tokenizer,
                        const char *preprocessor, struct mohs_weights **out,
                        struct mohs_error *err);
/* Adds or replaces a tensor held in memory. */
mohs_status weights_put(struct mohs_weights *w, const char *name,
                        uint32_t n_dims, const uint32_t *dims,
                        const float *data, struct mohs_error *err);
void weights_close(struct mohs_weights *w);
/* Hash over all tensors and the configuration (cached). */
struct hash128 weights_hash(const struct mohs_weights *w);
const char *weights_path(const struct mohs_weights *w);
/* JSON text of a part, or NULL. Borrowed. */
const char *weights_config(const struct mohs_weights *w);
/* Another configuration than the file's, a JSON object. */
mohs_status weights_set_config(struct mohs_weights *w, const char *config,
                               struct mohs_error *err);
const char *weights_tokenizer(const struct mohs_weights *w);
const char *weights_preprocessor(const struct mohs_weights *w);
/* The object at the top of the configuration, or NULL. Borrowed. */
const struct json_t *weights_object(const struct mohs_weights *w, const char *key);
/* What the files are, for people. */
struct weights_summary {
    const char *format; /* "safetensors", "PyTorch", "TorchScript" or NULL */
    const char *config_from; /* files or metadata; NULL: no configuration */
    uint64_t files, tensors, numbers, bytes;
    char dtypes[96]; /* "F16 302, I64 1": how many tensors of which type */
};
void weights_summary(const struct mohs_weights *w, struct weights_summary *out);
/* Writes one self-contained safetensors file, atomically. f16: store
 * matrices as half. `meta`: further metadata pairs, NULL-terminated
 * key, value, key, value. */
mohs_status weights_save(const struct mohs_weights *w, const char *path,
                         bool f16, const char *const *meta,
                         struct mohs_error *err);
/* Value of a metadata key of the opened file, or NULL. */
const char *weights_meta(const struct mohs_weights *w, const char *key);
/* Whether a parameter is where its spec says, and its values: see fits and
 * read_param of mohs.weights/1. */
mohs_status weights_fits(const struct mohs_weights *w,
                         const struct mohs_weight_spec *spec,
                         struct mohs_error *err);
mohs_status weights_read_param(const struct mohs_weights *w,
                               const struct mohs_weight_spec *spec, float *out,
                               struct mohs_error *err);
/* Its values where they lie in the file, if they are floats in its order
 * there, else NULL: read them. weights_leave_param() gives the file's pages back
 * when they are not needed any more. */
const float *weights_view_param(const struct mohs_weights *w,
                                const struct mohs_weight_spec *spec);
void weights_leave_param(const struct mohs_weights *w,
                         const struct mohs_weight_spec *spec);
extern const struct mohs_weights_api weights_api;

/* ---- tokenizers -------------------------------------------------------- */

struct tokenizer;
/* From the weights' tokenizer parts (a tokenizer.json text, or vocab.json +
 * merges.txt beside the file). */
mohs_status tokenizer_open(const struct mohs_weights *w, struct tokenizer **out,
                           struct mohs_error *err);
/* From files: a tokenizer.json, a SentencePiece .model, a BERT vocab.txt, or a
 * directory holding any of them or vocab.json + merges.txt; in a directory,
 * tokenizer_config.json and open_clip_config.json say how texts are cleaned,
 * cut and padded. */
mohs_status tokenizer_load(const char *path, struct tokenizer **out,
                           struct mohs_error *err);
/* From the text of a tokenizer.json. */
mohs_status tokenizer_parse(const char *json, size_t n, const char *name,
                            struct tokenizer **out, struct mohs_error *err);
void tokenizer_free(struct tokenizer *t);
/* ids[0..context) with begin, end and padding. *last is the index of the last
 * token before the padding, so *last + 1 tokens are to be attended to; of a
 * BPE it is the first end token (a text may hold "<|endoftext|>" itself; CLIP
 * models look at the first). Texts too long are cut so that the end token stays. Any
 * bytes are accepted (invalid UTF-8 becomes U+FFFD as Python's decoder does);
 * more than 1 MiB of them is an error. [any thread] */
mohs_status tokenizer_encode(const struct tokenizer *t, const char *text,
                             size_t n, uint32_t context, int32_t *ids,
                             uint32_t *last, struct mohs_error *err);
/* Plain ids without begin, end, cut or padding; fresh array. */
mohs_status tokenizer_ids(const struct tokenizer *t, const char *text, size_t n,
                          int32_t **ids, size_t *count, struct mohs_error *err);
/* "BPE", "Unigram", "WordPiece", "SentencePiece"; whose way with texts it
 * follows ("transformers", "open_clip", "siglip", "sentencepiece"); and the
 * tokens of a text that its files name, or 0. Borrowed. */
const char *tokenizer_kind(const struct tokenizer *t);
const char *tokenizer_profile(const struct tokenizer *t);
uint32_t tokenizer_context(const struct tokenizer *t);
/* Number of ids: the largest plus one. */
uint32_t tokenizer_size(const struct tokenizer *t);
/* The text of one id, for reports: bytes decoded, the mark of a word's end
 * left out. Borrowed, "" when unknown. */
const char *tokenizer_text(const struct tokenizer *t, int32_t id);
/* Appends the text of ids, those of begin, end, padding and unknown ones left
 * out: bytes decoded, a space behind each word's end but the last. */
void tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
                      struct str *out);
/* Learns a byte-level BPE of at most `size` entries from texts (ties by
 * bytes, so the result is unique) and returns a tokenizer.json text. */
mohs_status tokenizer_train(const char *const *texts, size_t n, uint32_t size,
                            char **json, struct mohs_error *err);

/* ---- preprocessing ------------------------------------------------------ */

/* Where a window of a picture begins when what is left over is odd: rounded
 * down, or towards zero, or to the even of the two (and a picture that is too
 * small lies the smaller half further left). */
enum preprocess_crop { CROP_FLOOR, CROP_TRUNC, CROP_EVEN };

/* How a picture becomes the model's pixels: resized, then cropped about the
 * centre (what is missing has the fill colour), then
 * (pixel / 255 - mean) / std. From preprocessor_config.json as transformers'
 * image processors write it (CLIP, SigLIP, BLIP, ViT, DeiT, ConvNeXt, BiT) or
 * torchvision's ImageClassification presets; else from the model's
 * configuration, where open_clip has "preprocess_cfg" and timm
 * "pretrained_cfg"; else, assumed, the family's own, which the plugin knows,
 * or CLIP's. */
struct preprocess {
    char profile[32];           /* "pil": Pillow's pixels; "torchvision": those
                                   of its tensors of bytes, antialiased */
    uint32_t height, width;     /* result */
    uint32_t resize_shortest;   /* the shorter edge becomes this, or 0 */
    uint32_t resize_height, resize_width; /* squash to this, or 0; with
                                             resize_shortest 0 as well the
                                             picture is not resized */
    enum image_filter filter;
    bool center_crop;
    float mean[3], std[3];
    /* Not squashed: resize_height x resize_width is filled (1) or held (2)
     * by the picture in its own shape, both edges rounded to nearest. */
    uint32_t keep_shape;
    enum preprocess_crop crop;
    uint8_t fill[3];
    bool assumed; /* not in the hash */
};
mohs_status preprocess_from(const struct mohs_weights *w,
                            const struct mohs_model_info *info,
                            struct preprocess *out, struct mohs_error *err);
/* Resize and crop: 8-bit pixels, bit-identical to the reference. A picture
 * that does not come out as height x width (nothing crops it) is refused. */
mohs_status preprocess_pixels(const struct preprocess *p, const struct image *in,
                              struct image *out, struct mohs_error *err);
/* The same geometry for what lies over a picture of width x height pixels,
 * such as a depth map: pixel (x, y) of the result is pixel (x + *x0, y + *y0)
 * of the picture resized to *w x *h, which may be outside. */
void preprocess_window(const struct preprocess *p, uint32_t width,
                       uint32_t height, uint32_t *w, uint32_t *h, int32_t *x0,
                       int32_t *y0);
/* Stable hash of the profile and all its numbers. */
struct hash128 preprocess_hash(const struct preprocess *p);

#endif
