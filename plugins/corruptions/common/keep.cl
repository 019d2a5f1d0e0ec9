/* SPDX-License-Identifier: MIT */
/* From floats 0..255 to bytes, cut; a whole number that lost a little to
 * rounding stays what it is. keep_byte() of depth.h in vectors. */
static inline uchar16 keep16(float16 v)
{
    return convert_uchar16(clamp(v + 0.0009765625f, 0.0f, 255.0f));
}
