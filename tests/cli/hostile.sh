#!/bin/sh
# SPDX-License-Identifier: MIT
# Files made to harm, as a user meets them: pictures of a billion pixels,
# archives that point elsewhere, a pickle that names os.system, tensors over
# each other, JSON without end. Each is one line that names the file and what
# is wrong, with the exit code of bad input; nothing is executed or written.
set -eu
top=$(cd "${top_builddir:-.}" && pwd)
src=$(cd "${srcdir:-.}" && pwd)
mohs="$top/core/mohs --plugin-dir $top/plugins"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
XDG_DATA_HOME=$work/data
MOHS_CACHE_DIR=$work/cache
export XDG_DATA_HOME MOHS_CACHE_DIR
unset MOHS_PLUGIN_PATH
mkdir "$work/in"
cd "$work/in"
n=0 failed=0

fail() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}

# refuses FILE PATTERN COMMAND...: bad input, one line that names the file (on
# stdout where a table of findings is printed), and no file more than before
refuses() {
    file=$1 pattern=$2
    shift 2
    n=$((n + 1))
    find "$work/in" | sort > "$work/before"
    rc=0
    $mohs "$@" > "$work/out" 2> "$work/err" || rc=$?
    find "$work/in" | sort > "$work/after"
    [ $rc = 3 ] || fail "$*: exit code $rc, not 3: $(head -3 "$work/err")"
    [ "$(grep -c . "$work/err")" = 1 ] || fail "$*: stderr: $(cat "$work/err")"
    cat "$work/out" "$work/err" | grep -F "$file" | grep -q -e "$pattern" ||
        fail "$*: no '$file ... $pattern': $(cat "$work/out" "$work/err")"
    cmp -s "$work/before" "$work/after" || fail "$*: files came or went"
}

# Integers of N bytes, little and big end first: le N VALUE.
le() {
    printf "$(awk -v n="$1" -v v="$2" 'BEGIN {
        for (i = 0; i < n; i++) { printf "\\%03o", v % 256; v = int(v / 256) } }')"
}
be() {
    printf "$(awk -v n="$1" -v v="$2" 'BEGIN {
        for (i = n - 1; i >= 0; i--) printf "\\%03o", int(v / 256 ^ i) % 256 }')"
}

# ---- pictures ----
# png_chunk TYPE, its bytes on stdin
png_chunk() {
    { printf %s "$1"; cat; } > "$work/chunk"
    be 4 $(($(wc -c < "$work/chunk") - 4))
    cat "$work/chunk"
    printf "$(gzip -c "$work/chunk" | tail -c 8 | od -An -tu1 -N4 |
        awk '{ printf "\\%03o\\%03o\\%03o\\%03o", $4, $3, $2, $1 }')"
}
# A PNG of nothing but its size: png WIDTH HEIGHT
png() {
    printf '\211PNG\r\n\032\n'
    { be 4 "$1"; be 4 "$2"; printf '\010\002\0\0\0'; } | png_chunk IHDR
    png_chunk IEND < /dev/null
}
# A JPEG of nothing but its size and a scan: jpeg WIDTH HEIGHT
jpeg() {
    printf '\377\330\377\300\0\021\010'
    be 2 "$2"
    be 2 "$1"
    printf '\003\001\021\0\002\021\001\003\021\001'
    printf '\377\332\0\014\003\001\0\002\021\003\021\0\077\0\0\377\331'
}
# A WebP of nothing but its size
webp() {
    printf 'RIFF\022\0\0\0WEBPVP8L\005\0\0\0\057\377\377\377\017\0'
}
picture() { # FILE PATTERN
    refuses "$1" "$2" corrupt "$1" -c contrast:1 --out ../pictures
}
png 2147483647 1 > wide.png
picture wide.png 'size 2147483647 x 1 exceeds the limit of 178956970 pixels'
png 2147483647 2147483647 > all.png
picture all.png 'size 2147483647 x 2147483647 exceeds'
png 60000 60000 > large.png
picture large.png 'size 60000 x 60000 exceeds'
png 4294967295 4294967295 > minus.png
picture minus.png 'exceeds the limit'
png 0 7 > none.png
picture none.png 'damaged PNG: Invalid IHDR'
png 12000 12000 > small.png
picture small.png 'damaged PNG: IEND: out of place'
png 50 50 | head -c 40 > cut.png
picture cut.png 'damaged PNG: truncated'
head -c 100 "$src/tests/golden/images/rgb.png" > half.png
picture half.png 'damaged PNG: truncated'
jpeg 65500 65500 > large.jpg
picture large.jpg 'size 65500 x 65500 exceeds'
jpeg 65535 65535 > all.jpg
picture all.jpg 'Maximum supported image dimension is 65500'
head -c 300 "$src/tests/golden/images/rgb_444.jpg" > half.jpg
picture half.jpg 'truncated JPEG, 300 bytes'
webp > large.webp
picture large.webp 'size 16384 x 16384 exceeds'
head -c 40 "$src/tests/golden/images/lossy.webp" > half.webp
picture half.webp 'WebP'
printf 'GIF89a\377\377\377\377\200\0\0' > huge.gif
picture huge.gif 'not a JPEG, PNG or WebP'
cp huge.gif gif.png
picture gif.png 'not a JPEG, PNG or WebP'
: > empty.png
picture empty.png 'not a JPEG, PNG or WebP'
mkfifo pipe.png
picture pipe.png 'a pipe, not a picture'
n=$((n + 1))
[ -z "$(ls ../pictures)" ] || fail "pictures were written: $(ls ../pictures)"

