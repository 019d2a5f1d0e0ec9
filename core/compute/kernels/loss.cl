/* SPDX-License-Identifier: MIT */
/* Losses over rows of scores [n, m], and their gradients. */

kernel void cross_entropy_rows(const global float *x, const global int *target,
                               global float *lse, global float *loss, uint n,
                               uint m, int targeted, uint share)
{
    uint r = get_global_id(0) * share, end = min(n, r + share);
    for (; r < end; r++) {
        const global float *p = x + (ulong)r * m;
        float top = -INFINITY;
        for (uint i = 0; i < m; i++)
            top = fmax(top, p[i]);
        float16 s = 0.0f;
        uint i = 0;
        for (; i + 16 <= m; i += 16)
            s += exp16(vload16(0, p + i) - top);
        float sum = sum16(s);
        for (; i < m; i++)
            sum += exp1(p[i] - top);
        float l = top + log(sum);
        uint t = targeted ? (uint)target[r] : r;
        lse[r] = l;
        loss[r] = t < m ? l - p[t] : NAN;
    }
}

/* dx = (softmax(x) - onehot) dloss / n */
kernel void cross_entropy_rows_grad(const global float *dloss,
                                    const global float *x,
                                    const global float *lse,
                                    const global int *target, global float *dx,
                                    uint n, uint m, int targeted, uint share)
{
    uint r = get_global_id(0) * share, end = min(n, r + share);
    float g = dloss[0] / n;
    for (; r < end; r++) {
        ulong at = (ulong)r * m;
        for (uint i = 0; i < m; i += 16)
            store_n(dx + at + i, m - i,
                    exp16(load_n(x + at + i, m - i) - lse[r]) * g);
        uint t = targeted ? (uint)target[r] : r;
        if (t < m)
            dx[at + t] -= g;
    }
}

float16 softplus16(float16 x)
{
    return fmax(x, 0.0f) + log1p(exp16(-fabs(x)));
}

/* loss[r] = sum over i of softplus(-z x), z = 1 for i == r, else -1. */
kernel void sigmoid_rows(const global float *x, global float *loss, uint n,
                         uint m, uint share)
{
    uint r = get_global_id(0) * share, end = min(n, r + share);
    for (; r < end; r++) {
        const global float *p = x + (ulong)r * m;
        float16 s = 0.0f;
        for (uint i = 0; i < m; i += 16) {
            float16 v = softplus16(load_n(p + i, m - i));
            if (m - i < 16)
                v = select((float16)(0.0f), v,
                           (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
                                   13, 14, 15) < (int16)((int)(m - i)));
            s += v;
        }
        // softplus(-x) = softplus(x) - x
        loss[r] = r < m ? sum16(s) - p[r] : sum16(s);
    }
}

/* dx = (sigmoid(x) - [i == r]) dloss / n */
kernel void sigmoid_rows_grad(const global float *dloss, const global float *x,
                              global float *dx, uint n, uint m, uint share)
{
    uint r = get_global_id(0) * share, end = min(n, r + share);
    float g = dloss[0] / n;
    for (; r < end; r++) {
        ulong at = (ulong)r * m;
        for (uint i = 0; i < m; i += 16) {
            float16 v = load_n(x + at + i, m - i);
            store_n(dx + at + i, m - i, g / (1.0f + exp16(-v)));
        }
        if (r < m)
            dx[at + r] -= g;
    }
}
