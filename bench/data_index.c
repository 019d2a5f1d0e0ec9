/* SPDX-License-Identifier: MIT */
/* Indexing a data set once: seconds and peak memory; bench/data_index.py makes
 * the sets and runs this. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/data.h"

static mohs_status read_set(const char *kind, const char *path, struct dataset **d,
                            struct mohs_error *err)
{
    if (!strcmp(kind, "coco"))
        return data_coco("images", path, 0, 0, d, err);
    if (!strcmp(kind, "karpathy"))
        return data_karpathy(&(struct karpathy_options) { .images = "images", .json = path,
                                                          .split = "train" }, d, err);
    if (!strcmp(kind, "csv"))
        return data_csv(&(struct csv_options) { .file = path, .header = true }, d, err);
    if (!strcmp(kind, "webdataset"))
        return data_webdataset(&(struct webdataset_options) { .dir = path }, d, err);
    if (!strcmp(kind, "folder"))
        return data_folder(path, 0, d, err);
    return mohs_fail(err, MOHS_E_ARG, "%s: no such kind", kind);
}

int main(int argc, char **argv)
{
    struct mohs_error err = MOHS_ERROR_INIT;
    struct dataset *d;
    if (argc != 3) {
        fprintf(stderr, "usage: data_index KIND PATH\n");
        return 2;
    }
    double t0 = now_s();
    if (read_set(argv[1], argv[2], &d, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%s: %zu images, %zu texts, %.2f s (%.2f s of CPU), peak %.0f MB\n", argv[1],
           d->n_images, d->n_texts, now_s() - t0, (double)clock() / CLOCKS_PER_SEC,
           (double)rss_peak_bytes() / 1e6);
    dataset_free(d);
    return 0;
}
