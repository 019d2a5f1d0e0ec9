/* SPDX-License-Identifier: MIT */
__kernel void color_quant(__global const uchar *in, __global uchar *out,
                          uint mask, uint values)
{
    uint first = get_global_id(0) * 16 * STRIP;
    size_t at = (size_t)get_global_id(1) * values;
    for (uint i = first; i < min(values, first + 16 * STRIP); i += 16)
        store_some(vload16(0, in + at + i) & (uchar)mask, out + at + i,
                   values - i);
}
