/* SPDX-License-Identifier: MIT */
/* Frames in a file, two places each. */
#include "config.h"

#include "eval/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 8192, TALLY_AT = 2 * HEADER_BYTES, DATA_AT = 4 * HEADER_BYTES,
       BLOCK_BYTES = 16384, NAME_BYTES = 32, ALIGN = 64 };

/* Writing may take this share of the time, after this many seconds: where
 * steps are quicker than their state is written, only every few are kept. */
static const double SHARE = 0.05, GRACE_S = 0.25;

/* ---- on disk, in the byte order of the machine ---- */

struct disk_frame {
    char name[NAME_BYTES];
    uint64_t at, place_bytes, sum;
    uint32_t place, n_parts;
    uint32_t nth, inner; /* of the outer frame's inner ones; inner ones so far */
    uint64_t bytes[MOHS_STATE_PARTS];
    uint32_t row_bytes[MOHS_STATE_PARTS];
};

struct header {
    char magic[8];
    struct hash128 tag;
    uint64_t seq;
    uint32_t depth, unused;
    struct disk_frame frame[MOHS_STATE_FRAMES];
    uint64_t sum; /* of all before */
};
_Static_assert(sizeof(struct header) <= HEADER_BYTES, "header");

static const char magic[8] = "MOHSAST1";

/* ---- in memory ---- */

struct part {
    uint8_t *data;
    size_t bytes, block; /* blocks: rows, or BLOCK_BYTES */
    uint64_t at;         /* within a place */
    uint32_t first, n;   /* blocks */
    bool rows;
};

/* Sums are never 0: 0 in `now` is to be summed again, 0 in `in` unknown. */
struct frame {
    struct disk_frame disk;
    struct part part[MOHS_STATE_PARTS];
    uint32_t n_blocks;
    uint64_t *now, *in[2];
    uint32_t inner; /* disk.inner, and those since */
    bool written, dirty;
};

struct state {
    char *path;
    int fd;
    struct hash128 tag;
    uint64_t seq, tally;
    struct frame frame[MOHS_STATE_FRAMES];
    uint32_t depth;
    uint32_t disk_depth; /* of the last header */
    struct header load;  /* depth 0: nothing to resume */
    uint8_t *image[MOHS_STATE_FRAMES];
    double opened, cost;
    bool broken;
};

static uint64_t sum_of(const void *p, size_t n)
{
    return hash_bytes(p, n).lo | 1;
}

static uint64_t header_sum(const struct header *h)
{
    return sum_of(h, offsetof(struct header, sum));
}

static uint64_t aligned(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* ---- layout ---- */

/* Parts one behind the other; false when the numbers make no sense. */
static bool lay_out(struct frame *f)
{
    uint64_t at = 0;
    f->n_blocks = 0;
    for (uint32_t i = 0; i < f->disk.n_parts; i++) {
        struct part *p = &f->part[i];
        p->bytes = f->disk.bytes[i];
        p->rows = f->disk.row_bytes[i] > 0;
        p->block = p->rows ? f->disk.row_bytes[i] : BLOCK_BYTES;
        if (p->bytes > (uint64_t)1 << 44 || p->bytes / p->block > 1 << 24 ||
            (p->rows && p->bytes % p->block))
            return false;
        p->at = at;
        p->first = f->n_blocks;
        p->n = (uint32_t)((p->bytes + p->block - 1) / p->block);
        f->n_blocks += p->n;
        at = aligned(at + p->bytes, ALIGN);
    }
    f->disk.place_bytes = aligned(at, HEADER_BYTES);
    return true;
}

static size_t block_bytes(const struct part *p, uint32_t b)
{
    size_t at = (size_t)b * p->block;
    return p->bytes - at < p->block ? p->bytes - at : p->block;
}

static void sums_alloc(struct frame *f)
{
    f->now = xcalloc((size_t)f->n_blocks + 1, sizeof *f->now);
    f->in[0] = xcalloc((size_t)f->n_blocks + 1, sizeof *f->in[0]);
    f->in[1] = xcalloc((size_t)f->n_blocks + 1, sizeof *f->in[1]);
}

static void frame_drop(struct frame *f)
{
    free(f->now);
    free(f->in[0]);
    free(f->in[1]);
    memset(f, 0, sizeof *f);
}

static void sum_blocks(struct frame *f)
{
    for (uint32_t i = 0; i < f->disk.n_parts; i++) {
        const struct part *p = &f->part[i];
        for (uint32_t b = 0; b < p->n; b++)
            if (!f->now[p->first + b])
                f->now[p->first + b] =
                    sum_of(p->data + (size_t)b * p->block, block_bytes(p, b));
    }
    f->disk.sum = sum_of(f->now, f->n_blocks * sizeof *f->now);
}

/* ---- reading ---- */

static bool read_all(int fd, void *to, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = pread(fd, (char *)to + done, n - done, (off_t)(at + done));
        if (r <= 0)
            return false;
        done += (size_t)r;
    }
    return true;
}

