/* SPDX-License-Identifier: MIT */
/* Base64 (RFC 4648), with padding. */
#include "config.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void str_add_base64(struct str *b, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)p[i] << 16 |
                     (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        char out[4] = { digits[v >> 18], digits[v >> 12 & 63],
                        left > 1 ? digits[v >> 6 & 63] : '=',
                        left > 2 ? digits[v & 63] : '=' };
        str_addn(b, out, 4);
    }
}

static int value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(const char *s, uint8_t **out, size_t *n)
{
    size_t len = strlen(s), pad = 0, k = 0;
    while (pad < 2 && pad < len && s[len - 1 - pad] == '=')
        pad++;
    if (len % 4)
        return false;
    uint8_t *p = xmalloc(len / 4 * 3 + 1);
    for (size_t i = 0; i < len; i += 4) {
        uint32_t v = 0;
        for (size_t j = 0; j < 4; j++) {
            int d = i + j < len - pad ? value(s[i + j]) : 0;
            if (d < 0) {
                free(p);
                return false;
            }
            v = v << 6 | (uint32_t)d;
        }
        for (int j = 16; j >= 0; j -= 8)
            p[k++] = (uint8_t)(v >> j);
    }
    *n = k - (len ? pad : 0);
    *out = p;
    return true;
}
