/* SPDX-License-Identifier: MIT */
/* Kernels that copy, pick, repeat and sum. Sums have one fixed order. */

void copy_n(const global float *src, global float *dst, uint n)
{
    uint i = 0;
    for (; i + 16 <= n; i += 16)
        vstore16(vload16(0, src + i), 0, dst + i);
    for (; i < n; i++)
        dst[i] = src[i];
}

void set_n(global float *dst, uint n, float v)
{
    for (uint i = 0; i < n; i++)
        dst[i] = v;
}

/* `outer` runs of len floats, in pieces of 4096 (second id). */
kernel void copy_runs(const global float *src, uint src_stride, uint src_off,
                      global float *dst, uint dst_stride, uint dst_off,
                      uint outer, uint len, uint share)
{
    uint o = get_global_id(0) * share, end = min(outer, o + share);
    uint at = get_global_id(1) * 4096, n = min(len - at, 4096u);
    for (; o < end; o++)
        copy_n(src + (ulong)o * src_stride + src_off + at,
               dst + (ulong)o * dst_stride + dst_off + at, n);
}

kernel void fill_zero(global float *x, uint n)
{
    ulong at = (ulong)get_global_id(0) * 4096;
    if (at < n)
        set_n(x + at, (uint)min((ulong)4096, n - at), 0.0f);
}

/* x [m, n] -> y [n, m] in tiles of 16 x 16. */
kernel void transpose_2d(const global float *x, global float *y, uint m, uint n)
{
    uint c0 = get_global_id(0) * 16, r0 = get_global_id(1) * 16;
    for (uint c = c0; c < min(n, c0 + 16); c++)
        for (uint r = r0; r < min(m, r0 + 16); r++)
            y[(ulong)c * m + r] = x[(ulong)r * n + c];
}

/* x [outer, mid] -> out [outer, pieces], each the sum of `piece` values. */
kernel void sum_rows(const global float *x, global float *out, uint outer,
                     uint mid, uint piece, uint pieces, uint share, float scale)
{
    uint r = get_global_id(0) * share, end = min(outer * pieces, r + share);
    for (; r < end; r++) {
        uint from = r % pieces * piece, n = min(mid - from, piece);
        const global float *p = x + (ulong)(r / pieces) * mid + from;
        float16 s = 0.0f;
        for (uint i = 0; i < n; i += 16)
            s += load_n(p + i, n - i);
        out[r] = sum16(s) * scale;
    }
}

/* x [outer, mid, inner] -> out [outer, pieces, inner]; an item takes 64
 * columns of one piece of rows. */
kernel void sum_columns(const global float *x, global float *out, uint mid,
                        uint inner, uint piece, uint pieces, float scale)
{
    uint c = get_global_id(0) * 64, row = get_global_id(1);
    if (c >= inner)
        return;
    uint from = row % pieces * piece, to = min(mid, from + piece);
    x += (ulong)(row / pieces) * mid * inner;
    out += (ulong)row * inner;
    if (c + 64 <= inner) {
        float16 a = 0.0f, b = 0.0f, d = 0.0f, e = 0.0f;
        for (uint r = from; r < to; r++) {
            const global float *p = x + (ulong)r * inner + c;
            a += vload16(0, p);
            b += vload16(1, p);
            d += vload16(2, p);
            e += vload16(3, p);
        }
        vstore16(a * scale, 0, out + c);
        vstore16(b * scale, 1, out + c);
        vstore16(d * scale, 2, out + c);
        vstore16(e * scale, 3, out + c);
        return;
    }
    for (; c < inner; c += 16) {
        float16 s = 0.0f;
        for (uint r = from; r < to; r++)
            s += load_n(x + (ulong)r * inner + c, inner - c);
        store_n(out + c, inner - c, s * scale);
    }
}

/* y [outer, mid, inner] = scale x [outer, inner]; n values in all. */
kernel void expand_mid(const global float *x, global float *y, uint n, uint mid,
                       uint inner, uint share, float scale)
{
    ulong at = (ulong)get_global_id(0) * share * 16;
    for (uint v = 0; v < share && at < n; v++, at += 16) {
        uint m = (uint)min((ulong)16, n - at);
        uint row = (uint)(at / inner), i = (uint)(at % inner);
        if (i + m <= inner) {
            const global float *p = x + (ulong)(row / mid) * inner + i;
            store_n(y + at, m, load_n(p, m) * scale);
            continue;
        }
        for (uint j = 0; j < m; j++) {
            y[at + j] = x[(ulong)(row / mid) * inner + i] * scale;
            if (++i == inner) {
                i = 0;
                row++;
            }
        }
    }
}

/* y[i] = x[i, index[i]] */
kernel void take_rows(const global float *x, const global int *index,
                      global float *y, uint rows, uint t, uint k, int indexed,
                      uint share)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        int i = indexed ? index[r] : 0;
        if (i >= 0 && (uint)i < t)
            copy_n(x + ((ulong)r * t + i) * k, y + (ulong)r * k, k);
        else
            set_n(y + (ulong)r * k, k, NAN);
    }
}

/* y[i, index[i]] = x[i], else 0 */
kernel void put_rows(const global float *x, const global int *index,
                     global float *y, uint rows, uint t, uint k, int indexed,
                     uint share)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        int i = indexed ? index[r] : 0;
        for (uint j = 0; j < t; j++) {
            global float *p = y + ((ulong)r * t + j) * k;
            if ((int)j == i)
                copy_n(x + (ulong)r * k, p, k);
            else
                set_n(p, k, 0.0f);
        }
    }
}

/* y[i] = table[ids[i]] */
kernel void gather_rows(const global float *table, const global int *ids,
                        global float *y, uint rows, uint v, uint k, int unused,
                        uint share)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        int i = ids[r];
        if (i >= 0 && (uint)i < v)
            copy_n(table + (ulong)i * k, y + (ulong)r * k, k);
        else
            set_n(y + (ulong)r * k, k, NAN);
    }
}

/* out[r] = sum of dy[i] with ids[i] == r, in order of i. An item owns
 * `share` rows of out and 256 columns. */
kernel void scatter_rows(const global float *dy, const global int *ids,
                         global float *out, uint n, uint v, uint k, uint share)
{
    uint from = get_global_id(0) * share, c0 = get_global_id(1) * 256;
    if (from >= v)
        return;
    uint to = min(v, from + share), w = min(k - c0, 256u);
    for (uint r = from; r < to; r++)
        set_n(out + (ulong)r * k + c0, w, 0.0f);
    for (uint i = 0; i < n; i++) {
        uint r = (uint)ids[i];
        if (r < from || r >= to)
            continue;
        const global float *p = dy + (ulong)i * k + c0;
        global float *o = out + (ulong)r * k + c0;
        for (uint c = 0; c < w; c += 16)
            store_n(o + c, w - c, load_n(o + c, w - c) + load_n(p + c, w - c));
    }
}
