#!/bin/sh
# SPDX-License-Identifier: MIT
# The command line as users and scripts meet it: exit codes, one line of error,
# data on stdout, talk on stderr, help and manual in step with the table.
set -eu
top=$(cd "${top_builddir:-.}" && pwd)
source=$(cd "${srcdir:-.}" && pwd)
mohs=$top/core/mohs
good=$top/tests/plugins/good
bad=$top/tests/plugins/bad
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
XDG_DATA_HOME=$work/data
MOHS_CACHE_DIR=$work/cache
export XDG_DATA_HOME MOHS_CACHE_DIR
unset MOHS_PLUGIN_PATH MOHS_DEVICE
cd "$work"
n=0 failed=0

fail() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}

# want CODE STDERR-PATTERN command ...: '' wants an empty stderr; an error is
# one line.
want() {
    code=$1 pattern=$2
    shift 2
    n=$((n + 1))
    rc=0
    "$@" > out 2> err || rc=$?
    [ $rc = "$code" ] || fail "$*: exit code $rc, not $code: $(head -3 err)"
    if [ -z "$pattern" ]; then
        [ ! -s err ] || fail "$*: stderr: $(head -3 err)"
    else
        grep -q -e "$pattern" err || fail "$*: stderr has no '$pattern': $(cat err)"
    fi
    if [ $rc -gt 1 ]; then
        [ "$(grep -c . err)" = 1 ] || fail "$*: $(grep -c . err) lines on stderr"
    fi
}

# has PATTERN: what the last command printed
has() {
    n=$((n + 1))
    grep -q -e "$1" out || fail "stdout has no '$1': $(head -3 out)"
}

json() {
    n=$((n + 1))
    command -v python3 > /dev/null 2>&1 || return 0
    python3 -c "import json,sys; d=json.load(open('out')); sys.exit(not ($1))" ||
        fail "JSON: $1"
}

