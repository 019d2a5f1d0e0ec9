/* SPDX-License-Identifier: MIT */
/* The user's own ice: PNG and JPEG files, and folders of them in name order. */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include <png.h>

#include "frost.h"

enum { SIDE_MAX = 16384 };

void ice_free(struct ice *ice)
{
    for (uint32_t i = 0; ice && i < ice->n; i++)
        free(ice->texture[i].rgb);
    free(ice);
}

static mohs_status check_size(const char *path, uint32_t w, uint32_t h,
                              struct mohs_error *err)
{
    if (w >= 1 && h >= 1 && w <= SIDE_MAX && h <= SIDE_MAX)
        return MOHS_OK;
    return mohs_fail(err, MOHS_E_FORMAT,
                     "frost: %s: %u x %u pixels, at most %d a side", path, w, h,
                     SIDE_MAX);
}

static mohs_status read_png(const char *path, struct texture *t,
                            struct mohs_error *err)
{
    png_image im = { .version = PNG_IMAGE_VERSION };
    mohs_status st = MOHS_OK;
    if (!png_image_begin_read_from_file(&im, path))
        return mohs_fail(err, MOHS_E_FORMAT, "frost: %s: %s", path, im.message);
    st = check_size(path, im.width, im.height, err);
    im.format = PNG_FORMAT_RGBA; // alpha is dropped, as OpenCV does
    uint8_t *rgba = st < 0 ? NULL : malloc(PNG_IMAGE_SIZE(im));
    t->rgb = st < 0 ? NULL : malloc((size_t)im.width * im.height * 3);
    if (st >= 0 && (!rgba || !t->rgb))
        st = mohs_fail(err, MOHS_E_NOMEM, "frost: %s: no memory", path);
    if (st >= 0 && !png_image_finish_read(&im, NULL, rgba, 0, NULL))
        st = mohs_fail(err, MOHS_E_FORMAT, "frost: %s: %s", path, im.message);
    for (size_t i = 0; st >= 0 && i < (size_t)im.width * im.height; i++)
        memcpy(t->rgb + 3 * i, rgba + 4 * i, 3);
    t->width = im.width;
    t->height = im.height;
    png_image_free(&im);
    free(rgba);
    return st;
}

static mohs_status decode_jpeg(FILE *f, const char *path,
                               struct jpeg_decompress_struct *d,
                               struct texture *t, struct mohs_error *err)
{
    jpeg_create_decompress(d);
    jpeg_stdio_src(d, f);
    jpeg_read_header(d, TRUE);
    mohs_status st = check_size(path, d->image_width, d->image_height, err);
    if (st < 0)
        return st;
    d->out_color_space = JCS_RGB;
    jpeg_start_decompress(d);
    t->width = d->output_width;
    t->height = d->output_height;
    t->rgb = malloc((size_t)t->width * t->height * 3);
    if (!t->rgb)
        return mohs_fail(err, MOHS_E_NOMEM, "frost: %s: no memory", path);
    while (d->output_scanline < d->output_height) {
        JSAMPROW row = t->rgb + (size_t)d->output_scanline * t->width * 3;
        jpeg_read_scanlines(d, &row, 1);
    }
    jpeg_finish_decompress(d);
    return MOHS_OK;
}

static mohs_status read_jpeg(const char *path, struct texture *t,
                             struct mohs_error *err)
{
    struct jpeg_decompress_struct d;
    struct jpeg_trap trap;
    mohs_status st;
    FILE *f = fopen(path, "rb");
    if (!f)
        return mohs_fail(err, MOHS_E_IO, "frost: %s: %s", path,
                         strerror(errno));
    memset(&d, 0, sizeof d);
    d.err = jpeg_trap_init(&trap);
    if (setjmp(trap.out))
        st = mohs_fail(err, MOHS_E_FORMAT, "frost: %s: %s", path, trap.text);
    else
        st = decode_jpeg(f, path, &d, t, err);
    jpeg_destroy_decompress(&d);
    fclose(f);
    return st;
}

static int ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    if (n < k)
        return 0;
    for (size_t i = 0; i < k; i++)
        if (tolower((unsigned char)name[n - k + i]) != end[i])
            return 0;
    return 1;
}

static int is_texture(const struct dirent *e)
{
    return ends_in(e->d_name, ".png") || ends_in(e->d_name, ".jpg") ||
           ends_in(e->d_name, ".jpeg");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static mohs_status read_file(const char *path, struct ice *ice,
                             struct mohs_error *err)
{
    if (ice->n == TEXTURES_MAX)
        return mohs_fail(err, MOHS_E_ARG, "frost: more than %d frost_images",
                         TEXTURES_MAX);
    struct texture *t = &ice->texture[ice->n];
    mohs_status st = ends_in(path, ".png") ? read_png(path, t, err)
                                           : read_jpeg(path, t, err);
    if (st < 0) {
        free(t->rgb);
        t->rgb = NULL;
        return st;
    }
    ice->n++;
    return MOHS_OK;
}

static mohs_status read_dir(const char *dir, struct ice *ice,
                            struct mohs_error *err)
{
    struct dirent **e;
    int n = scandir(dir, &e, is_texture, by_name);
    mohs_status st = MOHS_OK;
    if (n < 0)
        return mohs_fail(err, MOHS_E_IO, "frost: %s: %s", dir, strerror(errno));
    if (!n)
        st = mohs_fail(err, MOHS_E_IO,
                       "frost: %s: no .png, .jpg or .jpeg files", dir);
    for (int i = 0; i < n; i++) {
        char path[4096];
        int n_path = snprintf(path, sizeof path, "%s/%s", dir, e[i]->d_name);
        if (st >= 0 && n_path >= (int)sizeof path)
            st = mohs_fail(err, MOHS_E_ARG,
                           "frost: a path in %.99s is too long", dir);
        if (st >= 0)
            st = read_file(path, ice, err);
        free(e[i]);
    }
    free(e);
    return st;
}

mohs_status ice_read(const char *paths, struct ice *ice, struct mohs_error *err)
{
    mohs_status st = MOHS_OK;
    while (*paths && st >= 0) {
        char path[4096];
        struct stat s;
        size_t n = strcspn(paths, ":");
        if (n >= sizeof path)
            return mohs_fail(err, MOHS_E_ARG,
                             "frost: a path of frost_images is too long");
        memcpy(path, paths, n);
        path[n] = 0;
        if (stat(path, &s))
            st = mohs_fail(err, MOHS_E_IO, "frost: %s: %s", path,
                           strerror(errno));
        else
            st = S_ISDIR(s.st_mode) ? read_dir(path, ice, err)
                                    : read_file(path, ice, err);
        paths += paths[n] ? n + 1 : n;
    }
    if (st >= 0 && !ice->n)
        st = mohs_fail(err, MOHS_E_ARG, "frost: frost_images names no file");
    // the scripts list six files and draw one of the first five
    ice->choice = ice->n == 6 ? 5 : ice->n;
    return st;
}
