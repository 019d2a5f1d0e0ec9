/* SPDX-License-Identifier: MIT */
/* mohs devices: what OpenCL offers, as a probing child saw it. */
#include "config.h"

#include "cli/cli.h"

#include <stdlib.h>

static const char *type_name(uint32_t type)
{
    return type == MOHS_DEVICE_CPU           ? "cpu"
           : type == MOHS_DEVICE_GPU         ? "gpu"
           : type == MOHS_DEVICE_ACCELERATOR ? "accelerator"
                                             : "other";
}

static void add_pair(struct str *b, const char *key, const char *value)
{
    str_addf(b, ", \"%s\": ", key);
    str_add_json(b, value);
}

static void add_json(struct str *b, size_t i, const struct device_report *d)
{
    str_addf(b, "%s{\"index\": %zu", i ? ",\n " : "\n ", i);
    add_pair(b, "type", type_name(d->type));
    add_pair(b, "name", d->name);
    add_pair(b, "vendor", d->vendor);
    add_pair(b, "version", d->version);
    add_pair(b, "platform", d->platform);
    add_pair(b, "driver", d->driver);
    str_addf(b,
             ", \"units\": %u, \"memory_bytes\": %llu, \"max_alloc_bytes\": "
             "%llu, \"local_bytes\": %llu, \"usable\": %s",
             d->units, (unsigned long long)d->memory_bytes,
             (unsigned long long)d->max_alloc_bytes,
             (unsigned long long)d->local_bytes, d->usable ? "true" : "false");
    add_pair(b, "problem", d->problem);
    str_add(b, "}");
}

static void add_text(struct str *b, size_t i, const struct device_report *d)
{
    str_addf(b, "%zu  %-11s %s\n", i, type_name(d->type), d->name);
    str_addf(b, "   %s, %s, driver %s\n", d->platform, d->version, d->driver);
    str_addf(b,
             "   %u units, %.1f GiB, largest buffer %.1f GiB, local %llu KiB\n",
             d->units, (double)d->memory_bytes / (1 << 30),
             (double)d->max_alloc_bytes / (1 << 30),
             (unsigned long long)d->local_bytes >> 10);
    if (!d->usable)
        str_addf(b, "   not usable: %s\n", d->problem);
}

static mohs_status run(struct cli *c, struct mohs_error *err)
{
    struct device_report *d = NULL;
    size_t n = 0, usable = 0;
    RET_IF_ERR(opt_none(c, 0, 0, err));
    mohs_status st = compute_probe(&d, &n, err);
    if (st < 0)
        return st;
    struct str b = { 0 };
    str_add(&b, c->json ? "[" : "");
    for (size_t i = 0; i < n; i++) {
        (c->json ? add_json : add_text)(&b, i, &d[i]);
        usable += d[i].usable;
    }
    str_add(&b, c->json ? "\n]\n" : "");
    print_str(&b);
    free(d);
    if (!usable)
        return mohs_fail(err, MOHS_E_DEVICE,
                         "no usable OpenCL device; on Debian install "
                         "pocl-opencl-icd");
    return MOHS_OK;
}

const struct cli_command command_devices = {
    .name = "devices",
    .summary = "OpenCL devices, each probed in a child process",
    .usage = "[--json]",
    .details = "The index is what --device takes. A driver that crashes is "
               "reported and hurts nothing else.",
    .run = run,
};
