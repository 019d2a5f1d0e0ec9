#!/bin/sh
# SPDX-License-Identifier: MIT
# mohs corrupt on what people really have: pictures of every kind, one pixel,
# turned, damaged; texts; one bad file among many; places that cannot be
# written.
set -eu
top=$(cd "${top_builddir:-.}" && pwd)
src=$(cd "${srcdir:-.}" && pwd)
mohs="$top/core/mohs --plugin-dir $top/plugins"
images=$src/tests/golden/images
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
XDG_DATA_HOME=$work/data
MOHS_CACHE_DIR=${MOHS_CACHE_DIR:-$work/cache}
export XDG_DATA_HOME MOHS_CACHE_DIR
unset MOHS_PLUGIN_PATH
cd "$work"
n=0 failed=0

fail() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}

# want CODE STDERR-PATTERN arguments of corrupt
want() {
    code=$1 pattern=$2
    shift 2
    n=$((n + 1))
    rc=0
    $mohs corrupt "$@" > out 2> err || rc=$?
    [ $rc = "$code" ] || fail "$*: exit code $rc, not $code: $(head -3 err)"
    if [ -z "$pattern" ]; then
        [ ! -s err ] || fail "$*: stderr: $(head -3 err)"
    else
        grep -q -e "$pattern" err || fail "$*: stderr has no '$pattern': $(cat err)"
    fi
}

# The width and height of a PNG file.
size() {
    od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4 "x" $7 * 256 + $8 }'
}

# ---- every kind of picture ----
for f in "$images"/*; do
    want 0 '' "$f" -c contrast:1 --out kinds
    stem=$(basename "${f%.*}")
    size "kinds/$stem.contrast.1.png" | grep -q '^[1-9][0-9]*x[1-9]' ||
        fail "$f: $(size "kinds/$stem.contrast.1.png")"
done
# turned: 5 to 8 stand where 1 to 4 lie
for i in 1 2 3 4 5 6 7 8; do
    upright=$(size kinds/exif1.contrast.1.png)
    [ $i -lt 5 ] || upright="${upright#*x}x${upright%x*}"
    [ "$(size kinds/exif$i.contrast.1.png)" = "$upright" ] ||
        fail "EXIF orientation $i: $(size kinds/exif$i.contrast.1.png)"
done

# ---- one pixel, one line; every corruption, every severity ----
pixel() { # a PNG of 1 x 1, RGB
    printf 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNocFAAAAIkAOGrWWInAAAAAElFTkSuQmCC' |
        base64 -d > "$1"
}
pixel one.png
printf 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABEAAAAABq7kcWAAAAC0lEQVR4nGNgvwAAAOEA2LBPJ3EAAAAASUVORK5CYII=' | base64 -d > two_metres.png # 1 x 1, grey of 16 bits
$mohs list --json corruption > items.json
pictures=$(tr '{' '\n' < items.json | sed -n 's/^"id": "\([a-z0-9_]*\)", "kind": "corruption".*/\1/p' |
    grep -v -e '^typo_' -e '^homoglyph$' -e '^case_change$' -e '^punctuation$' \
        -e '^word_' -e '^synonym$' | paste -sd,)
[ "$(echo "$pictures" | tr , '\n' | wc -l)" = 39 ] || fail "pictures' corruptions: $pictures"
want 0 '' one.png -c "$pictures" --depth two_metres.png --out one
[ "$(find one -name 'one.*.png' | wc -l)" = 195 ] || fail "one pixel: $(find one | wc -l) files"
for p in imagecorruptions tinyimagenet cifar; do
    want 0 '' one.png "$images/p_short.png" "$images/exif6.jpg" -c fog,snow,frost,spatter,zoom_blur,elastic_transform,glass_blur,pixelate,motion_blur \
        --profile $p --out one
done

