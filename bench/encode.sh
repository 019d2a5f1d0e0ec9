#!/bin/sh
# SPDX-License-Identifier: MIT
# An image tower, ours and PyTorch's, in turns: medians of the rounds, of speed
# and of the most memory that the process held, and their ratios. Usage, from
# the build directory after make bench:
#   PYTHON=python3 bench/encode.sh NAME MODEL [batch [rounds [runs]]]
# NAME as encode.py takes it, MODEL what encode.py --save wrote.
set -e
name=$1 model=$2 batch=${3:-1} rounds=${4:-5} runs=${5:-5}
here=$(dirname "$0")
out=$(mktemp)
trap 'rm -f "$out"' EXIT
i=0
while [ "$i" -lt "$rounds" ]; do
    bench/encode "$model" "$batch" "$runs" | sed 's/^/ours /' >> "$out"
    "${PYTHON:-python3}" "$here/encode.py" "$name" "$batch" "$runs" "$model" |
        sed 's/^/torch /' >> "$out"
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
a=$(median ours images) b=$(median torch images)
grep -h '^ours' "$out" | tail -n 1
echo "$name batch $batch: $a images/s, PyTorch $b, ratio $(ratio "$a" "$b")"
a=$(median ours cpu-s/image) b=$(median torch cpu-s/image)
echo "$name batch $batch: $a cpu-s an image, PyTorch $b," \
    "PyTorch / ours $(ratio "$b" "$a")"
a=$(median ours "MB peak") b=$(median torch "MB peak")
echo "$name batch $batch: $a MB at the peak, PyTorch $b, ratio $(ratio "$a" "$b")"
