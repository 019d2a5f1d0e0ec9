/* SPDX-License-Identifier: MIT */
/*
 * Data sets: image and caption items with stable ids, read from standard
 * formats, and the default data set, emoji-scenes.
 */
#ifndef CORE_DATA_H
#define CORE_DATA_H

#include "base/base.h"
#include "image/image.h"

struct data_image {
    const char *id;   /* stable: file name or JSON id as text */
    const char *path; /* absolute or relative to the working directory */
    uint64_t key;     /* hash_str64(id): names the random streams */
    uint32_t label;   /* class index, or UINT32_MAX */
    const char *depth_path; /* for data_depth(), or NULL */
    /* Where in the file at path the picture's own file lies: `bytes` from
     * `offset` on; bytes 0: all of it. With a data_source, offset is what the
     * source makes of it. Read through data_bytes(). */
    uint64_t offset, bytes;
};

struct data_text {
    const char *text;
    const char *id;
    uint64_t key;
    uint32_t image; /* owner index, UINT32_MAX for class prompts */
};

/* Pictures that are no range of a file, as in a compressed table. */
struct data_source {
    /* As data_bytes(). [any thread] */
    mohs_status (*read)(struct data_source *s, const struct data_image *im,
                        char **bytes, size_t *n, struct mohs_error *err);
    void (*close)(struct data_source *s);
};

/* Embeddings in place of pictures and texts; of a data set that has them, ids
 * are numbers, and image[i].path is NULL. */
struct data_embeddings {
    uint32_t dim;
    const char *model;   /* what results call the model they are of */
    bool classes;        /* texts are classes and images have labels */
    float *image, *text; /* n_images * dim, n_texts * dim, rows of length 1 */
    float logit_scale, logit_bias;
    struct hash128 hash; /* of the rows */
};

struct dataset {
    char *name, *split, *root;
    struct data_image *image;
    size_t n_images;
    struct data_text *text;
    size_t n_texts;
    const char **classes; /* class names in label order, or NULL */
    size_t n_classes;
    struct hash128 hash; /* over ids, texts, owners, labels */
    struct arena *arena; /* owns all strings and arrays */
    struct data_source *source; /* owned; NULL: pictures are in files */
    size_t cap_images, cap_texts;
    struct data_embeddings *embeddings; /* owned; NULL: encode */
    const char **class_ids;       /* folder names of the classes, or NULL */
    const uint32_t *class_parent; /* of each class: its index in the list of
                                     classes that names came from, or NULL */
    size_t n_parent;              /* classes in that list */
    const char **templates;       /* prompts that came with the set, or NULL */
    size_t n_templates;
    const char *corruption; /* what was done to the files, or NULL */
    uint32_t severity;      /* 1..5, of corruption */
    const char **factors;   /* names of what images were annotated with */
    size_t n_factors;
    uint8_t *factor; /* n_images * n_factors: 0, 1, or FACTOR_NONE for an
                        image that is left out; NULL without factors */
};
enum { FACTOR_NONE = 255 };

void dataset_free(struct dataset *d);

/* The file of picture i, still encoded, wherever it lies; malloc'ed, with a
 * NUL behind it. [any thread] */
mohs_status data_bytes(const struct dataset *d, size_t i, char **bytes, size_t *n,
                       struct mohs_error *err);
/* Picture i decoded; flags as image_decode() takes. [any thread] */
mohs_status data_picture(const struct dataset *d, size_t i, unsigned flags,
                         struct image *out, struct mohs_error *err);
/* How messages call picture i: its file, and its name in it. Fresh. */
char *data_picture_name(const struct dataset *d, size_t i);
/* COCO captions JSON (images[].file_name, annotations[].caption). images:
 * directory that file names are relative to. captions_per_image: 0 all,
 * else the first so many by annotation order. limit: 0 all, else the first
 * so many images. */
mohs_status data_coco(const char *images, const char *json,
                      uint32_t captions_per_image, size_t limit,
                      struct dataset **out, struct mohs_error *err);
/* Karpathy's splits (dataset_flickr30k.json, dataset_coco.json): captions are
 * sentences[].raw, files lie in images/filepath/filename, or in images/filename
 * when the first one does. Ids keep the filepath. */
struct karpathy_options {
    const char *images, *json;
    const char *split;           /* NULL: "test" */
    uint32_t captions_per_image; /* the first so many; 0: all */
    size_t limit;                /* images; 0: all */
};
mohs_status data_karpathy(const struct karpathy_options *o, struct dataset **out,
                          struct mohs_error *err);
/* A CSV or TSV file, a row a picture with its caption or label; rows of equal
 * picture are its captions. Columns by name, or by number from 1; without a
 * header picture and caption are columns 1 and 2. Labels are numbers, or names,
 * which become classes in byte order. Pictures are relative, without "..". */
struct csv_options {
    const char *file;
    const char *images; /* their folder; NULL: the file's */
    char separator;     /* 0: a tab if the first line has one, else a comma */
    bool header;        /* the first row names columns */
    bool no_quotes;     /* '"' is a character like others */
    const char *image;  /* NULL: filepath, file_name, image or path */
    const char *text;   /* NULL: title, caption or text; "": none */
    const char *label;  /* NULL: label or class, if there is one; "": none */
    uint32_t captions_per_image; /* 0: all */
    size_t limit;                /* images; 0: all */
};
mohs_status data_csv(const struct csv_options *o, struct dataset **out,
                     struct mohs_error *err);
