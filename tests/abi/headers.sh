#!/bin/sh
# SPDX-License-Identifier: MIT
# Every public header compiles alone as C11 and as C++11 and 17, and the
# first version's structs keep their size and layout.
set -eu
src=${srcdir:-.}
inc=$src/core/include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc=${CC:-cc}
cxx=${CXX:-c++}
warn="-Wall -Wextra -Werror -pedantic"
fail=0 n=0

try() {
    n=$((n + 1))
    if ! "$@" > "$work/log" 2>&1; then
        echo "FAIL: $*"
        cat "$work/log"
        fail=$((fail + 1))
    fi
}

have_cxx=yes
command -v "$cxx" > /dev/null 2>&1 || have_cxx=no
for h in $(cd "$inc" && find mohs -name '*.h' | sort); do
    printf '#include <%s>\n#include <%s>\n' "$h" "$h" > "$work/one.c"
    cp "$work/one.c" "$work/one.cc"
    try "$cc" -std=c11 $warn -Wstrict-prototypes -I"$inc" -c -o "$work/one.o" \
        "$work/one.c"
    [ $have_cxx = no ] && continue
    for std in c++11 c++17; do
        try "$cxx" -std=$std $warn -I"$inc" -c -o "$work/one.o" "$work/one.cc"
    done
done

# No header drags in what plugins must not see.
for bad in 'CL/' 'lua.h' 'config.h' 'base/'; do
    if grep -rn "#include.*$bad" "$inc"; then
        echo "FAIL: a public header includes $bad"
        fail=$((fail + 1))
    fi
done

try "$cc" -std=c11 $warn -I"$inc" -c -o "$work/layout.o" "$src/tests/abi/layout.c"
[ $have_cxx = yes ] && try "$cxx" -x c++ -std=c++11 $warn -I"$inc" -c \
    -o "$work/layout.o" "$src/tests/abi/layout.c"
echo "$n compilations, $fail failed (C++: $have_cxx)"
[ $fail = 0 ]
