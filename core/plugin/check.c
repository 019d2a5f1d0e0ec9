/* SPDX-License-Identifier: MIT */
/*
 * `mohs plugin check`: children, time limits and verdicts. The plugin is
 * never loaded into this process, so whatever it does, there is an answer.
 */
#include "config.h"

#include "plugin/check.h"
#include "plugin/plugin_impl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES = 1024, CRASHES_MAX = 3, TIMEOUT_S = 60 };

struct entry {
    char kind[64], id[64];
};

struct kit {
    const char *path, *device;
    bool json;
    struct entry *entry;
    size_t n_entries;
    size_t passed, failed;
};

/* ---- what a child says ---- */

/* One line: a letter and a text. S starts a check, P and F end it, I names
 * an item, D: all done. */
static void tell(int fd, char tag, const char *text)
{
    char line[LINE_BYTES];
    int n = snprintf(line, sizeof line - 1, "%c%.900s", tag, text);
    for (int i = 0; i < n; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    line[n] = '\n';
    for (ssize_t k, done = 0; done <= n; done += k) {
        k = write(fd, line + done, (size_t)(n + 1 - done));
        if (k <= 0)
            _exit(3);
    }
}

static void child_setup(void)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    // A plugin that prints must not spoil the verdicts.
    dup2(2, 1);
}

static struct registry *child_load(const struct kit *k, int fd)
{
    struct registry *r;
    struct mohs_error err = MOHS_ERROR_INIT;
    struct registry_options o = { .device = k->device,
                                  .extensions = check_extensions };
    tell(fd, 'S', "load");
    if (registry_open_file(&o, k->path, &r, &err) < 0) {
        tell(fd, 'F', err.text);
        _exit(0);
    }
    return r;
}

static void child_names(const struct kit *k, int fd)
{
    struct registry *r = child_load(k, fd);
    char line[400];
    const struct mohs_plugin *p = r->module[0]->plugin;
    for (size_t i = 0; i < r->n_items; i++) {
        snprintf(line, sizeof line, "%s %s", r->item[i].item->kind,
                 r->item[i].item->id);
        tell(fd, 'I', line);
    }
    for (size_t i = 0; p->items[i]; i++)
        if (kind_index(p->items[i]->kind) < 0) {
            snprintf(line, sizeof line, "item %s has unknown kind '%.64s'",
                     p->items[i]->id, p->items[i]->kind);
            tell(fd, 'F', line);
            _exit(0);
        }
    snprintf(line, sizeof line, "%s %.40s (%.40s), ABI %u.%u, %zu items", p->id,
             p->version, p->license, p->abi >> 16, p->abi & 0xffff, r->n_items);
    tell(fd, 'P', line);
    tell(fd, 'S', "exit");
    registry_close(r);
    tell(fd, 'P', "");
    tell(fd, 'D', "");
    _exit(0);
}

static const struct check *checks_of(const struct item *it)
{
    const struct mohs_corruption_ops *c = it->item->ops;
    switch (kind_index(it->item->kind)) {
    case 0: return model_checks;
    case 1:
        return c->flags & MOHS_CORRUPTION_TEXT ? text_checks
                                               : corruption_checks;
    case 2: return attack_checks;
    default: return metric_checks;
    }
}

/* Checks of item e from number `from` on. */
static void child_item(const struct kit *k, int fd, const struct entry *e,
                       size_t from)
{
    struct check_run c = { .registry = child_load(k, fd) };
    struct mohs_error err = MOHS_ERROR_INIT;
    c.host = registry_host(c.registry);
    if (registry_find(c.registry, e->kind, e->id, &c.it, &err) < 0) {
        tell(fd, 'F', err.text);
        _exit(0);
    }
    const struct check *check = checks_of(c.it);
    for (size_t i = from; check[i].name; i++) {
        tell(fd, 'S', check[i].name);
        c.detail[0] = 0;
        bool ok = check[i].run(&c);
        scratch_reset();
        tell(fd, ok ? 'P' : 'F', c.detail);
    }
    tell(fd, 'D', "");
    _exit(0);
}