# ---- archives ----
mkdir -p set/test sample/deep
cp "$src/tests/golden/images/rgb.png" sample/a.png
echo 0 > sample/a.cls
cp sample/a.* sample/deep
archive() { # PATTERN MEMBER...: the pattern is said of an archive of these
    pattern=$1
    shift
    (cd sample/deep && tar -P -cf ../../set/test/0.tar "$@" 2> /dev/null)
    refuses set/test/0.tar "$pattern" data check set
}
archive 'member "../a.png" is no relative path without ".."' ../a.png ../a.cls
archive 'is no relative path' "$work/in/sample/a.png" a.cls
ln -s /etc/passwd sample/deep/l.png
archive 'member "l.png" is a link' l.png a.cls
ln sample/deep/a.png sample/deep/h.png
archive 'member "h.png" is a link' a.png a.cls h.png
mkfifo sample/deep/f.png
archive 'member "f.png" is a device or pipe' f.png a.cls
(cd sample && tar -czf ../set/test/0.tar a.png a.cls)
refuses set/test/0.tar 'compressed with gzip' data check set
(cd sample && tar -cf - a.png a.cls) | head -c 700 > set/test/0.tar
refuses set/test/0.tar 'the archive ends within "a.png"' data check set

# ---- weights ----
# A zip archive of one stored member: zip NAME FILE
zip() {
    bytes=$(wc -c < "$2")
    printf 'PK\003\004' && le 14 0 && le 4 "$bytes" && le 4 "$bytes"
    le 2 ${#1} && le 2 0 && printf %s "$1" && cat "$2"
    printf 'PK\001\002' && le 16 0 && le 4 "$bytes" && le 4 "${3:-$bytes}"
    le 2 ${#1} && le 16 0 && printf %s "$1"
    printf 'PK\005\006' && le 4 0 && le 2 1 && le 2 1 && le 4 $((46 + ${#1}))
    le 4 $((30 + ${#1} + bytes)) && le 2 0
}
printf '\200\002cos\nsystem\nX\015\0\0\0touch ../pwned\205R.' > "$work/pickle"
zip a/data.pkl "$work/pickle" > system.pt
refuses system.pt 'names os.system' info system.pt
printf '\200\002c__builtin__\neval\nX\001\0\0\0001\205R.' > "$work/pickle"
zip a/data.pkl "$work/pickle" > eval.pt
refuses eval.pt 'names __builtin__.eval' info eval.pt
zip a/data.pkl "$work/pickle" 1073741824 > bomb.pt
refuses bomb.pt 'but has 1073741824' info bomb.pt
printf 'cos\nsystem\n(S"touch ../pwned"\ntR.' > bare.pt
refuses bare.pt 'not a' info bare.pt
# safetensors HEADER: sixteen bytes of data
safetensors() {
    le 8 ${#1}
    printf %s "$1"
    head -c 16 /dev/zero
}
safetensors '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}' > over.safetensors
refuses over.safetensors 'tensors "a" and "b" overlap' info over.safetensors
safetensors '{"a":{"dtype":"F32","shape":[65536,65536,65536,65536],"data_offsets":[0,16]}}' > size.safetensors
refuses size.safetensors 'tensor "a"' info size.safetensors
safetensors '{"a":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}' > behind.safetensors
refuses behind.safetensors 'tensor "a"' info behind.safetensors
le 8 4611686018427387904 > header.safetensors
refuses header.safetensors 'header of 4611686018427387904 bytes in a file of 8' info header.safetensors
n=$((n + 1))
[ ! -e "$work/pwned" ] || fail "a pickle was executed"

# ---- JSON ----
deep() { # PREFIX
    awk -v p="$1" 'BEGIN { printf "%s", p; for (i = 0; i < 200000; i++) printf "[" }'
}
mkdir model captions notes
safetensors '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}' > model/model.safetensors
deep '{"model_type":' > model/config.json
refuses model/config.json 'depth' info model
deep '{"images":' > captions/captions_a.json
refuses captions/captions_a.json 'images\[0\]' data check captions
deep '{"images":[{"id":1,"file_name":"a.png","x":' > captions/captions_a.json
refuses captions/captions_a.json 'nested' data check captions
deep '{"images":' > dataset_a.json
mv dataset_a.json notes
refuses notes/dataset_a.json 'images\[0\]' data check notes
deep '{"a":' > results.json
refuses results.json 'not a database' rerun results.json
refuses results.json 'not a database' results show results.json
refuses results.json 'not a database' report results.json --out report.html

echo "$n checks, $failed failed"
[ $failed = 0 ]
