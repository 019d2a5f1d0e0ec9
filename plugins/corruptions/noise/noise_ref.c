/* SPDX-License-Identifier: MIT */
/* The noises in plain C, as the formulas have them. */
#include "config.h"

#include "noise.h"

static void normal_reference(struct job *j, uint32_t n, uint8_t *out,
                             int speckle)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    double c = noise_sigma(j, speckle);
    for (uint32_t i = 0; i < j->values; i++) {
        double x = in[i] / 255.0;
        double z = c * mohs_rng_normal(j->seed, j->key[n], i);
        out[i] = to_byte(speckle ? x + x * z : x + z);
    }
}

void gaussian_noise_reference(struct job *j, uint32_t n, uint8_t *out)
{
    normal_reference(j, n, out, 0);
}

void speckle_noise_reference(struct job *j, uint32_t n, uint8_t *out)
{
    normal_reference(j, n, out, 1);
}

void impulse_noise_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    float amount = impulse_amount(j);
    for (uint32_t i = 0; i < j->values; i++) {
        uint64_t at = 2 * (uint64_t)i;
        float flip = mohs_rng_uniform(j->seed, j->key[n], at);
        float salt = mohs_rng_uniform(j->seed, j->key[n], at + 1);
        out[i] = flip <= amount ? (salt <= 0.5f ? 255 : 0) : in[i];
    }
}

void shot_noise_reference(struct job *j, uint32_t n, uint8_t *out)
{
    const uint8_t *in = j->rgb + (size_t)n * j->values;
    uint32_t rate = shot_rate(j);
    struct shot_table *t = job_scratch(j, 1, sizeof *t);
    if (!t)
        return;
    shot_table_make(rate, t);
    for (uint32_t i = 0; i < j->values; i++) {
        uint32_t d = mohs_rng_u32(j->seed, j->key[n], i), k = 0;
        const uint32_t *last = &t->last[0][0] + (size_t)in[i] * rate;
        while (k < rate && d > last[k])
            k++;
        out[i] = t->byte[k];
    }
}
