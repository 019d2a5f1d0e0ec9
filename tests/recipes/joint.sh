#!/bin/sh
# SPDX-License-Identifier: MIT
# Attacks on texts and on pairs, end to end on the shipped model: budgets,
# what is stored, nothing computed twice, nothing at budget 0, hostile
# parameters, mohs attack.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
mohs=${top_builddir:-.}/core/mohs
share=$(cd "${srcdir:-.}" && pwd)/share
source=$(cd "${srcdir:-.}" && pwd)/tests/golden/wordnet
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-joint-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
export MOHS_CACHE_DIR
font=/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
cldr=/usr/share/unicode/cldr/common/annotations/en.xml
[ -f "$font" ] && [ -f "$cldr" ] || { echo "no font or names: skipped"; exit 77; }
cd "$work"

"$mohs" -q data emoji-scenes --out scenes --train 4 --val 4 --test 8
ln -s "$share/scenes-clean.safetensors" clean.safetensors
ln -s "$source" dict
cat >joint.lua <<'LUA'
local mohs = require "mohs"
local a = mohs.args { edits = 1 }
local data = mohs.data.coco { images = "scenes/test", captions = "scenes/test.json", limit = 6 }
local model = mohs.model("clip", { weights = "clean.safetensors" })
local words = { dict = "dict", senses = 9 }
local function with(t, more)
  for k, v in pairs(more) do t[k] = v end
  return t
end
local function cell(id, params)
  mohs.cell { model = model, data = data, attack = mohs.attack(id, params),
              metric = mohs.metric "retrieval" }
end
cell("text_synonyms", with({ max_words = a.edits }, words))
cell("text_hotflip", { max_tokens = a.edits, top_k = 5 })
cell("text_chars", { max_chars = a.edits, positions = 3 })
for _, id in ipairs { "separate", "co_attack", "sga" } do
  local p = { eps = a.edits * 2 / 255, steps = 2, max_edits = a.edits }
  cell(id, with(p, words))
end
cell("sga", { steps = 2, unit = "tokens", max_edits = a.edits, top_k = 4, scales = "0.5",
              eps = a.edits * 2 / 255 })
cell("co_attack", { steps = 2, unit = "chars", max_edits = a.edits, positions = 2,
                    eps = a.edits * 2 / 255 })
for _, c in ipairs(mohs.run()) do
  for k, v in pairs(c.values) do
    print(c.attack, k, string.format("%.10g", v.value))
  end
end
LUA
most() { # file key: the largest of all cells
	awk -F '\t' -v k="$2" '$2 == k && $3 > m {m = $3} END {print m + 0}' "$1"
}

# ---- budgets, and what is stored ----
"$mohs" -q run joint.lua --results one.db >one.txt
[ "$(grep -c audit_over_budget one.txt)" = 8 ] || die "cells: $(head -3 one.txt)"
[ "$(most one.txt audit_over_budget)" = 0 ] || die "over the budget"
[ "$(most one.txt edit_tokens_max)" -ge 1 ] || die "no token was flipped"
[ "$(most one.txt delta_linf_max)" = 0.00784314 ] || die "$(grep linf one.txt)"
grep -q 'asr_drop:t2i_hit@1' one.txt || die "no score that fell"
"$mohs" results trust one.db >trust.txt || die "trust: $(cat trust.txt)"
"$mohs" results show one.db >show.txt
"$mohs" report one.db --out one.html 2>/dev/null
grep -q 'Attacked texts' one.html || die "no texts in the report"
# a second run finds the texts, the perturbations and their edits
"$mohs" -q run joint.lua --results two.db >two.txt
values one.db >a.txt
values two.db >b.txt
cmp a.txt b.txt || die "what was kept differs"
echo "ok: budgets"

# ---- another dictionary at the same place is another result ----
rm dict
mkdir dict
for f in "$source"/*; do
	cat "$f" >"dict/${f##*/}"
