/* SPDX-License-Identifier: MIT */
/*
 * Version, size and export macros shared by every public header.
 *
 * The ABI number is major << 16 | minor. A host of major M loads plugins of
 * major M and any minor. Structs only ever grow at their end; a reader asks
 * MOHS_HAS() before it touches a field added after 1.0.
 */
#ifndef MOHS_ABI_H
#define MOHS_ABI_H

#include <stddef.h>
#include <stdint.h>

#define MOHS_ABI_MAJOR 1u
#define MOHS_ABI_MINOR 0u
#define MOHS_ABI ((uint32_t)(MOHS_ABI_MAJOR << 16 | MOHS_ABI_MINOR))

/* True when *p (whose first field is `size`) is large enough to contain f. */
#define MOHS_COVERS(type, p, f) \
    ((p)->size >= offsetof(type, f) + sizeof((p)->f))
/* True when *p contains the pointer or number f and it is not zero. */
#define MOHS_HAS(type, p, f) (MOHS_COVERS(type, p, f) && (p)->f)

#if defined(__GNUC__)
#define MOHS_EXPORT __attribute__((visibility("default")))
#define MOHS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define MOHS_EXPORT
#define MOHS_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
#define MOHS_BEGIN_DECLS extern "C" {
#define MOHS_END_DECLS }
#else
#define MOHS_BEGIN_DECLS
#define MOHS_END_DECLS
#endif

#endif