/* Frame k of header h, checked, as an image of its place; NULL. */
static uint8_t *frame_image(const struct state *s, const struct header *h, uint32_t k,
                            uint64_t file_bytes)
{
    struct frame f = { .disk = h->frame[k] };
    uint64_t bytes = f.disk.place_bytes;
    if (f.disk.n_parts > MOHS_STATE_PARTS || f.disk.place > 1 || !lay_out(&f) ||
        bytes != f.disk.place_bytes || f.disk.at > file_bytes ||
        bytes > file_bytes + HEADER_BYTES) // the last place is not padded
        return NULL;
    uint8_t *image = try_calloc(bytes + 1, 1, "state", NULL);
    if (!image)
        return NULL;
    size_t used = 0;
    for (uint32_t i = 0; i < f.disk.n_parts; i++) {
        f.part[i].data = image + f.part[i].at;
        used = f.part[i].at + f.part[i].bytes;
    }
    sums_alloc(&f);
    bool fine = read_all(s->fd, image, used, f.disk.at + f.disk.place * bytes);
    if (fine)
        sum_blocks(&f);
    fine = fine && f.disk.sum == h->frame[k].sum;
    frame_drop(&f);
    if (!fine) {
        free(image);
        return NULL;
    }
    return image;
}

static void images_drop(struct state *s)
{
    for (int k = 0; k < MOHS_STATE_FRAMES; k++) {
        free(s->image[k]);
        s->image[k] = NULL;
    }
}

static bool load_header(struct state *s, const struct header *h, uint64_t file_bytes)
{
    if (memcmp(h->magic, magic, sizeof magic) || h->sum != header_sum(h) ||
        h->tag.hi != s->tag.hi || h->tag.lo != s->tag.lo ||
        h->depth > MOHS_STATE_FRAMES)
        return false;
    for (uint32_t k = 0; k < h->depth; k++) {
        s->image[k] = frame_image(s, h, k, file_bytes);
        if (!s->image[k]) {
            images_drop(s);
            return false;
        }
    }
    s->load = *h;
    s->disk_depth = h->depth;
    s->seq = h->seq;
    return true;
}

static void load(struct state *s)
{
    struct header h[2];
    struct stat sb;
    memset(h, 0, sizeof h);
    if (fstat(s->fd, &sb) || sb.st_size < TALLY_AT + (off_t)sizeof s->tally)
        return;
    for (uint64_t i = 0; i < 2; i++)
        if (!read_all(s->fd, &h[i], sizeof h[i], i * HEADER_BYTES))
            return;
    uint64_t bytes = (uint64_t)sb.st_size;
    int newer = h[1].seq > h[0].seq;
    if (!load_header(s, &h[newer], bytes) && !load_header(s, &h[!newer], bytes))
        return;
    if (!read_all(s->fd, &s->tally, sizeof s->tally, TALLY_AT))
        s->tally = 0;
}

struct state *state_open(const char *path, struct hash128 tag)
{
    struct state *s = xcalloc(1, sizeof *s);
    s->path = xstrdup(path);
    s->tag = tag;
    s->opened = now_s();
    s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->fd < 0) {
        log_warn("%s: %s; a killed attack will start anew", path, strerror(errno));
        state_close(s, false);
        return NULL;
    }
    if (flock(s->fd, LOCK_EX | LOCK_NB)) {
        log_debug("%s: in use", path);
        state_close(s, false);
        return NULL;
    }
    load(s);
    return s;
}

