/* SPDX-License-Identifier: MIT */
/* Optimizer updates, gradient norm, and perturbations inside a ball. */

kernel void adamw(global float *param, const global float *grad,
                  global float *m, global float *v, uint count, uint share,
                  float lr, float beta1, float beta2, float eps, float decay,
                  float correction1, float correction2,
                  const global float *clip, int clipped)
{
    ulong from = (ulong)get_global_id(0) * share;
    float scale = clipped ? clip[1] : 1.0f;
    for (ulong i = from; i < min((ulong)count, from + share); i += 16) {
        uint n = (uint)min((ulong)16, count - i);
        float16 g = load_n(grad + i, n) * scale, p = load_n(param + i, n);
        float16 a = load_n(m + i, n) * beta1 + g * (1.0f - beta1);
        float16 b = load_n(v + i, n) * beta2 + g * g * (1.0f - beta2);
        float16 step = a / correction1 / (sqrt(b / correction2) + eps);
        store_n(m + i, n, a);
        store_n(v + i, n, b);
        store_n(param + i, n, p - lr * (step + decay * p));
    }
}

/* partial[at + item] = sum of squares of piece `item` of x. */
kernel void sum_squares(const global float *x, uint count, uint piece,
                        global float *partial, uint at)
{
    ulong from = (ulong)get_global_id(0) * piece;
    if (from >= count)
        return;
    float16 total = 0.0f;
    ulong end = min((ulong)count, from + piece);
    for (ulong j = from; j < end; j += 1024) {
        float16 s = 0.0f; // short sums first: less rounding
        for (ulong i = j; i < min(end, j + 1024); i += 16) {
            float16 v = load_n(x + i, (uint)min((ulong)16, end - i));
            s = fma(v, v, s);
        }
        total += s;
    }
    partial[at + get_global_id(0)] = sum16(total);
}

kernel void clip_scale(const global float *partial, uint n, float max_norm,
                       global float *out)
{
    if (get_global_id(0) != 0)
        return;
    float s = 0.0f, lost = 0.0f;
    for (uint i = 0; i < n; i++) { // compensated
        float y = partial[i] - lost, t = s + y;
        lost = (t - s) - y;
        s = t;
    }
    float norm = sqrt(s);
    out[0] = norm;
    out[1] = isnan(norm) ? NAN
             : max_norm > 0.0f && norm > max_norm ? max_norm / norm : 1.0f;
}

/* y = a y + b x */
kernel void blend(global float *y, const global float *x, uint count,
                  uint share, float a, float b)
{
    ulong from = (ulong)get_global_id(0) * share;
    for (ulong i = from; i < min((ulong)count, from + share); i += 16) {
        uint n = (uint)min((ulong)16, count - i);
        store_n(y + i, n, load_n(y + i, n) * a + load_n(x + i, n) * b);
    }
}

/* flags of the kernels below: 1 clean given, 2 mask given, 4 Linf, 8 group
 * is a sample, 16 on the surface */

float sum_of(const global float *x, uint n)
{
    float16 s = 0.0f;
    for (uint i = 0; i < n; i += 16)
        s += load_n(x + i, n - i);
    return sum16(s);
}

float squares_of(const global float *x, uint n, float centre)
{
    float16 s = 0.0f;
    uint i = 0;
    for (; i + 16 <= n; i += 16) {
        float16 v = vload16(0, x + i) - centre;
        s = fma(v, v, s);
    }
    float r = sum16(s);
    for (; i < n; i++)
        r += (x[i] - centre) * (x[i] - centre);
    return r;
}

/* The length that eps = 1 stands for, over tokens [t0, t1) of a sample whose
 * activations and mask start at x and mask. */
float ball_unit(const global float *x, const global int *mask, uint t0, uint t1,
                uint width, uint flags)
{
    float sum = 0.0f, sq = 0.0f, count = 0.0f;
    if (!(flags & 1))
        return 1.0f;
    for (uint t = t0; t < t1; t++)
        if (!(flags & 2) || mask[t]) {
            sum += flags & 4 ? sum_of(x + (ulong)t * width, width) : 0.0f;
            count += width;
        }
    float centre = count > 0.0f ? sum / count : 0.0f;
    for (uint t = t0; t < t1; t++)
        if (!(flags & 2) || mask[t])
            sq += squares_of(x + (ulong)t * width, width, centre);
    if (count == 0.0f)
        return 0.0f;
    return flags & 4 ? sqrt(sq / count) : sqrt(sq);
}

