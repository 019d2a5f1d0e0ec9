#!/bin/sh
# SPDX-License-Identifier: MIT
# Embeddings in place of a model and data, NPY and safetensors: recalls and
# accuracy as brute force has them (golden/data.py), and what is refused.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
src=${srcdir:-.}
src=$(cd "$src" && pwd)
mohs=${top_builddir:-.}/core/mohs
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-embeddings-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
export MOHS_CACHE_DIR
g=$src/tests/golden/data/embeddings
cd "$work"

cat >score.lua <<LUA
local mohs = require "mohs"
local g = "$g/"
local pairs_ = mohs.data.embeddings { image = g .. "image.npy", text = g .. "text.npy",
                                      owner = g .. "owner.npy", model = "ViT-g-14" }
mohs.cell { data = pairs_, metric = mohs.metric("retrieval", { k = { 1, 5 } }) }
local f = g .. "all.safetensors"
local classes = mohs.data.embeddings { image = f, text = f .. ":classes", label = f,
                                       name = "classes" }
mohs.cell { data = classes, metric = mohs.metric "zeroshot" }
for _, r in ipairs(mohs.run()) do
  for _, name in ipairs { "i2t_r1", "t2i_r1", "i2t_r5", "t2i_r5", "top1" } do
    if r.values[name] then
      print(string.format("%s %.4f", name, r.values[name].value))
    end
  end
  assert(r.model == (r.data == "classes" and "embeddings" or "ViT-g-14"))
end
LUA
"$mohs" -q run score.lua --plan --results a.db >plan.txt || die "plan"
grep -q 'ViT-g-14' plan.txt || die "plan: $(cat plan.txt)"
"$mohs" -q run score.lua --results a.db --bootstrap 20 >out.txt || die "run"
cmp out.txt "$g/expected.txt" || die "values: $(cat out.txt)"
"$mohs" -q run score.lua --results a.db >again.txt || die "again"
cmp out.txt again.txt || die "from the results: $(cat again.txt)"

refuses() { # what it says, fields
	cat >bad.lua <<LUA
local mohs = require "mohs"
local g, metric = "$g/", mohs.metric "retrieval"
$2
LUA
	"$mohs" -q run bad.lua --results b.db 2>err && die "no error: $2"
	grep -q "$1" err || die "'$1': $(cat err)"
}
e='mohs.data.embeddings'
refuses "need an owner" "$e { image = g .. 'image.npy', text = g .. 'text.npy' }"
refuses "exclude each other" \
	"$e { image = g .. 'image.npy', text = g .. 'text.npy', owner = 'a', label = 'b' }"
refuses 'no tensor "text"' "$e { image = g .. 'image.npy', text = g .. 'all.safetensors' }"
refuses "type i8, not floats" "$e { image = g .. 'owner.npy', text = g .. 'text.npy' }"
refuses "not integers" \
	"$e { image = g .. 'image.npy', text = g .. 'text.npy', owner = g .. 'text.npy' }"
refuses "40 numbers for 12 images" \
	"$e { image = g .. 'image.npy', text = g .. 'text.npy', label = g .. 'owner.npy' }"
refuses "number [0-9]* is [0-9]*, not in 0..3" \
	"$e { image = g .. 'all.safetensors:classes', text = g .. 'text.npy', owner = g .. 'owner.npy' }"
refuses "embeddings, which take no corruption" "mohs.cell { metric = metric,
  data = $e { image = g .. 'image.npy', text = g .. 'text.npy', owner = g .. 'owner.npy' },
  corruption = mohs.corruption('contrast'):at(1) }"
echo ok