void state_close(struct state *s, bool done)
{
    if (!s)
        return;
    while (s->depth)
        frame_drop(&s->frame[--s->depth]);
    images_drop(s);
    if (done && s->fd >= 0)
        unlink(s->path);
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    free(s);
}

/* ---- writing ---- */

static bool write_all(struct state *s, const void *from, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n && !s->broken;) {
        ssize_t w = pwrite(s->fd, (const char *)from + done, n - done,
                           (off_t)(at + done));
        if (w > 0) {
            done += (size_t)w;
        } else if (w == 0 || errno != EINTR) {
            log_warn("%s: %s; a killed attack will start anew", s->path,
                     w ? strerror(errno) : "nothing written");
            s->broken = true;
        }
    }
    return !s->broken;
}

/* Neighbouring blocks that the place lacks go in one write. */
static bool write_part(struct state *s, const struct frame *f, const struct part *p,
                       uint32_t place)
{
    const uint64_t *now = f->now + p->first;
    uint64_t *in = f->in[place] + p->first;
    uint64_t at = f->disk.at + place * f->disk.place_bytes + p->at;
    for (uint32_t b = 0; b < p->n; b++) {
        uint32_t end = b;
        while (end < p->n && in[end] != now[end])
            end++;
        if (end == b)
            continue;
        size_t from = (size_t)b * p->block;
        size_t to = (size_t)(end - 1) * p->block + block_bytes(p, end - 1);
        if (!write_all(s, p->data + from, to - from, at + from))
            return false;
        for (; b < end; b++)
            in[b] = now[b];
    }
    return true;
}

static bool write_frame(struct state *s, struct frame *f)
{
    uint32_t place = f->written ? !f->disk.place : 0;
    sum_blocks(f);
    for (uint32_t i = 0; i < f->disk.n_parts; i++)
        if (!write_part(s, f, &f->part[i], place))
            return false;
    f->disk.place = place;
    f->written = true;
    f->dirty = false;
    return true;
}

static bool write_header(struct state *s, uint32_t depth)
{
    struct header h;
    memset(&h, 0, sizeof h);
    memcpy(h.magic, magic, sizeof magic);
    h.tag = s->tag;
    h.seq = ++s->seq;
    h.depth = depth;
    for (uint32_t k = 0; k < depth; k++)
        h.frame[k] = s->frame[k].disk;
    h.sum = header_sum(&h);
    s->disk_depth = depth;
    return write_all(s, &h, sizeof h, (h.seq & 1) * HEADER_BYTES);
}

/* Frame 0 is small and of no rows: all of it may have changed. */
static void stale(struct frame *f, uint32_t n, const uint32_t *sample)
{
    f->dirty = true;
    for (uint32_t i = 0; i < f->disk.n_parts; i++) {
        const struct part *p = &f->part[i];
        if (!p->rows || !sample) {
            memset(f->now + p->first, 0, p->n * sizeof *f->now);
            continue;
        }
        for (uint32_t j = 0; j < n; j++)
            if (sample[j] < p->n)
                f->now[p->first + sample[j]] = 0;
    }
}

static void save(struct state *s)
{
    double t0 = now_s();
    if (s->broken || s->cost > SHARE * (t0 - s->opened) + GRACE_S)
        return;
    stale(&s->frame[0], 0, NULL);
    for (uint32_t k = 0; k < s->depth && !s->broken; k++) {
        struct frame *f = &s->frame[k];
        // where a new frame goes, the last header may see an older one
        if (!f->written && s->disk_depth > k && !write_header(s, k))
            return;
        if ((f->dirty || !f->written) && !write_frame(s, f))
            return;
    }
    write_header(s, s->depth);
    s->cost += now_s() - t0;
}

/* ---- what attacks call ---- */

static bool same_shape(const struct disk_frame *a, const struct disk_frame *b)
{
    return !memcmp(a->name, b->name, sizeof a->name) && a->n_parts == b->n_parts &&
           a->at == b->at && !memcmp(a->bytes, b->bytes, sizeof a->bytes) &&
           !memcmp(a->row_bytes, b->row_bytes, sizeof a->row_bytes);
}

