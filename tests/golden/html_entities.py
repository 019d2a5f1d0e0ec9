# SPDX-License-Identifier: MIT
"""Writes core/model/html_entities.c: the named character references of the
HTML standard, from Python's html.entities.

  html_entities.py > ../../core/model/html_entities.c
"""
from html.entities import html5

HEAD = """/* SPDX-License-Identifier: MIT */
/*
 * The named character references of the HTML standard: a name, a NUL, and
 * its characters in UTF-8, sorted by name. Written by
 * tests/golden/html_entities.py.
 */
#include "config.h"

#include "model/html_entities.h"

const char *const html_entities[HTML_ENTITIES] = {
"""


def literal(name, text):
    out = name + "\\000"
    for c in text.encode():
        out += chr(c) if 32 <= c < 127 and c not in b'"\\' else "\\%03o" % c
    return '"' + out + '",'


line = "   "
print(HEAD, end="")
for name in sorted(html5):
    item = literal(name, html5[name])
    if len(line) + 1 + len(item) > 80:
        print(line)
        line = "   "
    line += " " + item
print(line)
print("};")