# ---- help, version, mistakes ----
want 0 '' "$mohs" --version
has '^mohs [0-9]'
want 0 '' "$mohs" --help
has '^usage: mohs'
for c in $("$mohs" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    want 0 '' "$mohs" help "$c"
    has "^usage: mohs $c"
    want 0 '' "$mohs" "$c" --help
    has "^usage: mohs $c"
    want 2 "unknown option '--no-such-thing'" "$mohs" "$c" --no-such-thing
done
"$mohs" > out 2> err && fail "no command: exit code 0"
grep -q 'usage: mohs' err || fail "no command: no usage"
want 2 "unknown command 'lst' (did you mean 'list'?)" "$mohs" lst
want 2 "unknown command 'qqqqqqqqq'" "$mohs" qqqqqqqqq
want 2 "unknown option '--jsn' (did you mean '--json'?)" "$mohs" list --jsn
want 2 "unknown option -Z" "$mohs" list -Z
want 2 "needs an argument" "$mohs" --device
want 2 "takes no argument" "$mohs" list --json=yes
want 2 "unknown 'atacks' (did you mean 'attacks'?)" "$mohs" list atacks
want 2 "unexpected 'b'" "$mohs" info a b
want 2 "something is missing" "$mohs" info
want 0 '' "$mohs" help --man
has '^\.TH MOHS 1'
for c in list corrupt plugin; do
    has "^\.SS $c"
done
cmp -s out "$top/docs/mohs.1" || fail "docs/mohs.1 is not what the table says"
if command -v man > /dev/null 2>&1; then
    want 0 '' man --warnings -l -Tutf8 "$top/docs/mohs.1"
fi
want 0 '' "$mohs" help --completion bash
cp out completion.bash
if command -v bash > /dev/null 2>&1; then
    want 0 '' bash -c '. ./completion.bash; COMP_WORDS=(mohs plugin ch); \
        COMP_CWORD=2; _mohs; echo "${COMPREPLY[@]}"'
    has '^check$'
fi

# ---- list and info ----
want 0 '' "$mohs" --plugin-dir "$good" list corruptions
has '^t_gain  *darker'
want 0 '' "$mohs" list --plugin-dir "$good" --json
json 'any(i["id"] == "t_gain" and i["kind"] == "corruption" for i in d)'
json 'all({"id", "kind", "summary", "params"} <= set(i) for i in d)'
json '[p["name"] for i in d if i["id"] == "t_gain" for p in i["params"]] == ["n", "gain", "flag", "mode", "label", "list"]'
json '[p["default"] for i in d if i["id"] == "t_gain" for p in i["params"]] == [3, 0.5, True, "l2", "plain", [1, 5, 10]]'
json '[(p["min"], p["max"]) for i in d if i["id"] == "t_gain" for p in i["params"] if p["name"] == "gain"] == [(0, 2)]'
want 0 '' "$mohs" --plugin-dir "$good" info t_gain
has 'mode = "l2"  (one of linf, l2, l1)'
want 5 "no item 't_gian' (did you mean 't_gain'?)" "$mohs" --plugin-dir "$good" info t_gian
want 3 'no such directory' "$mohs" --plugin-dir /nonexistent list
# Bad plugins: a line each, nothing else suffers.
want 0 'bad_abi.so: built for plugin ABI 7.0' "$mohs" --plugin-dir "$good" --plugin-dir "$bad" list corruptions
has '^t_healthy'
has '^t_gain  *darker'
[ "$(grep -c warning err)" = "$(grep -c . err)" ] || fail "more than warnings"
[ "$(grep -c bad_undefined err)" = 1 ] || fail "not one line for a bad plugin"
# Built in wins; the working directory is not searched.
cp "$top/tests/plugins/good/.libs/good.so" .
want 0 '' "$mohs" list corruptions
if grep -q t_gain out; then
    fail "the working directory was searched"
fi

# A checkpoint as small as they get: the configuration alone.
config='{\"model_type\": \"clip\", \"projection_dim\": 8, \"vision_config\": '
config=$config'{\"hidden_size\": 8, \"num_attention_heads\": 2, \"image_size\": 16, \"patch_size\": 8}, '
config=$config'\"text_config\": {\"hidden_size\": 8, \"num_attention_heads\": 2, \"vocab_size\": 40}}'
head='{"__metadata__": {"config": "'$config'"}}'
len=${#head}
{
    printf "\\$(printf %o $((len % 256)))\\$(printf %o $((len / 256)))\\0\\0\\0\\0\\0\\0"
    printf '%s' "$head"
} > tiny.safetensors
want 0 '' "$mohs" info tiny.safetensors
has 'model clip'
has 'embeddings of 8, logit scale 14.28'
want 0 '' "$mohs" info tiny.safetensors --json
json 'd["model"] == "clip" and "image.patch" in d["taps"]'
want 0 '' "$mohs" info "$source/tests/golden/families/clip_openai.safetensors"
has 'visual.class_embedding is vision_model.embeddings.class_embedding'
has 'tokenizer none beside it'
want 5 'no model plugin reads' "$mohs" info "$source/tests/golden/torch/nested.pth"
has 'format PyTorch'
has 'types F32 8, F16 1'
has 'configuration none: read from the tensors'
has 'clip: no tensor'
want 5 'no model plugin reads' "$mohs" info "$source/tests/golden/torch/script.pt" --json
json 'd["model"] is None and d["format"] == "TorchScript" and "clip" in d["missing"]'
want 3 'names posix.system' "$mohs" info "$source/tests/fuzz/corpus/torch/system.pt"
want 1 'before PyTorch 1.6' "$mohs" info "$source/tests/golden/torch/legacy.pt"
echo word > words
want 2 "did you mean 'activation'" "$mohs" embed --model tiny.safetensors --texts words \
    --out o --set activatio=gelu
want 2 "is not one of" "$mohs" embed --model tiny.safetensors --texts words --out o \
    --set activation=swish
want 2 'is not NAME=VALUE' "$mohs" embed --model tiny.safetensors --texts words --out o \
    --set activation
want 3 'not a safetensors file' "$mohs" info "$top/docs/mohs.1"

# ---- stdout ----
if [ -w /dev/full ]; then
    rc=0
    "$mohs" list --json > /dev/full 2> err || rc=$?
    [ $rc = 3 ] || fail "/dev/full: exit code $rc"
    grep -q 'standard output' err || fail "/dev/full: $(cat err)"
    rc=0
    "$mohs" help --man > /dev/full 2> err || rc=$?
    [ $rc = 3 ] || fail "/dev/full: exit code $rc"
fi
(
    rc=0
    "$mohs" help --man 2> err || rc=$?
    echo $rc > rc
) | true
sleep 0.1
case $(cat rc) in
0 | 3) ;;
*) fail "closed pipe: exit code $(cat rc)" ;;
esac

