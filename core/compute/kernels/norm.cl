/* SPDX-License-Identifier: MIT */
/*
 * Kernels over rows of k values: layer norm, rms norm, l2 normalisation,
 * softmax, and their gradients. An item takes `share` rows; a row is summed
 * in one fixed order.
 */

/* flags: 1 gain, 2 bias, 4 keep statistics, 8 rms (mean taken as 0). */
kernel void norm_rows(const global float *x, const global float *gain,
                      const global float *bias, global float *y,
                      global float *stats, uint rows, uint k, uint share,
                      int flags, float eps)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        const global float *px = x + (ulong)r * k;
        global float *py = y + (ulong)r * k;
        float mean = 0.0f;
        float16 s = 0.0f;
        if (!(flags & 8)) {
            for (uint i = 0; i < k; i += 16)
                s += load_n(px + i, k - i);
            mean = sum16(s) / k;
        }
        s = 0.0f;
        uint i = 0;
        for (; i + 16 <= k; i += 16) {
            float16 d = vload16(0, px + i) - mean;
            s = fma(d, d, s);
        }
        float var = sum16(s);
        for (; i < k; i++)
            var += (px[i] - mean) * (px[i] - mean);
        float rstd = 1.0f / sqrt(var / k + eps);
        if (flags & 4) {
            stats[2 * (ulong)r] = mean;
            stats[2 * (ulong)r + 1] = rstd;
        }
        for (i = 0; i < k; i += 16) {
            float16 v = (load_n(px + i, k - i) - mean) * rstd;
            if (flags & 1)
                v *= load_n(gain + i, k - i);
            if (flags & 2)
                v += load_n(bias + i, k - i);
            store_n(py + i, k - i, v);
        }
    }
}

/*
 * With h = (x - mean) rstd and w = dy gain:
 * dx = rstd (w - mean(w) - h mean(w h)), without mean(w) for rms; + acc.
 * flags: 1 gain, 2 acc, 8 rms. dx may be dy or acc.
 */
kernel void norm_rows_grad(const global float *dy, const global float *x,
                           const global float *stats, const global float *gain,
                           const global float *acc, global float *dx, uint rows,
                           uint k, uint share, int flags)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        ulong at = (ulong)r * k;
        float mean = stats[2 * (ulong)r], rstd = stats[2 * (ulong)r + 1];
        float16 s = 0.0f, t = 0.0f;
        for (uint i = 0; i < k; i += 16) {
            float16 w = load_n(dy + at + i, k - i);
            float16 h = (load_n(x + at + i, k - i) - mean) * rstd;
            if (flags & 1)
                w *= load_n(gain + i, k - i);
            s += w;
            t = fma(w, h, t);
        }
        float mw = flags & 8 ? 0.0f : sum16(s) / k, mwh = sum16(t) / k;
        for (uint i = 0; i < k; i += 16) {
            float16 w = load_n(dy + at + i, k - i);
            float16 h = (load_n(x + at + i, k - i) - mean) * rstd;
            if (flags & 1)
                w *= load_n(gain + i, k - i);
            w = rstd * (w - mw - h * mwh);
            if (flags & 2)
                w += load_n(acc + at + i, k - i);
            store_n(dx + at + i, k - i, w);
        }
    }
}

/* Gradients by gain and bias, first level: sums over `piece` rows of 64
 * columns; part [2, pieces, k]. */
kernel void norm_params_grad(const global float *dy, const global float *x,
                             const global float *stats, global float *part,
                             uint rows, uint k, uint piece)
{
    uint c0 = get_global_id(0) * 64, p = get_global_id(1);
    uint pieces = get_global_size(1);
    for (uint c = c0; c < min(k, c0 + 64); c += 16) {
        float16 dg = 0.0f, db = 0.0f;
        for (uint r = p * piece; r < min(rows, (p + 1) * piece); r++) {
            ulong at = (ulong)r * k + c;
            float mean = stats[2 * (ulong)r], rstd = stats[2 * (ulong)r + 1];
            float16 g = load_n(dy + at, k - c);
            float16 h = (load_n(x + at, k - c) - mean) * rstd;
            dg = fma(g, h, dg);
            db += g;
        }
        store_n(part + (ulong)p * k + c, k - c, dg);
        store_n(part + (ulong)(pieces + p) * k + c, k - c, db);
    }
}

kernel void norm_params_sum(const global float *part, global float *dgain,
                            global float *dbias, uint pieces, uint k)
{
    uint c0 = get_global_id(0) * 64, which = get_global_id(1);
    global float *out = which ? dbias : dgain;
    part += (ulong)which * pieces * k;
    for (uint c = c0; c < min(k, c0 + 64); c += 16) {
        float16 s = 0.0f;
        for (uint p = 0; p < pieces; p++)
            s += load_n(part + (ulong)p * k + c, k - c);
        store_n(out + c, k - c, s);
    }
}

