/* SPDX-License-Identifier: MIT */
/* Thrift's compact protocol, reading: what Parquet's headers are written in. */
#include "config.h"

#include "data/parquet.h"

enum { DEPTH_MAX = 32 };

static uint8_t byte(struct thrift *t)
{
    if (t->at == t->end)
        t->bad = true;
    return t->bad ? 0 : *t->at++;
}

static uint64_t varint(struct thrift *t)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = byte(t);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    t->bad = true;
    return 0;
}

static int64_t zigzag(struct thrift *t)
{
    uint64_t v = varint(t);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

bool thrift_field(struct thrift *t, int32_t *id, uint8_t *type)
{
    uint8_t b = byte(t);
    if (t->bad || !b)
        return false;
    *type = b & 15;
    int64_t next = b >> 4 ? *id + (b >> 4) : zigzag(t);
    if (*type == 0 || *type > THRIFT_STRUCT || next < 0 || next > INT16_MAX)
        t->bad = true;
    *id = (int32_t)next;
    return !t->bad;
}

int64_t thrift_int(struct thrift *t, uint8_t type)
{
    if (type < 3 || type > 6)
        t->bad = true;
    return t->bad ? 0 : type == 3 ? (int8_t)byte(t) : zigzag(t);
}

bool thrift_bool(struct thrift *t, uint8_t type)
{
    if (type != THRIFT_TRUE && type != THRIFT_TRUE + 1)
        t->bad = true;
    return !t->bad && type == THRIFT_TRUE;
}

const char *thrift_bytes(struct thrift *t, uint8_t type, size_t *n)
{
    uint64_t len = type == THRIFT_BYTES ? varint(t) : 0;
    if (type != THRIFT_BYTES || len > (size_t)(t->end - t->at))
        t->bad = true;
    *n = t->bad ? 0 : (size_t)len;
    const char *s = (const char *)t->at;
    t->at += *n;
    return s;
}

size_t thrift_list(struct thrift *t, uint8_t type, uint8_t *element)
{
    uint8_t b = type == THRIFT_LIST ? byte(t) : 0;
    uint64_t n = b >> 4 == 15 ? varint(t) : b >> 4;
    *element = b & 15;
    if (type != THRIFT_LIST || n > (size_t)(t->end - t->at))
        t->bad = true;
    return t->bad ? 0 : (size_t)n;
}

static void skip(struct thrift *t, uint8_t type, bool in_list, unsigned depth);

static void skip_list(struct thrift *t, unsigned depth)
{
    uint8_t element;
    size_t n = thrift_list(t, THRIFT_LIST, &element);
    for (size_t i = 0; i < n && !t->bad; i++)
        skip(t, element, true, depth);
}

static void skip_map(struct thrift *t, unsigned depth)
{
    uint64_t n = varint(t);
    uint8_t types = n ? byte(t) : 0;
    for (uint64_t i = 0; i < n && !t->bad; i++) {
        skip(t, types >> 4, true, depth);
        skip(t, types & 15, true, depth);
    }
}

static void skip_struct(struct thrift *t, unsigned depth)
{
    int32_t id = 0;
    uint8_t type;
    while (thrift_field(t, &id, &type))
        skip(t, type, false, depth);
}

static void skip(struct thrift *t, uint8_t type, bool in_list, unsigned depth)
{
    size_t n;
    if (depth == DEPTH_MAX)
        t->bad = true;
    if (t->bad)
        return;
    switch (type) {
    case 1:
    case 2:
        if (in_list) // as a field, the type is the value
            byte(t);
        break;
    case 3: byte(t); break;
    case 4:
    case 5:
    case 6: varint(t); break;
    case 7:
        for (int i = 0; i < 8; i++)
            byte(t);
        break;
    case THRIFT_BYTES: thrift_bytes(t, type, &n); break;
    case THRIFT_LIST:
    case 10: skip_list(t, depth + 1); break;
    case 11: skip_map(t, depth + 1); break;
    case THRIFT_STRUCT: skip_struct(t, depth + 1); break;
    default: t->bad = true;
    }
}

void thrift_skip(struct thrift *t, uint8_t type)
{
    skip(t, type, false, 0);
}