# ---- corrupt ----
base64 -d > a.png <<PNG
iVBORw0KGgoAAAANSUhEUgAAABAAAAAMCAIAAADkharWAAAAG0lEQVR42mNkYGgQYGAgHrEwiDCQ
BEY1jBQNAGacAnoKHKLTAAAAAElFTkSuQmCC
PNG
cp a.png b.png
P="--plugin-dir $good"
want 0 '' "$mohs" $P corrupt a.png b.png -c t_gain:3,t_noise --out o
[ "$(find o -type f | wc -l)" = 12 ] || fail "corrupt: $(find o -type f | wc -l) files"
[ "$(wc -l < out)" = 12 ] || fail "corrupt: $(wc -l < out) lines"
has '^o/b.t_noise.5.png$'
cmp -s o/a.t_gain.3.png o/b.t_gain.3.png || fail "corrupt: t_gain differs"
cmp -s o/a.t_noise.3.png o/b.t_noise.3.png && fail "corrupt: same draws for two files"
# The same again: alone, by another number of threads, from another place.
mkdir in && cp a.png b.png in
want 0 '' "$mohs" $P corrupt in -c t_noise:2 -c t_gain --out o2 --workers 1
for s in 2; do
    cmp -s o/b.t_noise.$s.png o2/b.t_noise.$s.png || fail "corrupt: not the same again"
done
[ "$(find o2 -type f | wc -l)" = 12 ] || fail "corrupt DIR: $(find o2 -type f)"
want 0 '' "$mohs" $P corrupt a.png -c t_noise:2 --seed 1 --out o3
cmp -s o/a.t_noise.2.png o3/a.t_noise.2.png && fail "corrupt: the seed changes nothing"
want 0 '' "$mohs" $P corrupt a.png -c t_gain:2 --param gain=0 --out o3 --json
json 'd[0]["path"] == "o3/a.t_gain.2.png" and "gain=0," in d[0]["params"]'
want 2 "severity '0' is not 1..5" "$mohs" $P corrupt a.png -c t_gain:0 --out o
want 2 "severity '6' is not 1..5" "$mohs" $P corrupt a.png -c t_gain:6 --out o
want 5 "no corruption 't_gin' (did you mean 't_gain'?)" "$mohs" $P corrupt a.png -c t_gin --out o
want 2 "no parameter 'gane' (did you mean 'gain'?)" "$mohs" $P corrupt a.png -c t_gain --param gane=1 --out o
want 2 "gain 3 is outside 0..2" "$mohs" $P corrupt a.png -c t_gain --param gain=3 --out o
want 3 "a.png: line 1 is not UTF-8 text" "$mohs" $P corrupt a.png -c t_twice --out o
want 2 "t_twice is of texts, t_gain of pictures" "$mohs" $P corrupt a.png -c t_gain,t_twice --out o
want 2 "is missing" "$mohs" $P corrupt a.png --out o
want 2 "is missing" "$mohs" $P corrupt a.png -c t_gain
want 2 "would write the same files" "$mohs" $P corrupt a.png in/a.png -c t_gain --out o
want 2 "is not a whole number" "$mohs" $P corrupt a.png -c t_gain --seed -1 --out o
want 3 "nothing.png" "$mohs" $P corrupt nothing.png -c t_gain --out o
head -c 60 a.png > cut.png
want 3 "cut.png" "$mohs" $P corrupt cut.png a.png -c t_gain:1 --out o4
[ -s o4/a.t_gain.1.png ] || fail "corrupt: a bad picture stopped a good one"
[ -e o4/cut.t_gain.1.png ] && fail "corrupt: wrote something for a bad picture"
want 3 "no pictures in its class folders" "$mohs" $P corrupt "$good" -c t_gain --out o

