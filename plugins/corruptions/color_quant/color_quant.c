/* SPDX-License-Identifier: MIT */
/*
 * Colour quantisation of the 3D common corruptions: only the 6 - severity
 * highest bits of a value stay, as Pillow's posterize has it. Integers, the
 * same everywhere.
 */
#include "config.h"

#include "../common/corruption.h"

static const unsigned char text[] = {
#include "strip.clh"
#include "bytes.clh"
#include "color_quant.clh"
};

static uint32_t mask_of(const struct job *j)
{
    uint32_t bits = 5 - j->level;
    return 255u & ~((1u << (8 - bits)) - 1);
}

static void device(struct job *j)
{
    job_run(j, "color_quant", strips_of(j->values, 16), j->n, 1, BUF(j->in),
            BUF(j->out), U32(mask_of(j)), U32(j->values));
}

static void reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    for (uint32_t i = 0; i < j->values; i++)
        out[i] = in[i] & (uint8_t)mask_of(j);
}

static const struct corruption color_quant_corruption = {
    .id = "color_quant",
    .source = text,
    .source_bytes = sizeof text,
    .device = device,
    .reference = reference,
};
CORRUPTION_ITEM_PLAIN(color_quant, 0,
                      "fewer bits a colour value (3D common corruptions)");
CORRUPTION_PLUGIN("mohs.color_quant", "Colour quantisation", &color_quant_item)