static mohs_status frame_open(struct frame *f, const char *name, uint64_t at,
                              const struct mohs_state_part *part, uint32_t n,
                              struct mohs_error *err)
{
    memset(f, 0, sizeof *f);
    snprintf(f->disk.name, sizeof f->disk.name, "%s", name);
    f->disk.at = at;
    f->disk.n_parts = n;
    for (uint32_t i = 0; i < n; i++) {
        f->disk.bytes[i] = part[i].bytes;
        f->disk.row_bytes[i] = (uint32_t)part[i].row_bytes;
        f->part[i].data = part[i].data;
        if (part[i].row_bytes > UINT32_MAX)
            return mohs_fail(err, MOHS_E_PLUGIN, "state: %s: rows of %zu bytes", name,
                             part[i].row_bytes);
    }
    if (!lay_out(f))
        return mohs_fail(err, MOHS_E_PLUGIN, "state: %s: parts that are no whole rows",
                         name);
    return MOHS_OK;
}

/* Fills frame k from the image of its place. */
static void fill(struct state *s, uint32_t k)
{
    struct frame *f = &s->frame[k];
    for (uint32_t i = 0; i < f->disk.n_parts; i++)
        memcpy(f->part[i].data, s->image[k] + f->part[i].at, f->part[i].bytes);
    f->disk.place = s->load.frame[k].place;
    f->inner = f->disk.inner = s->load.frame[k].inner;
    f->written = true;
    sum_blocks(f);
    memcpy(f->in[f->disk.place], f->now, f->n_blocks * sizeof *f->now);
    free(s->image[k]);
    s->image[k] = NULL;
}

int32_t state_enter(struct state *s, const char *name,
                    const struct mohs_state_part *part, uint32_t n,
                    struct mohs_error *err)
{
    uint32_t k = s->depth;
    if (k == MOHS_STATE_FRAMES || n > MOHS_STATE_PARTS)
        return mohs_fail(err, MOHS_E_PLUGIN, "state: %s: frame %u of %u parts", name, k,
                         n);
    struct frame *f = &s->frame[k], *outer = k ? f - 1 : NULL;
    uint64_t at = outer ? outer->disk.at + 2 * outer->disk.place_bytes : DATA_AT;
    RET_IF_ERR(frame_open(f, name, at, part, n, err));
    f->disk.nth = outer ? outer->inner++ : 0;
    // the work before an inner frame without a counter of its own is done
    // again, and the frame is not there yet
    bool resume = k < s->load.depth && f->disk.nth == s->load.frame[k].nth;
    if (resume && !same_shape(&f->disk, &s->load.frame[k])) {
        if (k)
            return mohs_fail(err, MOHS_E_PLUGIN,
                             "state: frame %s where %.31s was kept: the attack does not "
                             "do the same again", name, s->load.frame[k].name);
        s->load.depth = 0;
        resume = false;
    }
    if (!resume && outer) { // the outer frames are as they will be found
        outer->disk.inner = k > 1 ? f->disk.nth : 0;
        stale(outer, 0, NULL);
        save(s);
    }
    sums_alloc(f);
    s->depth++;
    if (resume) {
        fill(s, k);
        return 1;
    }
    s->load.depth = 0;
    f->dirty = true;
    return 0;
}

void state_leave(struct state *s)
{
    if (!s->depth)
        return;
    frame_drop(&s->frame[--s->depth]);
    if (s->depth < s->load.depth)
        s->load.depth = 0;
}

mohs_status state_point(struct state *s, uint32_t n, const uint32_t *sample,
                        struct mohs_error *err)
{
    if (!s->depth)
        return mohs_fail(err, MOHS_E_PLUGIN, "state: a point outside of any frame");
    struct frame *f = &s->frame[s->depth - 1];
    f->disk.inner = s->depth > 1 ? f->inner : 0; // the host's begins again
    stale(f, n, sample);
    save(s);
    return MOHS_OK;
}

uint64_t state_tally(const struct state *s)
{
    return s->tally;
}

void state_tally_set(struct state *s, uint64_t n)
{
    s->tally = n;
    write_all(s, &s->tally, sizeof s->tally, TALLY_AT);
}

double state_cost_s(const struct state *s)
{
    return s->cost;
}