/* ---- verdicts ---- */

static void verdict(struct kit *k, const char *item, const char *check, bool ok,
                    const char *detail)
{
    size_t n = k->passed + k->failed;
    struct str b = { 0 };
    if (k->json) {
        str_add(&b, n ? ",\n  {\"item\": " : "\n  {\"item\": ");
        str_add_json(&b, item);
        str_add(&b, ", \"check\": ");
        str_add_json(&b, check);
        str_addf(&b, ", \"ok\": %s, \"detail\": ", ok ? "true" : "false");
        str_add_json(&b, detail);
        str_add(&b, "}");
    } else {
        str_addf(&b, "%-4s  %s %s%s%s\n", ok ? "ok" : "FAIL", item, check,
                 *detail ? ": " : "", detail);
    }
    fwrite(b.s, 1, b.n, stdout);
    fflush(stdout);
    str_free(&b);
    k->passed += ok;
    k->failed += !ok;
}

/* How one child went: lines are taken from its pipe as they come. */
struct talk {
    struct kit *kit;
    const char *item;
    pid_t pid;
    int fd;
    char buffer[LINE_BYTES];
    size_t n;
    char check[64];  /* running, "" between checks */
    size_t finished; /* checks with a verdict, loading not counted */
    bool done;
    bool silent; /* a reload: its success is no news */
    bool broken; /* failed outside of a check: no use to go on */
};

static void take_line(struct talk *t, char *line)
{
    const char *text = line + 1;
    struct kit *k = t->kit;
    switch (*line) {
    case 'S': snprintf(t->check, sizeof t->check, "%s", text); break;
    case 'I':
        k->entry = xrealloc(k->entry, (k->n_entries + 1) * sizeof *k->entry);
        struct entry *e = &k->entry[k->n_entries++];
        size_t n = strcspn(text, " ");
        snprintf(e->kind, sizeof e->kind, "%.*s", (int)n, text);
        snprintf(e->id, sizeof e->id, "%s", text[n] ? text + n + 1 : "");
        break;
    case 'P':
    case 'F':
        t->broken = !t->check[0];
        verdict(k, t->item, t->broken ? "load" : t->check, *line == 'P', text);
        t->check[0] = 0;
        t->finished++;
        break;
    default: t->done = true; break;
    }
}

static void take_bytes(struct talk *t)
{
    char *end;
    t->buffer[t->n] = 0;
    while ((end = strchr(t->buffer, '\n'))) {
        *end = 0;
        // A load that went well was reported once already.
        if (!t->silent || strcmp(t->buffer, "Sload"))
            take_line(t, t->buffer);
        t->n -= (size_t)(end + 1 - t->buffer);
        memmove(t->buffer, end + 1, t->n + 1);
    }
    if (t->n == sizeof t->buffer - 1)
        t->n = 0; // not from us
}

static int timeout_s(void)
{
    const char *s = getenv("MOHS_CHECK_TIMEOUT");
    int64_t x;
    return s && str_to_i64(s, &x) && x > 0 && x <= 86400 ? (int)x : TIMEOUT_S;
}

/* Reads until the child closes its end. False: it went silent. */
static bool listen_to(struct talk *t)
{
    double deadline = now_s() + timeout_s();
    for (;;) {
        double left = deadline - now_s();
        struct pollfd p = { .fd = t->fd, .events = POLLIN };
        if (left <= 0 || interrupted)
            return false;
        int r = poll(&p, 1, left > 0.2 ? 200 : (int)(left * 1e3) + 1);
        if (r < 0 && errno != EINTR)
            return false;
        if (r <= 0)
            continue;
        ssize_t n = read(t->fd, t->buffer + t->n, sizeof t->buffer - 1 - t->n);
        if (n <= 0)
            return true;
        t->n += (size_t)n;
        take_bytes(t);
        deadline = now_s() + timeout_s();
    }
}

