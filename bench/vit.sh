#!/bin/sh
# SPDX-License-Identifier: MIT
# ViT-B/32 image tower, ours and PyTorch's, in turns: medians of the rounds
# and their ratio. Usage: PYTHON=python3 bench/vit.sh [batch [rounds [runs]]]
# from the build directory, after make bench.
set -e
batch=${1:-32} rounds=${2:-5} runs=${3:-5}
here=$(dirname "$0")
out=$(mktemp)
trap 'rm -f "$out"' EXIT
i=0
while [ "$i" -lt "$rounds" ]; do
    bench/bench_graph vit "$batch" "$runs" | sed 's/^/ours /' >> "$out"
    "${PYTHON:-python3}" "$here/bench_graph.py" vit "$batch" "$runs" |
        sed 's/^/torch /' >> "$out"
    i=$((i + 1))
done
median() { # side, workload
    awk -v s="$1" -v w="$2" '$1 == s && $3 == w {
        for (f = 1; f < NF; f++) if ($(f + 1) ~ /^images/) print $f }' "$out" |
        sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
grep -h '^torch torch' "$out" | head -n 1 | sed 's/^torch //'
for w in forward forward+gradient; do
    a=$(median ours "$w") b=$(median torch "$w")
    echo "$w batch $batch: $a images/s, PyTorch $b," \
        "ratio $(awk "BEGIN { printf \"%.2f\", $a / $b }")"
done