# ---- corrupt --depth: two values side by side, in every form ----
npy() { # FILE TYPE SHAPE BYTES
    dict="{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
    printf '\223NUMPY\001\000'"\\$(printf %o ${#dict})"'\000%s'"$4" "$dict" > "$1"
}
D="--plugin-dir $top/tests/plugins/depth"
mkdir d wrong
npy d/a.npy '|u1' '(1, 2)' '\062\144'
npy f.npy '<f4' '(1, 2, 1)' '\000\000\110\102\000\000\310\102'
npy turned.npy '|u1' '(1, 2)' '\144\062'
want 2 "t_depth: needs depth maps: give --depth DIR|FILE" "$mohs" $D corrupt a.png -c t_depth:1 --out o5
want 0 '' "$mohs" $D corrupt a.png -c t_depth:1 --depth wrong --depth d --out o5
want 0 '' "$mohs" $D corrupt a.png -c t_depth:1 --depth f.npy --out o6
cmp -s o5/a.t_depth.1.png o6/a.t_depth.1.png || fail "depth: u1 and f4 maps differ"
want 0 '' "$mohs" $D corrupt a.png -c t_depth:1 --depth turned.npy --out o6
cmp -s o5/a.t_depth.1.png o6/a.t_depth.1.png && fail "depth: the map does nothing"
want 3 "b.png: --depth has no map" "$mohs" $D corrupt a.png b.png -c t_depth:1 --depth d --out o6
want 3 "none.npy" "$mohs" $D corrupt a.png -c t_depth:1 --depth none.npy --out o6
npy bad.npy '|u1' '(0, 2)' ''
want 3 "a depth map of 2 x 0 pixels" "$mohs" $D corrupt a.png -c t_depth:1 --depth bad.npy --out o6
npy bad.npy '|u1' '(1, 2)' '\062\000'
want 3 "depth 0 at pixel 1 is not finite and above 0" "$mohs" $D corrupt a.png -c t_depth:1 --depth bad.npy --out o6
npy bad.npy '<f4' '(1, 1)' '\000\000\300\177'
want 3 "depth -*nan at pixel 0 is not" "$mohs" $D corrupt a.png -c t_depth:1 --depth bad.npy --out o6
npy bad.npy '|u1' '(2, 1, 3)' '123456'
want 3 "one channel" "$mohs" $D corrupt a.png -c t_depth:1 --depth bad.npy --out o6
npy bad.npy '|u1' '(4, 2)' '1234'
want 3 "data is cut off" "$mohs" $D corrupt a.png -c t_depth:1 --depth bad.npy --out o6
want 3 "one channel of grey" "$mohs" $D corrupt a.png -c t_depth:1 --depth b.png --out o6

# ---- what a directory of data holds ----
golden=${MOHS_DATA_DIR:-$top}/tests/golden/data
want 0 '' "$mohs" data check "$golden/wds_classes"
has '^webdataset test  *5 images  *0 texts  *3 classes'
want 0 '' "$mohs" data check --decode all --json "$golden/wds_captions"
json "d['sets'][0]['captions_max'] == 2 and d['sets'][0]['tried'] == 3"
want 3 '1 sets cannot be read' "$mohs" data check "$golden/parquet"
has 'delta.parquet: column label: encoding 5'
has 'row null/1 has no picture'
mkdir -p csv && printf 'filepath\ttitle\nnone.jpg\tA dog.\n' > csv/a.tsv
want 3 '1 files are missing' "$mohs" data check csv
has 'the first is csv/none.jpg'
want 2 'decode' "$mohs" data check csv --decode some

# ---- the rest ----
want 3 "no.db: No such file" "$mohs" results show no.db
want 2 "unknown 'shw' (did you mean 'show'?)" "$mohs" results shw x
want 2 "something is missing" "$mohs" results diff a
want 2 "out FILE is missing" "$mohs" results merge a b
want 2 "REPORT.html is missing" "$mohs" report x
want 0 '' "$mohs" cache stat --json
json 'd["rows"] == 0'
want 0 '' "$mohs" cache verify
want 2 "is not a size" "$mohs" cache gc --max-bytes -3
want 3 "no directory" "$mohs" cache stat --dir /nonexistent
want 2 "unknown 'chekc' (did you mean 'check'?)" "$mohs" plugin chekc x
want 3 "No such file" "$mohs" plugin check no.so
want 1 '' "$mohs" plugin check "$bad/.libs/bad_abi.so"
has '^FAIL  plugin load: built for plugin ABI 7.0'
has '^0 passed, 1 failed$'
# A signal ends even a check that hangs, with the exit code of an interrupt.
"$mohs" plugin check "$top/tests/plugins/faulty/.libs/faulty.so" > out 2> err &
pid=$!
tries=0
while ! grep -q 'c_exits batch' out && [ $tries -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -TERM $pid
rc=0
wait $pid || rc=$?
n=$((n + 1))
[ $rc = 130 ] || fail "SIGTERM: exit code $rc"
rc=0
"$mohs" doctor > out 2> err || rc=$?
[ $rc -le 1 ] || fail "doctor: exit code $rc"
has 'plugin ABI'
"$mohs" doctor --json > out 2> err || true
json 'len(d) > 4'

echo "$n checks, $failed failed"
[ $failed = 0 ]
