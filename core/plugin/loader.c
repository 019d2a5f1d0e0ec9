/* SPDX-License-Identifier: MIT */
/*
 * One shared object: from a path to a checked struct mohs_plugin. libltdl
 * binds lazily, calls every failure "file not found", and glibc maps a file
 * cut in the middle and then dies of SIGBUS. So, in this order: the ELF
 * headers are compared with the file's size, dlopen() binds everything now
 * and tells why not, and only then libltdl loads it.
 */
#include "config.h"

#include "plugin/plugin_impl.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <ltdl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static mohs_status too_short(uint64_t size, uint64_t need,
                             struct mohs_error *err)
{
    return mohs_fail(err, MOHS_E_FORMAT,
                     "file is truncated: %llu bytes, its headers promise %llu",
                     (unsigned long long)size, (unsigned long long)need);
}

static pthread_once_t ltdl_once = PTHREAD_ONCE_INIT;
static bool ltdl_ok;

static void ltdl_start(void)
{
    ltdl_ok = !lt_dlinit();
}

mohs_status loader_start(struct mohs_error *err)
{
    pthread_once(&ltdl_once, ltdl_start);
    return ltdl_ok ? MOHS_OK
                   : mohs_fail(err, MOHS_E_PLUGIN, "libltdl does not start: %s",
                               lt_dlerror());
}

/* Every segment and the section table must lie inside the file. */
static mohs_status elf_headers(int fd, uint64_t size, struct mohs_error *err)
{
    ElfW(Ehdr) h;
    if (size < sizeof h || pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h)
        return too_short(size, sizeof h, err);
    if (memcmp(h.e_ident, ELFMAG, SELFMAG))
        return mohs_fail(err, MOHS_E_FORMAT, "not a shared object");
    int class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    if (h.e_ident[EI_CLASS] != class)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "shared object of another word size");
    if (h.e_phentsize != sizeof(ElfW(Phdr)) || !h.e_phnum)
        return mohs_fail(err, MOHS_E_FORMAT,
                         "shared object without program headers");
    uint64_t end =
        (uint64_t)h.e_phoff + (uint64_t)h.e_phnum * sizeof(ElfW(Phdr));
    if (end > size || end < h.e_phoff)
        return too_short(size, end, err);
    for (unsigned i = 0; i < h.e_phnum; i++) {
        ElfW(Phdr) p;
        off_t at = (off_t)(h.e_phoff + i * sizeof p);
        if (pread(fd, &p, sizeof p, at) != (ssize_t)sizeof p)
            return err_errno(err, "cannot read program header %u", i);
        end = (uint64_t)p.p_offset + p.p_filesz;
        if (p.p_type != PT_NULL && (end > size || end < p.p_offset))
            return too_short(size, end, err);
    }
    end = (uint64_t)h.e_shoff + (uint64_t)h.e_shnum * h.e_shentsize;
    if (h.e_shoff && (end > size || end < h.e_shoff))
        return too_short(size, end, err);
    return MOHS_OK;
}

static mohs_status file_check(const char *path, struct mohs_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, "cannot open");
    struct stat s;
    mohs_status st;
    if (fstat(fd, &s))
        st = err_errno(err, "cannot stat");
    else if (!S_ISREG(s.st_mode))
        st = mohs_fail(err, MOHS_E_FORMAT, "not a regular file");
    else
        st = elf_headers(fd, (uint64_t)s.st_size, err);
    close(fd);
    return st;
}

/* dlerror's text without the path that the caller prints anyway. */
static mohs_status dl_fail(const char *path, const char *why,
                           struct mohs_error *err)
{
    size_t n = strlen(path);
    if (!why)
        why = "unknown reason";
    if (!strncmp(why, path, n) && why[n] == ':')
        why += n + 1 + strspn(why + n + 1, " ");
    return mohs_fail(err, MOHS_E_PLUGIN, "%s", why);
}

static mohs_status plugin_of(lt_dlhandle h, const struct mohs_plugin **out,
                             struct mohs_error *err)
{
    union {
        void *p;
        const struct mohs_plugin *(*f)(uint32_t);
    } entry = { .p = lt_dlsym(h, "mohs_plugin_v1") };
    if (!entry.p)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "no entry point mohs_plugin_v1: not a plugin");
    const struct mohs_plugin *p = entry.f(MOHS_ABI);
    if (!p)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "mohs_plugin_v1 offers nothing for ABI %u.%u",
                         MOHS_ABI_MAJOR, MOHS_ABI_MINOR);
    if (p->abi >> 16 != MOHS_ABI_MAJOR)
        return mohs_fail(err, MOHS_E_PLUGIN,
                         "built for plugin ABI %u.%u, this program has %u.%u",
                         p->abi >> 16, p->abi & 0xffff, MOHS_ABI_MAJOR,
                         MOHS_ABI_MINOR);
    RET_IF_ERR(plugin_validate(p, err));
    *out = p;
    return MOHS_OK;
}

mohs_status module_open(const char *path, const struct mohs_plugin **out,
                        struct mohs_error *err)
{
    mohs_status st;
    lt_dlhandle h = NULL;
    lt_dladvise advise = NULL;
    RET_IF_ERR(file_check(path, err));
    dlerror();
    void *probe = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!probe)
        return dl_fail(path, dlerror(), err);
    if (lt_dladvise_init(&advise) || lt_dladvise_local(&advise) ||
        !(h = lt_dlopenadvise(path, advise))) {
        st = dl_fail(path, lt_dlerror(), err);
        goto out;
    }
    OUT_IF_ERR(plugin_of(h, out, err));
    // Threads, thread-local storage and sanitizers' symbol names outlive us.
    lt_dlmakeresident(h);
out:
    if (st < 0 && h)
        lt_dlclose(h);
    dlclose(probe);
    if (advise)
        lt_dladvise_destroy(&advise);
    return st;
}