/* Starts fn in a child with a pipe. */
static mohs_status talk_start(struct talk *t, struct mohs_error *err,
                              const struct entry *e, size_t from)
{
    int fd[2];
    if (pipe(fd))
        return err_errno(err, "plugin check: pipe");
    fflush(stdout);
    fflush(stderr);
    t->pid = fork();
    if (t->pid < 0) {
        close(fd[0]);
        close(fd[1]);
        return err_errno(err, "plugin check: fork");
    }
    if (!t->pid) {
        close(fd[0]);
        child_setup();
        if (e)
            child_item(t->kit, fd[1], e, from);
        child_names(t->kit, fd[1]);
    }
    close(fd[1]);
    t->fd = fd[0];
    return MOHS_OK;
}

/* Ends the talk; a verdict for the check that did not come back. Returns
 * true when the child ended by itself and in order. */
static bool talk_end(struct talk *t, bool heard)
{
    char why[160];
    int status = 0;
    if (!heard)
        kill(t->pid, SIGKILL);
    while (waitpid(t->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close(t->fd);
    if (t->done || t->broken || interrupted)
        return t->done;
    // Loading failed in the first child, which said so.
    if (!t->silent && heard && !t->check[0])
        return false;
    if (!heard)
        snprintf(why, sizeof why, "no answer for %d s, killed", timeout_s());
    else if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(why, sizeof why, "the process ended with exit code %d",
                 WEXITSTATUS(status));
    t->broken = !t->check[0];
    verdict(t->kit, t->item, t->broken ? "load" : t->check, false, why);
    t->finished++;
    return false;
}

static mohs_status check_names(struct kit *k, struct mohs_error *err)
{
    struct talk t = { .kit = k, .item = "plugin" };
    RET_IF_ERR(talk_start(&t, err, NULL, 0));
    talk_end(&t, listen_to(&t));
    return MOHS_OK;
}

/* All checks of an item; a new child takes over behind a crash. */
static mohs_status check_item(struct kit *k, const struct entry *e,
                              struct mohs_error *err)
{
    size_t from = 0;
    for (int crashes = 0; crashes < CRASHES_MAX && !interrupted; crashes++) {
        struct talk t = { .kit = k, .item = e->id, .silent = true };
        RET_IF_ERR(talk_start(&t, err, e, from));
        bool heard = listen_to(&t);
        if (talk_end(&t, heard) || !heard || t.broken)
            break;
        from += t.finished;
    }
    return MOHS_OK;
}

static void print_end(const struct kit *k)
{
    if (k->json)
        printf("\n], \"passed\": %zu, \"failed\": %zu}\n", k->passed,
               k->failed);
    else
        printf("%zu passed, %zu failed\n", k->passed, k->failed);
}

mohs_status plugin_check(const char *path, const char *device, bool json,
                         struct mohs_error *err)
{
    struct kit k = { .path = path, .device = device, .json = json };
    if (access(path, R_OK))
        return err_errno(err, "%s", path);
    if (dir_exists(path))
        return mohs_fail(err, MOHS_E_IO, "%s: is a directory, not a plugin",
                         path);
    // dlopen() takes a bare name for a library of the system.
    char *real = realpath(path, NULL);
    if (!real)
        return err_errno(err, "%s", path);
    k.path = real;
    if (json) {
        struct str b = { 0 };
        str_add(&b, "{\"file\": ");
        str_add_json(&b, path);
        str_add(&b, ", \"checks\": [");
        fwrite(b.s, 1, b.n, stdout);
        str_free(&b);
    }
    mohs_status st = check_names(&k, err);
    for (size_t i = 0; i < k.n_entries && st >= 0 && !interrupted; i++)
        st = check_item(&k, &k.entry[i], err);
    free(k.entry);
    free(real);
    if (st < 0)
        return st;
    if (interrupted)
        return mohs_fail(err, MOHS_E_CANCELLED, "interrupted");
    print_end(&k);
    return k.failed
               ? mohs_fail(err, MOHS_E_PLUGIN, "%s: %zu of %zu checks failed",
                           path, k.failed, k.passed + k.failed)
               : MOHS_OK;
}
