#!/bin/sh
# SPDX-License-Identifier: MIT
# Plugins as strangers write them: the one of plugins/README.md and what
# `mohs plugin new` makes, built outside the tree with pkg-config, checked and
# used. Against the build tree, or the installed files when INSTALLED is set
# (PATH and PKG_CONFIG_PATH then lead to them).
set -eu
src=$(cd "${srcdir:-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${INSTALLED:-}" ]; then
    PATH=$(cd "${top_builddir:-.}/core" && pwd):$PATH
    cat > "$work/mohs-plugin.pc" <<PC
prefix=$work/nowhere
corruptionsdir=$work/installed/corruptions
modelsdir=$work/installed/models
attacksdir=$work/installed/attacks
metricsdir=$work/installed/metrics
Name: mohs-plugin
Description: headers of this tree
Version: 0
Cflags: -I$src/core/include
PC
    PKG_CONFIG_PATH=$work
    export PATH PKG_CONFIG_PATH
fi
mohs=$(command -v mohs)
cc=${CC:-cc}
CC=$cc
export CC
cd "$work"

say() {
    echo "outoftree: $*"
}

# The README's code and commands, as they stand there.
block() {
    sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$src/plugins/README.md" | sed '/^```/d'
}
block c > dead_pixels.c
block sh > commands.sh
test -s dead_pixels.c && test -s commands.sh
base64 -d > photo.png <<PNG
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mOsiDrBgA0wMeAAg1MC
AEPjAaoTbmHcAAAAAElFTkSuQmCC
PNG
PATH="$work:$PATH" sh -eu commands.sh > log 2>&1 || { cat log; exit 1; }
grep '^0 failed\|, 0 failed' log > /dev/null
for s in 1 2 3 4 5; do
    test -s "corrupted/photo.dead_pixels.$s.png"
done
"$cc" -std=c11 -Wall -Wextra -Werror -pedantic -Wshadow -fPIC -fvisibility=hidden \
    $(pkg-config --cflags mohs-plugin) -c -o /dev/null dead_pixels.c
say "plugins/README.md: its plugin builds, passes the check and corrupts"

for kind in model corruption attack metric; do
    "$mohs" -q plugin new $kind my_$kind
    make -C my_$kind CFLAGS='-O2 -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla' \
        check > log 2>&1 || { cat log; exit 1; }
    grep ', 0 failed' log > /dev/null
    "$mohs" --plugin-dir my_$kind info my_$kind > /dev/null
    make -s -C my_$kind DESTDIR="$work/dest" install
    test -n "$(find dest -name my_$kind.so)"
    say "$kind: made, built without a warning, passes the check"
done

# Nothing is overwritten, names are judged.
cp my_metric/my_metric.c before.c
refused() {
    if "$@" > /dev/null 2> log; then
        say "not refused: $*"
        exit 1
    fi
    test "$(wc -l < log)" = 1
}
refused "$mohs" plugin new metric my_metric
cmp before.c my_metric/my_metric.c
for bad in ../x A 9x x-y '' "$(printf 'a%.0s' $(seq 70))"; do
    refused "$mohs" plugin new metric "$bad"
done
say "plugin new refuses what it should"
