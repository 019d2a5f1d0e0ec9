/* SPDX-License-Identifier: MIT */
/* 16 RGB pixels taken apart and put together; the first `left` of them. */

struct pixels {
    float16 r, g, b;
};

static inline void load_pixels(__global const uchar *p, uint left,
                               struct pixels *x)
{
    uchar16 a, b, c;
    if (left >= 16) {
        a = vload16(0, p);
        b = vload16(1, p);
        c = vload16(2, p);
    } else {
        uchar line[48];
        for (uint i = 0; i < 48; i++)
            line[i] = i < 3 * left ? p[i] : 0;
        a = vload16(0, line);
        b = vload16(1, line);
        c = vload16(2, line);
    }
    x->r = convert_float16((uchar16)(a.s0, a.s3, a.s6, a.s9, a.sc, a.sf, b.s2,
                                     b.s5, b.s8, b.sb, b.se, c.s1, c.s4, c.s7,
                                     c.sa, c.sd));
    x->g = convert_float16((uchar16)(a.s1, a.s4, a.s7, a.sa, a.sd, b.s0, b.s3,
                                     b.s6, b.s9, b.sc, b.sf, c.s2, c.s5, c.s8,
                                     c.sb, c.se));
    x->b = convert_float16((uchar16)(a.s2, a.s5, a.s8, a.sb, a.se, b.s1, b.s4,
                                     b.s7, b.sa, b.sd, c.s0, c.s3, c.s6, c.s9,
                                     c.sc, c.sf));
}

static inline void store_pixels(__global uchar *p, uint left, uchar16 r,
                                uchar16 g, uchar16 b)
{
    uchar16 x = (uchar16)(r.s0, g.s0, b.s0, r.s1, g.s1, b.s1, r.s2, g.s2, b.s2,
                          r.s3, g.s3, b.s3, r.s4, g.s4, b.s4, r.s5);
    uchar16 y = (uchar16)(g.s5, b.s5, r.s6, g.s6, b.s6, r.s7, g.s7, b.s7, r.s8,
                          g.s8, b.s8, r.s9, g.s9, b.s9, r.sa, g.sa);
    uchar16 z = (uchar16)(b.sa, r.sb, g.sb, b.sb, r.sc, g.sc, b.sc, r.sd, g.sd,
                          b.sd, r.se, g.se, b.se, r.sf, g.sf, b.sf);
    if (left >= 16) {
        vstore16(x, 0, p);
        vstore16(y, 1, p);
        vstore16(z, 2, p);
    } else {
        uchar line[48];
        vstore16(x, 0, line);
        vstore16(y, 1, line);
        vstore16(z, 2, line);
        for (uint i = 0; i < 3 * left; i++)
            p[i] = line[i];
    }
}
