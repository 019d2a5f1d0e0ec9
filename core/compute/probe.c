/* SPDX-License-Identifier: MIT */
/*
 * Device discovery in a child process. Drivers abort (PoCL without /sys),
 * hang or crash in clGetPlatformIDs and later; the child sends what it finds
 * down a pipe as it goes, and its death becomes the report of the platform
 * it was looking at. A fresh child then goes on behind that platform. The
 * parent makes no OpenCL call here.
 */
#include "config.h"

#include "compute/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_S 20 /* MOHS_PROBE_TIMEOUT overrides */

enum msg_kind { MSG_PLATFORM = 1, MSG_DEVICE, MSG_END };

/* What the child sends: one fixed-size message after another. */
struct msg {
    uint32_t kind;
    struct probed d; /* MSG_PLATFORM: platform name and index only */
};

/* ---- in the child ---- */

static void send_msg(int fd, const struct msg *m)
{
    const char *p = (const char *)m;
    size_t left = sizeof *m;
    while (left) {
        ssize_t k = write(fd, p, left);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            _exit(1);
        p += k;
        left -= (size_t)k;
    }
}

static cl_int try_kernel(cl_context ctx, cl_device_id dev, cl_command_queue q,
                         const char **step)
{
    static const char *src =
        "kernel void probe(global float *x)"
        "{ x[get_global_id(0)] *= 2.0f; }";
    cl_int e;
    float v[4] = { 1, 2, 3, 4 };
    size_t n = 4;
    *step = "building a kernel";
    cl_program p = clCreateProgramWithSource(ctx, 1, &src, NULL, &e);
    if (e)
        return e;
    e = clBuildProgram(p, 1, &dev, "", NULL, NULL);
    if (e)
        return e;
    cl_kernel k = clCreateKernel(p, "probe", &e);
    if (e)
        return e;
    *step = "running a kernel";
    cl_mem m = clCreateBuffer(ctx, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                              sizeof v, v, &e);
    if (e)
        return e;
    e = clSetKernelArg(k, 0, sizeof m, &m);
    if (!e)
        e = clEnqueueNDRangeKernel(q, k, 1, NULL, &n, NULL, 0, NULL, NULL);
    if (!e)
        e = clEnqueueReadBuffer(q, m, CL_TRUE, 0, sizeof v, v, 0, NULL, NULL);
    if (!e && v[3] != 8.0f) {
        *step = "running a kernel (wrong result)";
        e = CL_INVALID_VALUE;
    }
    return e;
}

/* The first thing that fails on a device, or CL_SUCCESS. Nothing is released
 * here: the process ends soon. */
static cl_int try_device(cl_platform_id plat, cl_device_id dev, bool deep,
                         const char **step)
{
    cl_bool ok = CL_FALSE;
    cl_int e = clGetDeviceInfo(dev, CL_DEVICE_AVAILABLE, sizeof ok, &ok, NULL);
    *step = "asking whether it is available";
    if (e || !ok)
        return e ? e : CL_DEVICE_NOT_AVAILABLE;
    *step = "making a context";
    cl_context_properties props[] = { CL_CONTEXT_PLATFORM,
                                      (cl_context_properties)plat, 0 };
    cl_context ctx = clCreateContext(props, 1, &dev, NULL, NULL, &e);
    if (e)
        return e;
    *step = "making a command queue";
    cl_command_queue q = clCreateCommandQueue(ctx, dev, 0, &e);
    if (e || !deep)
        return e;
    return try_kernel(ctx, dev, q, step);
}

