/* SPDX-License-Identifier: MIT */
/* A corruption whose work is done by an OpenCL kernel through the host. */
#include <stdlib.h>

#include <mohs/plugin.h>

static const char source[] =
    "__kernel void darker(__global const uchar *in, __global uchar *out,\n"
    "                     uint n, uint severity)\n"
    "{\n"
    "    uint i = get_global_id(0);\n"
    "    if (i < n)\n"
    "        out[i] = (uchar)(in[i] * (10 - severity) / 10);\n"
    "}\n";

struct self {
    const struct mohs_host *host;
    const struct mohs_compute_api *api;
    struct mohs_program *program;
};

static mohs_status create(const struct mohs_host *host, const void *params,
                          void **out, struct mohs_error *err)
{
    (void)params;
    struct self *s = calloc(1, sizeof *s);
    if (!s)
        return mohs_fail(err, MOHS_E_NOMEM, "t_device: no memory");
    s->host = host;
    s->api = (const struct mohs_compute_api *)host->get_extension(
        host, MOHS_EXT_COMPUTE);
    mohs_status st = MOHS_OK;
    if (!s->api)
        st = mohs_fail(err, MOHS_E_UNSUPPORTED, "t_device: no device");
    else
        st = s->api->program(host, "t_device", source, 0, "", &s->program, err);
    if (st < 0) {
        free(s);
        return st;
    }
    *out = s;
    return MOHS_OK;
}

static mohs_status apply(void *self, const struct mohs_images *in,
                         struct mohs_images *out, uint32_t severity,
                         uint64_t seed, struct mohs_error *err)
{
    const struct self *s = self;
    struct mohs_buffer *a = NULL, *b = NULL;
    size_t n = (size_t)in->n * in->height * in->width * 3;
    (void)seed;
    mohs_status st = s->api->buffer_new(s->host, n, &a, err);
    if (st >= 0)
        st = s->api->buffer_new(s->host, n, &b, err);
    if (st >= 0)
        st = s->api->write(a, 0, in->rgb, n, err);
    if (st >= 0) {
        struct mohs_arg args[] = { mohs_arg_buffer(a), mohs_arg_buffer(b),
                                   mohs_arg_u32((uint32_t)n),
                                   mohs_arg_u32(severity) };
        st = s->api->run(s->host, s->program, "darker", 1, &n, NULL, args, 4,
                         err);
    }
    if (st >= 0)
        st = s->api->read(b, 0, out->rgb, n, err);
    s->api->buffer_unref(a);
    s->api->buffer_unref(b);
    return st;
}

static const struct mohs_corruption_ops ops = {
    .size = sizeof ops, .create = create, .destroy = free, .apply = apply
};
static const struct mohs_item item = {
    .size = sizeof item,
    .param_stride = sizeof(struct mohs_param),
    .kind = MOHS_KIND_CORRUPTION,
    .id = "t_device",
    .summary = "darker, on the device",
    .ops = &ops,
};
static const struct mohs_item *const items[] = { &item, NULL };
static const struct mohs_plugin plugin = { .size = sizeof plugin,
                                           .abi = MOHS_ABI,
                                           .id = "test.device",
                                           .name = "device",
                                           .version = "1.0",
                                           .license = "MIT",
                                           .items = items };

const struct mohs_plugin *mohs_plugin_v1(uint32_t host_abi)
{
    (void)host_abi;
    return &plugin;
}