# ---- what readers of data sets take: the same pictures ----
mkdir -p classes/cat classes/dog wds/test tables
cp one.png classes/cat/a.png
cp "$images/exif6.jpg" classes/dog/a.jpg
echo 0 > a.cls
cp one.png a.png
tar -cf lone.tar a.png a.cls
cp lone.tar wds/test/0.tar
want 0 '' one.png "$images/exif6.jpg" -c contrast:1 --out lone
for from in "classes cat_a dog_a" "lone.tar lone_a" "wds 0_a"; do
    set -- $from
    want 0 '' "$1" -c contrast:1 --out sets
    cmp -s "sets/$2.contrast.1.png" lone/one.contrast.1.png || fail "$1: $(ls sets)"
    [ $# = 2 ] || cmp -s "sets/$3.contrast.1.png" lone/exif6.contrast.1.png || fail "$1: $3"
done
want 0 '' "$src/tests/golden/data/parquet/snappy.parquet" -c contrast:1 --out sets
[ "$(ls sets | grep -c '^snappy_[0-9]*.contrast')" -gt 1 ] || fail "Parquet: $(ls sets)"
want 2 "would write the same files" lone.tar lone.tar -c contrast:1 --out sets
want 2 "in files of their own" lone.tar -c fog_3d:1 --depth two_metres.png --out sets
want 3 "tables: " tables -c contrast:1 --out sets
mkdir nowhere
head -c 540 lone.tar > nowhere/0.tar
want 3 'nowhere/0.tar: the archive ends within "a.png"' nowhere -c contrast:1 --out sets

# ---- mistakes ----
want 2 "severity '0' is not 1..5" one.png -c fog:0 --out o
want 2 "severity '6' is not 1..5" one.png -c fog:6 --out o
want 2 "severity '' is not 1..5" one.png -c fog: --out o
want 2 "profile: 'imagenet2' is not one of hendrycks, imagecorruptions, tinyimagenet, cifar" \
    one.png -c fog --profile imagenet2 --out o
want 5 "no corruption 'fogg' (did you mean 'fog'?)" one.png -c fogg --out o
want 2 "needs depth maps" one.png -c fog_3d --out o
want 2 "typo_swap is of texts, fog of pictures" one.png -c fog,typo_swap --out o
[ ! -e o ] || fail "mistakes made a folder: $(ls o)"

# ---- damaged files ----
head -c 40 one.png > cut.png
: > empty.png
printf 'GIF89a' > gif.png
head -c 300 "$images/rgb_444.jpg" > cut.jpg
for f in cut.png empty.png gif.png cut.jpg; do
    want 3 "$f: " $f -c contrast:1 --out bad
done
[ -z "$(ls bad)" ] || fail "damaged files made: $(ls bad)"
want 3 "cut.png: " one.png cut.png "$images/grey.png" -c contrast:1,fog:2 --out some
[ "$(find some -type f | wc -l)" = 4 ] || fail "one bad file among three: $(ls some)"
want 3 "gone.png: No such file" gone.png -c contrast:1 --out o

# ---- places ----
: > file
want 3 "file: " one.png -c contrast:1 --out file
[ ! -s file ] || fail "the file is no longer empty"
if [ "$(id -u)" != 0 ]; then
    mkdir -m 555 closed
    want 3 "closed/one.contrast.1.png" one.png -c contrast:1 --out closed
fi

# ---- texts ----
dict=$src/tests/golden/wordnet
printf 'a big dog plays in the snow\r\n\nmice ran quickly, quickly' > lines.txt
texts=typo_keyboard,typo_swap,typo_insert,typo_delete,homoglyph,case_change,punctuation,word_drop,word_swap,synonym
want 0 '' lines.txt -c $texts --param "dict=$dict" --out texts
[ "$(find texts -name 'lines.*.txt' | wc -l)" = 50 ] || fail "texts: $(ls texts)"
for f in texts/*; do
    [ "$(wc -l < "$f")" = 3 ] || fail "$f: $(wc -l < "$f") lines"
done
grep -q '^a large hound\|^a large dog\|^a big hound' texts/lines.synonym.5.txt ||
    fail "synonyms: $(cat texts/lines.synonym.5.txt)"
# a line's result does not hang on the others; a second run writes the same
head -1 lines.txt > first.txt
want 0 '' first.txt -c $texts --param "dict=$dict" --out texts2
want 0 '' lines.txt -c $texts --param "dict=$dict" --out texts3
for c in $(echo $texts | tr , ' '); do
    head -1 "texts/lines.$c.3.txt" | cmp -s - "texts2/first.$c.3.txt" ||
        fail "$c: the first line hangs on the rest"
    cmp -s "texts/lines.$c.5.txt" "texts3/lines.$c.5.txt" || fail "$c: not the same again"
done
want 0 '' lines.txt -c typo_swap:3 --seed 9 --out texts2
cmp -s texts2/lines.typo_swap.3.txt texts/lines.typo_swap.3.txt &&
    fail "the seed changes no text"
printf 'good\nbad \377 line\n' > latin.txt
want 3 "latin.txt: line 2 is not UTF-8 text" latin.txt lines.txt -c word_drop:1 --out texts4
[ "$(ls texts4)" = lines.word_drop.1.txt ] || fail "a bad file of texts: $(ls texts4)"
printf 'a\0b\n' > nul.txt
want 3 "nul.txt: line 1 is not UTF-8 text" nul.txt -c word_drop:1 --out texts4
want 3 "empty.png: no lines" empty.png -c word_drop:1 --out texts4
want 3 "synonym: nowhere/index.noun: No such file" lines.txt -c synonym --param dict=nowhere --out texts4
want 2 "rate 2 is outside 0..1" lines.txt -c typo_swap --param rate=2 --out texts4

echo "corrupt: $n runs, $failed failed"
[ "$failed" = 0 ]
