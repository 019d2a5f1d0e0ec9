/* SPDX-License-Identifier: MIT */
/*
 * Storage formats of tensors and their way to float32. The loops have no
 * branches, so that compilers turn them into vector code.
 */
#include "config.h"

#include <string.h>

#include "model/weights.h"

const struct dtype_info dtype_table[DT_COUNT] = {
    [DT_F32] = { "F32", 4 },  [DT_F16] = { "F16", 2 },
    [DT_BF16] = { "BF16", 2 }, [DT_F64] = { "F64", 8 },
    [DT_I64] = { "I64", 8 },  [DT_I32] = { "I32", 4 },
    [DT_I16] = { "I16", 2 },  [DT_I8] = { "I8", 1 },
    [DT_U64] = { "U64", 8 },  [DT_U32] = { "U32", 4 },
    [DT_U16] = { "U16", 2 },  [DT_U8] = { "U8", 1 },
    [DT_BOOL] = { "BOOL", 1 }, [DT_F8_E5M2] = { "F8_E5M2", 1 },
    [DT_F8_E4M3] = { "F8_E4M3", 1 },
};

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* Blocks of a fixed length are what compilers vectorise at -O2. */
enum { BLOCK = 32 };

static inline void half_block(const uint16_t *restrict h, float *restrict out)
{
    for (int i = 0; i < BLOCK; i++) {
        uint32_t x = (uint32_t)h[i] << 13 & 0x0FFFE000u;
        // Exponent bias 15 -> 127 by a product, exact for subnormals too.
        uint32_t y = bits_of(float_of(x) * 0x1p112f);
        y |= (x >= 0x0F800000u ? 0x7F800000u : 0u);
        out[i] = float_of(y | ((uint32_t)h[i] << 16 & 0x80000000u));
    }
}

static inline void bfloat_block(const uint16_t *restrict h, float *restrict out)
{
    for (int i = 0; i < BLOCK; i++)
        out[i] = float_of((uint32_t)h[i] << 16);
}

/* In blocks through aligned copies: tensors may start at any byte. */
static inline void from_halves(const uint8_t *in, float *out, uint64_t n,
                               void (*block)(const uint16_t *restrict,
                                             float *restrict))
{
    uint16_t h[BLOCK] = { 0 };
    float f[BLOCK];
    uint64_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        memcpy(h, in + 2 * i, sizeof h);
        block(h, f);
        memcpy(out + i, f, sizeof f);
    }
    if (i < n) {
        memcpy(h, in + 2 * i, 2 * (size_t)(n - i));
        block(h, f);
        memcpy(out + i, f, sizeof *f * (size_t)(n - i));
    }
}

void half_to_float(const uint8_t *in, float *out, uint64_t n)
{
    from_halves(in, out, n, half_block);
}

void bfloat_to_float(const uint8_t *in, float *out, uint64_t n)
{
    from_halves(in, out, n, bfloat_block);
}

uint16_t half_from_float(float f)
{
    uint32_t x = bits_of(f), sign = x >> 16 & 0x8000u;
    x &= 0x7FFFFFFFu;
    if (x > 0x7F800000u) // NaN stays NaN
        return (uint16_t)(sign | 0x7E00u);
    if (x >= 0x477FF000u) // 65520 and more round to infinity
        return (uint16_t)(sign | 0x7C00u);
    if (x < 0x38800000u) { // below 2^-14: a multiple of 2^-24
        uint32_t y = bits_of(float_of(x) + 0.5f);
        return (uint16_t)(sign | (y - 0x3F000000u));
    }
    uint32_t odd = x >> 13 & 1u;
    return (uint16_t)(sign | ((x - 0x38000000u + 0xFFFu + odd) >> 13));
}

#define CONVERT(type)                              \
    do {                                           \
        for (uint64_t i = 0; i < n; i++) {         \
            type x_;                               \
            memcpy(&x_, in + sizeof x_ * i, sizeof x_); \
            out[i] = (float)x_;                    \
        }                                          \
    } while (0)

mohs_status dtype_to_f32(enum dtype d, const uint8_t *in, float *out, uint64_t n,
                         struct mohs_error *err)
{
    switch (d) {
    case DT_F32:
        if (n)
            memcpy(out, in, n * sizeof *out);
        break;
    case DT_F16: half_to_float(in, out, n); break;
    case DT_BF16: bfloat_to_float(in, out, n); break;
    case DT_F64: CONVERT(double); break;
    case DT_I64: CONVERT(int64_t); break;
    case DT_I32: CONVERT(int32_t); break;
    case DT_I16: CONVERT(int16_t); break;
    case DT_I8: CONVERT(int8_t); break;
    case DT_U64: CONVERT(uint64_t); break;
    case DT_U32: CONVERT(uint32_t); break;
    case DT_U16: CONVERT(uint16_t); break;
    case DT_U8: CONVERT(uint8_t); break;
    case DT_BOOL:
        for (uint64_t i = 0; i < n; i++)
            out[i] = in[i] ? 1.0f : 0.0f;
        break;
    case DT_F8_E5M2:
    case DT_F8_E4M3:
    case DT_COUNT:
        return mohs_fail(err, MOHS_E_UNSUPPORTED,
                         "values of type %s cannot be read",
                         d < DT_COUNT ? dtype_table[d].name : "?");
    }
    return MOHS_OK;
}