kernel void perturb_step(global float *delta, const global float *grad,
                         const global float *clean, const global int *mask,
                         uint n, uint tokens, uint width, uint flags, float eps,
                         float alpha)
{
    uint id = get_global_id(0), per = flags & 8 ? 1 : tokens;
    if (id >= n * per)
        return;
    uint sample = id / per, t0 = flags & 8 ? 0 : id % per;
    uint t1 = flags & 8 ? tokens : t0 + 1;
    ulong base = (ulong)sample * tokens * width;
    delta += base;
    grad += base;
    if (flags & 1)
        clean += base;
    if (flags & 2)
        mask += (ulong)sample * tokens;
    float unit = ball_unit(clean, mask, t0, t1, width, flags);
    float radius = eps * unit, step = alpha * unit, sq = 0.0f;
    if (!(flags & 4)) {
        for (uint t = t0; t < t1; t++)
            if (!(flags & 2) || mask[t])
                sq += squares_of(grad + (ulong)t * width, width, 0.0f);
        step = sq > 0.0f ? step / sqrt(sq) : 0.0f;
    }
    sq = 0.0f;
    for (uint t = t0; t < t1; t++) {
        bool real = !(flags & 2) || mask[t];
        for (uint i = 0; i < width; i += 16) {
            ulong at = (ulong)t * width + i;
            float16 g = load_n(grad + at, width - i);
            float16 d = load_n(delta + at, width - i);
            if (flags & 4)
                d = clamp(d + step * sign(g), -radius, radius);
            else
                d = d + step * g;
            d = real ? d : (float16)(0.0f);
            sq += sum16(d * d);
            store_n(delta + at, width - i, d);
        }
    }
    if ((flags & 4) || sqrt(sq) <= radius)
        return;
    float scale = radius / sqrt(sq);
    for (uint t = t0; t < t1; t++)
        for (uint i = 0; i < width; i += 16) {
            ulong at = (ulong)t * width + i;
            store_n(delta + at, width - i,
                    load_n(delta + at, width - i) * scale);
        }
}

kernel void random_delta(global float *delta, const global float *clean,
                         const global int *mask, const global uint *keys,
                         uint n, uint tokens, uint width, uint flags, float eps,
                         ulong seed)
{
    uint id = get_global_id(0), per = flags & 8 ? 1 : tokens;
    if (id >= n * per)
        return;
    uint sample = id / per, t0 = flags & 8 ? 0 : id % per;
    uint t1 = flags & 8 ? tokens : t0 + 1;
    ulong key = keys[2 * sample] | (ulong)keys[2 * sample + 1] << 32;
    ulong base = (ulong)sample * tokens * width;
    delta += base;
    if (flags & 1)
        clean += base;
    if (flags & 2)
        mask += (ulong)sample * tokens;
    float radius = eps * ball_unit(clean, mask, t0, t1, width, flags);
    float sq = 0.0f;
    uint real = 0;
    for (uint t = t0; t < t1; t++) {
        bool on = !(flags & 2) || mask[t];
        float part = 0.0f;
        real += on ? width : 0;
        for (uint i = 0; i < width; i++) {
            ulong at = (ulong)t * width + i;
            float v = 0.0f;
            if (on && (flags & 4)) {
                v = 2.0f * mohs_rng_uniform(seed, key, at) - 1.0f;
                if (flags & 16)
                    v = v < 0.0f ? -1.0f : 1.0f;
                v *= radius;
            } else if (on) {
                v = mohs_rng_normal(seed, key, at);
            }
            part += v * v;
            delta[at] = v;
        }
        sq += part;
    }
    if (flags & 4)
        return;
    // uniform in the ball: length radius * u^(1/d)
    float len = radius;
    if (!(flags & 16) && real) {
        ulong draw = 2 * (ulong)tokens * width + t0;
        len *= pow(mohs_rng_uniform(seed, key, draw), 1.0f / real);
    }
    float scale = sq > 0.0f ? len / sqrt(sq) : 0.0f;
    for (uint t = t0; t < t1; t++)
        for (uint i = 0; i < width; i++)
            delta[(ulong)t * width + i] *= scale;
}
