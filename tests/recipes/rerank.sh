#!/bin/sh
# SPDX-License-Identifier: MIT
# Re-ranking by a matching head end to end: the values that transformers gives
# (golden/rerank.py), the same in pieces, from the cache and killed, the plan,
# corruptions, and what is refused. Needs no fonts.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
src=${srcdir:-.}
src=$(cd "$src" && pwd)
mohs=${top_builddir:-.}/core/mohs
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-rerank-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
export MOHS_CACHE_DIR
golden=$src/tests/golden
cd "$work"

run() { # results, recipe, arguments...
	f=$1 r=$2
	shift 2
	"$mohs" -q run "$r" --results "$f" --bootstrap 20 golden="$golden" "$@"
}

cat >golden.lua <<'LUA'
local mohs = require "mohs"
local g = mohs.args { golden = "" }.golden
local data = mohs.data.csv { file = g .. "/rerank/captions.csv", images = g .. "/images" }
for _, token in ipairs { "cls", "enc" } do
  local model = mohs.model("blip", { weights = g .. "/rerank", label = token, itm_token = token })
  for _, k in ipairs { 0, 1, 4, 100 } do
    for _, by in ipairs { "sum", "match", "probability" } do
      mohs.cell { model = model, data = data, axes = { k = tostring(k), by = by },
                  metric = mohs.metric("retrieval", { rerank = k, rerank_by = by }) }
    end
  end