/* y = x / max(|x|, eps); `unused` keeps the row kernels callable alike. */
kernel void l2_rows(const global float *x, const global float *unused,
                    global float *y, uint rows, uint k, uint share, float eps)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        ulong at = (ulong)r * k;
        float16 s = 0.0f;
        for (uint i = 0; i < k; i += 16) {
            float16 v = load_n(x + at + i, k - i);
            s = fma(v, v, s);
        }
        float norm = fmax(sqrt(sum16(s)), eps);
        for (uint i = 0; i < k; i += 16)
            store_n(y + at + i, k - i, load_n(x + at + i, k - i) / norm);
    }
}

/* dx = (dy - y (y . dy)) / |x|; where |x| < eps, dy / eps. dx may be dy. */
kernel void l2_rows_grad(const global float *dy, const global float *x,
                         global float *dx, uint rows, uint k, uint share,
                         float eps)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        ulong at = (ulong)r * k;
        float16 s = 0.0f, t = 0.0f;
        for (uint i = 0; i < k; i += 16) {
            float16 v = load_n(x + at + i, k - i);
            s = fma(v, v, s);
            t = fma(v, load_n(dy + at + i, k - i), t);
        }
        float norm = sqrt(sum16(s)), dot = 0.0f;
        if (norm > eps)
            dot = sum16(t) / norm / norm;
        else
            norm = eps;
        for (uint i = 0; i < k; i += 16) {
            float16 v = load_n(dy + at + i, k - i);
            v = (v - load_n(x + at + i, k - i) * dot) / norm;
            store_n(dx + at + i, k - i, v);
        }
    }
}

float row_max(const global float *x, uint k)
{
    float16 m = -INFINITY;
    uint i = 0;
    for (; i + 16 <= k; i += 16)
        m = fmax(m, vload16(0, x + i));
    float r = max16(m);
    for (; i < k; i++)
        r = fmax(r, x[i]);
    return r;
}

/* Sixteen exp(x - m), 0 behind n. */
float16 exp_n(const global float *x, uint n, float m)
{
    float16 v = exp16(load_n(x, n) - m);
    if (n < 16)
        v = select((float16)(0.0f), v,
                   (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                           15) < (int16)((int)n));
    return v;
}

float exp_sum(const global float *x, uint k, float m)
{
    float16 s = 0.0f;
    for (uint i = 0; i < k; i += 16)
        s += exp_n(x + i, k - i, m);
    return sum16(s);
}

kernel void softmax_rows(const global float *x, const global float *unused,
                         global float *y, uint rows, uint k, uint share,
                         float unused_value)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        ulong at = (ulong)r * k;
        float m = row_max(x + at, k), s = exp_sum(x + at, k, m);
        for (uint i = 0; i < k; i += 16)
            store_n(y + at + i, k - i, exp_n(x + at + i, k - i, m) / s);
    }
}

kernel void log_softmax_rows(const global float *x, const global float *unused,
                             global float *y, uint rows, uint k, uint share,
                             float unused_value)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        ulong at = (ulong)r * k;
        float m = row_max(x + at, k), l = log(exp_sum(x + at, k, m));
        for (uint i = 0; i < k; i += 16)
            store_n(y + at + i, k - i, load_n(x + at + i, k - i) - m - l);
    }
}

/* dx = y (dy - sum(dy y)) */
kernel void softmax_rows_grad(const global float *dy, const global float *y,
                              global float *dx, uint rows, uint k, uint share,
                              float unused_value)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        ulong at = (ulong)r * k;
        float16 t = 0.0f;
        for (uint i = 0; i < k; i += 16)
            t = fma(load_n(dy + at + i, k - i), load_n(y + at + i, k - i), t);
        float dot = sum16(t);
        for (uint i = 0; i < k; i += 16)
            store_n(dx + at + i, k - i,
                    load_n(y + at + i, k - i) *
                        (load_n(dy + at + i, k - i) - dot));
    }
}

/* dx = dy - exp(y) sum(dy) */
kernel void log_softmax_rows_grad(const global float *dy, const global float *y,
                                  global float *dx, uint rows, uint k,
                                  uint share, float unused_value)
{
    uint r = get_global_id(0) * share, end = min(rows, r + share);
    for (; r < end; r++) {
        ulong at = (ulong)r * k;
        float16 t = 0.0f;
        for (uint i = 0; i < k; i += 16)
            t += load_n(dy + at + i, k - i);
        float total = sum16(t);
        for (uint i = 0; i < k; i += 16)
            store_n(dx + at + i, k - i,
                    load_n(dy + at + i, k - i) -
                        exp16(load_n(y + at + i, k - i)) * total);
    }
}