static void describe(cl_device_id dev, struct device_report *r)
{
    cl_device_type t = 0;
    cl_uint units = 0;
    cl_ulong mem = 0, alloc = 0, local = 0;
    clGetDeviceInfo(dev, CL_DEVICE_NAME, sizeof r->name - 1, r->name, NULL);
    clGetDeviceInfo(dev, CL_DEVICE_VENDOR, sizeof r->vendor - 1, r->vendor, NULL);
    clGetDeviceInfo(dev, CL_DEVICE_VERSION, sizeof r->version - 1, r->version,
                    NULL);
    clGetDeviceInfo(dev, CL_DRIVER_VERSION, sizeof r->driver - 1, r->driver,
                    NULL);
    clGetDeviceInfo(dev, CL_DEVICE_TYPE, sizeof t, &t, NULL);
    clGetDeviceInfo(dev, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    clGetDeviceInfo(dev, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof mem, &mem, NULL);
    clGetDeviceInfo(dev, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof alloc, &alloc,
                    NULL);
    clGetDeviceInfo(dev, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
    r->type = t & CL_DEVICE_TYPE_GPU ? MOHS_DEVICE_GPU :
              t & CL_DEVICE_TYPE_ACCELERATOR ? MOHS_DEVICE_ACCELERATOR :
                                               MOHS_DEVICE_CPU;
    r->units = units;
    r->memory_bytes = mem;
    r->max_alloc_bytes = alloc;
    r->local_bytes = local;
}

static void child_platform(int fd, cl_platform_id plat, uint32_t index, bool deep)
{
    struct msg m = { .kind = MSG_PLATFORM };
    cl_device_id devs[PROBE_MAX];
    cl_uint n = 0;
    m.d.platform_index = index;
    clGetPlatformInfo(plat, CL_PLATFORM_NAME, sizeof m.d.r.platform - 1,
                      m.d.r.platform, NULL);
    send_msg(fd, &m);
    cl_int e = clGetDeviceIDs(plat, CL_DEVICE_TYPE_ALL, PROBE_MAX, devs, &n);
    if (e)
        return; // a platform without devices is not a fault
    for (cl_uint i = 0; i < n && i < PROBE_MAX; i++) {
        const char *step = "";
        struct msg d = m;
        d.kind = MSG_DEVICE;
        d.d.device_index = i;
        describe(devs[i], &d.d.r);
        e = try_device(plat, devs[i], deep, &step);
        d.d.r.usable = !e;
        if (e)
            snprintf(d.d.r.problem, sizeof d.d.r.problem, "%s failed: %s", step,
                     cl_error_name(e));
        send_msg(fd, &d);
    }
}

static void child_main(int fd, uint32_t from, bool deep, unsigned timeout)
{
    // drivers print to stdout and stderr; data and messages are ours alone
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
        _exit(1);
    signal(SIGALRM, SIG_DFL);
    alarm(timeout + 5); // should the parent die
    cl_platform_id plats[PROBE_MAX];
    cl_uint n = 0;
    cl_int e = clGetPlatformIDs(PROBE_MAX, plats, &n);
    for (cl_uint i = from; !e && i < n && i < PROBE_MAX; i++)
        child_platform(fd, plats[i], i, deep);
    struct msg m = { .kind = MSG_END };
    send_msg(fd, &m);
    _exit(0);
}

/* ---- in the parent ---- */

struct probe_list {
    struct probed *d;
    size_t n;
};

static struct probed *list_add(struct probe_list *l, const struct probed *d)
{
    l->d = xrealloc(l->d, (l->n + 1) * sizeof *l->d);
    l->d[l->n] = *d;
    return &l->d[l->n++];
}

/* One whole message, waiting at most until `end`; false when the child is
 * gone or out of time. */
static bool receive(int fd, struct msg *m, double end)
{
    char *p = (char *)m;
    size_t left = sizeof *m;
    while (left) {
        double wait = end - now_s();
        struct pollfd pf = { .fd = fd, .events = POLLIN };
        if (wait <= 0)
            return false;
        int k = poll(&pf, 1, (int)(wait * 1000) + 1);
        if (k < 0 && errno == EINTR)
            continue;
        ssize_t got = k > 0 ? read(fd, p, left) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        p += got;
        left -= (size_t)got;
    }
    return true;
}

static void add_problem(struct probe_list *l, const struct probed *plat,
                        int wait_status, bool timed_out, unsigned timeout)
{
    struct probed d = *plat;
    if (!*d.r.platform)
        snprintf(d.r.platform, sizeof d.r.platform, "OpenCL");
    snprintf(d.r.name, sizeof d.r.name, "%s", d.r.platform);
    d.r.usable = false;
    if (timed_out)
        snprintf(d.r.problem, sizeof d.r.problem,
                 "the driver did not answer within %u s", timeout);
    else if (WIFSIGNALED(wait_status))
        snprintf(d.r.problem, sizeof d.r.problem,
                 "the driver crashed while being probed (signal %d)%s",
                 WTERMSIG(wait_status),
                 dir_exists("/sys/devices") // PoCL aborts, as in a bare chroot
                     ? "" : "; /sys is not mounted, which drivers ask for the CPU");
    else
        snprintf(d.r.problem, sizeof d.r.problem,
                 "the driver ended the probing process (status %d)",
                 WEXITSTATUS(wait_status));
    list_add(l, &d);
}

static unsigned probe_timeout(void)
{
    const char *s = getenv("MOHS_PROBE_TIMEOUT");
    int64_t v;
    return s && str_to_i64(s, &v) && v > 0 && v < 3600 ? (unsigned)v : TIMEOUT_S;
}

/* Runs one child from platform `*from` on. *again is set when it died at a
 * platform with others possibly behind it; *from then points there. */
static mohs_status probe_once(struct probe_list *l, uint32_t *from, bool deep,
                              bool *again, struct mohs_error *err)
{
    unsigned timeout = probe_timeout();
    int fd[2];
    *again = false;
    if (pipe(fd))
        return err_errno(err, "probing devices: pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        close(fd[0]);
        close(fd[1]);
        return err_errno(err, "probing devices: fork");
    }
    if (!pid) {
        close(fd[0]);
        child_main(fd[1], *from, deep, timeout);
    }
    close(fd[1]);
    struct probed at = { .platform_index = *from };
    struct msg m;
    bool ended = false, any = false;
    double end = now_s() + timeout;
    while (!ended && receive(fd[0], &m, end)) {
        m.d.r.name[sizeof m.d.r.name - 1] = 0;
        ended = m.kind == MSG_END;
        if (m.kind == MSG_PLATFORM) {
            at = m.d;
            any = true;
        } else if (m.kind == MSG_DEVICE) {
            list_add(l, &m.d);
        }
    }
    bool timed_out = !ended && now_s() >= end;
    if (!ended)
        kill(pid, SIGKILL);
    close(fd[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!ended) {
        add_problem(l, &at, status, timed_out, timeout);
        *again = any;
        *from = at.platform_index + 1;
    }
    return MOHS_OK;
}

mohs_status probe_devices(bool deep, const struct probed **out, size_t *n,
                          struct mohs_error *err)
{
    static struct probe_list lists[2];
    static bool done[2];
    if (done[true])
        deep = true; // it says all that the other one does
    struct probe_list *l = &lists[deep];
    uint32_t from = 0;
    bool again = !done[deep];
    while (again)
        RET_IF_ERR(probe_once(l, &from, deep, &again, err));
    done[deep] = true;
    *out = l->d;
    *n = l->n;
    return MOHS_OK;
}

mohs_status compute_probe(struct device_report **out, size_t *n,
                          struct mohs_error *err)
{
    const struct probed *d;
    *out = NULL;
    *n = 0;
    size_t count;
    RET_IF_ERR(probe_devices(true, &d, &count, err));
    struct device_report *r = try_calloc(count ? count : 1, sizeof *r,
                                         "device list", err);
    if (!r)
        return MOHS_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        r[i] = d[i].r;
    *out = r;
    *n = count;
    return MOHS_OK;
}