end
for _, r in ipairs(mohs.run()) do
  local v, s = r.values, {}
  for _, n in ipairs { "i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "i2t_mrr",
                       "t2i_mrr", "i2t_median_rank", "t2i_median_rank" } do
    s[#s + 1] = ("%.9g"):format(v[n].value)
  end
  print(r.model .. " " .. r.k .. " " .. r.by .. ": " .. table.concat(s, " "))
end
LUA
run a.db golden.lua >have.txt
cmp -s have.txt "$golden/rerank/expected.txt" ||
	die "differs from transformers: $(diff have.txt "$golden/rerank/expected.txt" | head -4)"
echo "ok: values of transformers"

rows() {
	"$mohs" cache stat | sed -n 's/.*[^0-9]\([0-9]\{1,\}\) rows.*/\1/p' | head -1
}
before=$(rows)
run b.db golden.lua >again.txt
cmp -s have.txt again.txt || die "from the cache: $(diff have.txt again.txt | head -4)"
[ "$(rows)" = "$before" ] || die "$before rows in the cache, then $(rows)"
# 7 x 14 pairs with each first token, beside 7 pictures and 14 texts
[ "$before" = $((2 * (7 * 14 + 7 + 14))) ] || die "$before rows in the cache"
for n in 1 3; do
	run "batch$n.db" golden.lua --micro-batch $n --no-cache >again.txt
	cmp -s have.txt again.txt || die "micro-batch $n: $(diff have.txt again.txt | head -4)"
done
echo "ok: the same from the cache and whatever the batch"

cat >one.lua <<'LUA'
local mohs = require "mohs"
local a = mohs.args { golden = "", corruption = "", severity = 3, attack = "", k = 2,
                      model = "", again = "no" }
local data = mohs.data.csv { file = a.golden .. "/rerank/captions.csv",
                             images = a.golden .. "/images" }
mohs.cell {
  model = mohs.model { weights = a.model ~= "" and a.model or a.golden .. "/rerank" }, data = data,
  metric = mohs.metric("retrieval", { rerank = a.k }),
  corruption = a.corruption ~= "" and mohs.corruption(a.corruption):at(a.severity) or nil,
  attack = a.attack ~= "" and mohs.attack(a.attack, { eps = "4/255" }) or nil,
}
for _, r in ipairs(mohs.run()) do
  print(r.values.i2t_mrr.value, r.values.t2i_mrr.value)
end
LUA
# 7 pictures and 14 texts; 7 x 2 + 14 x 2 pairs, and the pictures once more
run plan.db one.lua --plan >plan.txt
grep -q ' 70 forward' plan.txt || die "plan: $(cat plan.txt)"
run plan.db one.lua k=0 --plan >plan.txt
grep -q ' 21 forward' plan.txt || die "plan without: $(cat plan.txt)"
echo "ok: the plan counts pairs"

run clean.db one.lua >clean.txt
for c in gaussian_noise homoglyph; do
	run "$c.db" one.lua corruption=$c severity=5 >corrupted.txt
	cmp -s clean.txt corrupted.txt && die "$c changes nothing"
	run "$c-again.db" one.lua corruption=$c severity=5 --no-cache --micro-batch 2 >again.txt
	cmp -s corrupted.txt again.txt || die "$c: $(cat corrupted.txt again.txt)"
done
echo "ok: under corruptions"

# ---- kill -9: pairs that were scored are not scored again ----
ls "$golden/images" | awk 'BEGIN { print "filepath,title" }
	{ image[NR] = $0 }
	END { for (k = 0; k < 1200; k++) printf "%s,red dog %d on tree %d\n",
		image[k % NR + 1], k, k * 7 % 90 }' >many.csv
cat >many.lua <<'LUA'
local mohs = require "mohs"
local a = mohs.args { golden = "" }
local data = mohs.data.csv { file = "many.csv", images = a.golden .. "/images" }
mohs.cell { model = mohs.model { weights = a.golden .. "/rerank" }, data = data,
            metric = mohs.metric("retrieval", { rerank = 1200 }) }
mohs.run()
LUA
run whole.db many.lua --no-cache
n=0 killed_at=0
MOHS_CACHE_DIR=$work/killed
while [ $n -lt 3 ]; do
	"$mohs" -q run many.lua --results parts.db --bootstrap 20 golden="$golden" \
		--micro-batch 1 2>killed.err &
	pid=$!
	# rows of pairs beyond those of pictures and texts
	while kill -0 $pid 2>/dev/null && have=$(rows) &&
		[ "${have:-0}" -lt $((killed_at + 1500)) ]; do sleep 0.05; done
	kill -KILL $pid 2>/dev/null || break # it was through before
	wait $pid 2>/dev/null || true
	killed_at=$(rows)
	n=$((n + 1))
done
[ $n -gt 0 ] || die "through before it was killed: $(cat killed.err)"
wait
"$mohs" run many.lua --results parts.db --bootstrap 20 golden="$golden" >/dev/null 2>parts.err ||
	die "killed, then: $(cat parts.err)"
equal whole.db parts.db "a killed re-ranking differs"
[ "$(rows)" -gt "$killed_at" ] || die "not in the middle: $killed_at of $(rows) rows"
MOHS_CACHE_DIR=$work/cache
echo "ok: killed $n times with $killed_at rows kept of $(MOHS_CACHE_DIR=$work/killed rows)"

# the snippet of the documentation, on these files
mkdir doc
ln -s "$golden/rerank" doc/blip
ln -s "$golden/images" "$golden/rerank/captions.csv" doc/
awk '/^```lua/ { on = 1; next } /^```/ { on = 0 } on' "$src/docs/families.md" >doc/s.lua
(cd doc && "$mohs" -q run s.lua --results s.db --bootstrap 20) >doc.txt ||
	die "docs/families.md: $(cat doc.txt)"
[ "$(sort -u doc.txt | wc -l)" = 2 ] || die "docs/families.md: $(cat doc.txt)"
echo "ok: the snippet"

refused() { # text, arguments...
	text=$1
	shift
	run no.db one.lua "$@" >out.txt 2>err.txt && die "$text: not refused"
	grep -q "$text" err.txt || die "no '$text': $(cat err.txt)"
	[ "$(wc -l <err.txt)" = 1 ] || die "more than a line: $(cat err.txt)"
}
refused "has no matching head (mohs.pair_scores/1)" model=share/scenes-clean.safetensors
refused "not under an attack (pgd)" attack=pgd
refused "rerank.*-1" k=-1
echo "ok: refused"
