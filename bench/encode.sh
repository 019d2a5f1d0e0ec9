#!/bin/sh
# SPDX-License-Identifier: MIT
# An image tower, ours, PyTorch's and, with ONNX=FILE, ONNX Runtime's, in
# turns: medians of the rounds, of speed and of the most memory that the
# process held, and their ratios. Usage, from the build directory after make
# bench:
#   PYTHON=python3 bench/encode.sh NAME MODEL [batch [rounds [runs]]]
# NAME as encode.py takes it, MODEL what encode.py --save wrote, FILE what
# encode.py --onnx wrote.
set -e
name=$1 model=$2 batch=${3:-1} rounds=${4:-5} runs=${5:-5}
here=$(dirname "$0")
out=$(mktemp)
trap 'rm -f "$out"' EXIT
python() {
    "${PYTHON:-python3}" "$here/encode.py" "$@"
}
i=0
while [ "$i" -lt "$rounds" ]; do
    bench/encode "$model" "$batch" "$runs" | sed 's/^/mohs /' >> "$out"
    python "$name" "$batch" "$runs" "$model" | sed 's/^/PyTorch /' >> "$out"
    [ -z "$ONNX" ] ||
        python --ort "$ONNX" "$batch" "$runs" | sed 's/^/ONNX-Runtime /' >> "$out"
    i=$((i + 1))
done
median() { # side, unit
    awk -v s="$1" -v u="$2" '$1 == s {
        for (f = 1; f < NF; f++)
            if (index($(f + 1) " " $(f + 2), u) == 1) print $f }' "$out" |
        sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
ratio() {
    awk "BEGIN { printf \"%.2f\", $1 / $2 }"
}
row() { # side
    echo "$name batch $batch: $1 $(median "$1" images) images/s," \
        "$(median "$1" cpu-s/image) cpu-s an image," \
        "$(median "$1" "MB peak") MB at the peak"
}
grep -h '^mohs' "$out" | tail -n 1
row mohs
for peer in PyTorch ${ONNX:+ONNX-Runtime}; do
    row $peer
    echo "$name batch $batch: mohs / $peer:" \
        "images/s $(ratio "$(median mohs images)" "$(median $peer images)")," \
        "cpu-s $(ratio "$(median mohs cpu-s/image)" "$(median $peer cpu-s/image)")," \
        "memory $(ratio "$(median mohs "MB peak")" "$(median $peer "MB peak")")"
done