/* Parquet files of Hugging Face's datasets package: a file, or all *.parquet of
 * a folder in byte order, those named SPLIT-... or SPLIT.parquet if split is
 * given. Pictures are bytes, or a struct with "bytes"; captions a text or a list
 * of texts; labels integers (-1: none) or texts. Ids are FILE/ROW, rows counted
 * over all files. */
struct parquet_options {
    const char *path;
    const char *split; /* NULL: all */
    const char *image; /* column; NULL: image, img, jpg, png, ... */
    const char *text;  /* NULL: caption, captions, text, sentences, ...; "": none */
    const char *label; /* NULL: label, labels, cls, fine_label; "": none */
    uint32_t captions_per_image; /* 0: all */
    size_t limit;                /* rows; 0: all */
};
mohs_status data_parquet(const struct parquet_options *o, struct dataset **out,
                         struct mohs_error *err);
/* webdataset archives: DIR/SPLIT/0.tar ... as many as DIR/SPLIT/nshards.txt
 * says, or all .tar files of DIR/SPLIT or DIR in byte order; with classnames.txt,
 * zeroshot_classification_templates.txt and dataset_type.txt in DIR as
 * CLIP-benchmark has them. A sample is a picture
 * (.webp, .png, .jpg, .jpeg; the first of these) with a label (.cls) or
 * captions (.txt, one a line, or "caption" in .json); every sample must have
 * what dataset_type.txt says or else what the first one has. Pictures are read
 * in place: archives must not be compressed. */
struct webdataset_options {
    const char *dir;             /* or one archive, by a name that ends in .tar */
    const char *split;           /* NULL: "test" */
    uint32_t captions_per_image; /* 0: all */
    size_t limit;                /* 0: all */
};
mohs_status data_webdataset(const struct webdataset_options *o,
                            struct dataset **out, struct mohs_error *err);
/*
 * An image folder: one subfolder per class, classes and files in byte order;
 * folders that are all named by numbers (ImageNet-V2) in the order of these.
 * Class names come from `classes` or else classnames.txt in the folder (see
 * class_list.h for what such a file may be), or else are the folder names. A
 * list with folder names, or one as long as the numbers reach, may name more
 * classes than there are folders (ImageNet-A, -R); other lists name each
 * folder. A file templates.txt or zeroshot_classification_templates.txt is
 * read with them.
 */
struct folder_options {
    const char *dir;
    size_t limit;        /* the first so many images of all; 0: all */
    size_t per_class;    /* the first so many images of a class; 0: all */
    const char *classes; /* file, or NULL */
    bool parent;         /* classes: all of the list, not only those here */
    bool unlabelled;     /* images are of none of the classes (out of
                            distribution); pictures may lie in dir itself */
    const char *corruption; /* what was done to the files; NULL: nothing */
    uint32_t severity;      /* 1..5, of corruption */
};
mohs_status data_folder_open(const struct folder_options *o, struct dataset **out,
                             struct mohs_error *err);
/* The same with nothing but a limit. */
mohs_status data_folder(const char *dir, size_t limit, struct dataset **out,
                        struct mohs_error *err);
/* Factors of the images from ImageNet-X's JSON lines: objects with
 * "file_name" and keys that are 0 or 1. A file name is an image's id or, if
 * that is unique, the last part of one. Images in the column file_name of
 * the CSV `prototypes` (may be NULL) or without a line are left out. Fails
 * when no image has a line. */
mohs_status dataset_factors(struct dataset *d, const char *jsonl,
                            const char *prototypes, struct mohs_error *err);
/* What ImageNet-C and the like hold: corruption/severity/class, or the same
 * one folder deeper. Entries in byte order; the arena owns them. */
struct corrupted_folder {
    const char *corruption, *dir;
    uint32_t severity;
};
mohs_status data_corrupted_folders(const char *dir, struct arena *a,
                                   struct corrupted_folder **out, size_t *n,
                                   struct mohs_error *err);
/* A depth map, malloc'ed: a grey PNG of 16 bits (millimetres; metres out) or
 * 8 (as it is), or an NPY array (as it is; see npy.h for its types). What
 * is not finite and above 0, as 0 for "not measured", is refused. */
mohs_status data_depth(const char *path, uint32_t *width, uint32_t *height,
                       float **out, struct mohs_error *err);
/* The map of picture `name` in a folder: name's ending becomes .npy or .png.
 * malloc'ed; NULL when there is none. */
char *data_depth_in(const char *dir, const char *name);
/* Gives every image the map of its name in `dir`, below the same folders or
 * beside each other. Fails when one is missing. */
mohs_status dataset_depth(struct dataset *d, const char *dir,
                          struct mohs_error *err);
/* What `mohs data check DIR` prints (stdout): captions files, tables, archives
 * and class folders in a directory. decode: how many pictures of each set are
 * tried, evenly over it. Fails when something is missing or damaged. */
mohs_status data_check(const char *dir, size_t decode, bool json,
                       struct mohs_error *err);

struct scenes_options {
    const char *out;            /* directory, made */
    uint64_t seed;              /* default 0 */
    uint32_t size_px;           /* 64 */
    uint32_t train, val, test;  /* images per split */
    uint32_t captions;          /* per image, >= 5 */
    const char *font, *cldr;    /* paths; NULL: the Debian packages' */
    bool force;                 /* replace emoji-scenes of other options;
                                   anything else is never replaced */
};
/* Renders emoji-scenes; identical bytes for identical options. Does nothing
 * when the same set is already there. */
mohs_status data_emoji_scenes(const struct scenes_options *o,
                              struct mohs_error *err);

#endif