done
"$mohs" -q run joint.lua --results two.db >two.txt
values two.db >b.txt
cmp a.txt b.txt || die "the same dictionary differs"
sed 's/ big 0/ odd 0/' "$source/data.adj" >dict/data.adj
"$mohs" -q run joint.lua --results three.db >three.txt
[ "$(values three.db | grep -c text_synonyms)" -gt 0 ] || die "no synonyms"
"$mohs" results diff one.db three.db >diff.txt || true
grep -q 'attack_files_hash' diff.txt || die "diff: $(cat diff.txt)"
grep text_synonyms a.txt >b.txt
values three.db | grep text_synonyms >c.txt
! cmp -s b.txt c.txt || die "another dictionary changes nothing"
rm -r dict
ln -s "$source" dict
echo "ok: another dictionary"

# ---- nothing at 0 ----
"$mohs" -q run joint.lua edits=0 --results zero.db >zero.txt
for k in edit_words_max edit_chars_max edit_tokens_max delta_linf_max; do
	[ "$(most zero.txt $k)" = 0 ] || die "$k at 0: $(grep $k zero.txt)"
done
awk -F '\t' '$2 ~ /^asr_(flip|drop)/ && $3 != 0 {exit 1}' zero.txt || die "lost at 0"
"$mohs" run joint.lua --plan >plan.txt
grep -q 'text_hotflip' plan.txt || die "plan: $(cat plan.txt)"
echo "ok: nothing at 0"

# ---- hostile parameters ----
bad() { # says, then params
	says=$1
	shift
	if "$mohs" -q attack scenes/test/000000.png scenes/test/000001.png "$@" \
		--model clean.safetensors --texts texts.txt --out out 2>err.txt; then
		die "$* works"
	fi
	[ "$(wc -l <err.txt)" = 1 ] && grep -q "$says" err.txt || die "$*: $(cat err.txt)"
}
printf '%s\n' "a large red dog" "a big photo" >texts.txt
bad eps -a sga eps=-1
bad max_words -a text_synonyms max_words=-3
bad "text_loss image" -a separate unit=tokens
bad "unit" -a sga unit=lines
bad "nowhere/index.noun" -a text_synonyms dict=/nowhere
bad "scales" -a sga scales=0.5,big
echo "ok: hostile parameters"

# ---- mohs attack ----
"$mohs" -q attack scenes/test/000000.png scenes/test/000001.png -a text_chars max_chars=2 \
	--model clean.safetensors --texts texts.txt --out out >attack.txt
grep -q 'own text "a large red dog" -> ".*2 characters' attack.txt || die "$(cat attack.txt)"
"$mohs" -q attack scenes/test/000000.png scenes/test/000001.png -a sga dict=dict steps=2 \
	--model clean.safetensors --texts texts.txt --out out --json >attack.json
[ -s out/000000.sga.png ] || die "no picture"
grep -q '"attacked_own": ' attack.json || die "$(cat attack.json)"
if "$mohs" -q attack scenes/test/000000.png -a text_chars --model clean.safetensors \
	--texts texts.txt --out out 2>err.txt; then
	die "one picture is enough for a text"
fi
grep -q 'two pictures' err.txt || die "$(cat err.txt)"
echo "ok: mohs attack"

# ---- pictures in an archive, of attack and embed ----
(cd scenes/test && tar -cf ../../two.tar 000000.png 000001.png)
"$mohs" -q attack two.tar -a pgd steps=2 random_start=false --model clean.safetensors \
	--texts texts.txt --out sets >sets.txt
"$mohs" -q attack scenes/test/000000.png scenes/test/000001.png -a pgd steps=2 \
	random_start=false --model clean.safetensors --texts texts.txt --out files >files.txt
for i in 000000 000001; do
	cmp "sets/two_$i.pgd.png" "files/$i.pgd.png" || die "attack: $(ls sets)"
done
grep -q '^two.tar: two/000001.png: ' sets.txt || die "$(cat sets.txt)"
"$mohs" -q embed --model clean.safetensors --images two.tar --out sets/e >/dev/null
"$mohs" -q embed --model clean.safetensors --images scenes/test/000000.png \
	--images scenes/test/000001.png --out files/e >/dev/null
cmp sets/e.image.npy files/e.image.npy || die "embed: not the same rows"
echo "ok: archives"
