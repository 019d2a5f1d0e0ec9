#!/bin/sh
# SPDX-License-Identifier: MIT
# Training steps of the default model, ours and PyTorch's, in turns: medians
# of the rounds and their ratio. Usage, from the build directory after make
# bench: PYTHON=python3 bench/train_step.sh [batch [rounds [steps]]]
set -e
batch=${1:-256} rounds=${2:-3} steps=${3:-5}
here=$(dirname "$0")
out=$(mktemp)
trap 'rm -f "$out"' EXIT
i=0
while [ "$i" -lt "$rounds" ]; do
    for kind in clean adversarial; do
        bench/train_step "$batch" "$steps" $kind | sed 's/^/ours /' >> "$out"
        "${PYTHON:-python3}" "$here/train_step.py" "$batch" "$steps" $kind |
            sed 's/^/torch /' >> "$out"
    done
    i=$((i + 1))
done
median() { # side, kind
    awk -v s="$1" -v k="$2," '$1 == s { for (f = 2; f < NF; f++)
        if ($f == k && $(f + 1) == "batch") { sub(":", "", $(f + 2)); print $(f + 3) } }' \
        "$out" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
grep -h '^torch torch' "$out" | head -n 1 | sed 's/^torch //; s/:.*//'
for kind in clean adversarial; do
    a=$(median ours $kind) b=$(median torch $kind)
    echo "$kind step, batch $batch: $a s, PyTorch $b s," \
        "ratio $(awk "BEGIN { printf \"%.2f\", $b / $a }")"
done
