#!/bin/sh
# SPDX-License-Identifier: MIT
# What attacks cost and whether they can be believed, end to end: kill -9 in
# the middle of AutoAttack, budgets, early stop, hostile parameters.
set -eu
mohs=${top_builddir:-.}/core/mohs
share=$(cd "${srcdir:-.}" && pwd)/share
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-attacks-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
export MOHS_CACHE_DIR
font=/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
cldr=/usr/share/unicode/cldr/common/annotations/en.xml
[ -f "$font" ] && [ -f "$cldr" ] || { echo "no font or names: skipped"; exit 77; }
cd "$work"

die() {
	echo "FAIL: $*" >&2
	exit 1
}
# all but the last column, the seconds
values() {
	"$mohs" results export "$1" --csv | sed 's/,[^,]*$//' | sort
}

"$mohs" -q data emoji-scenes --out scenes --train 8 --val 4 --test 24
cat >attack.lua <<'LUA'
-- attack=ID n=PICTURES, and the attack's parameters as key=value
local mohs = require "mohs"
local a = mohs.args {
  attack = "pgd", n = 8, weights = "clean.safetensors", loss = "", eps = 1, steps = 0,
  queries = 0, restarts = 0, norm = "", early_stop = false, version = "",
  max_queries = 0, max_seconds = 0, targets = 0, random_start = true,
}
local params = { eps = a.eps / 255 }
for _, k in ipairs { "steps", "queries", "restarts", "max_queries", "max_seconds", "targets" } do
  if a[k] ~= 0 then params[k] = a[k] end
end
for _, k in ipairs { "loss", "norm", "version" } do
  if a[k] ~= "" then params[k] = a[k] end
end
if a.early_stop then params.early_stop = true end
if not a.random_start then params.random_start = false end
mohs.cell {
  model = mohs.model("clip", { weights = a.weights }), metric = mohs.metric "retrieval",
  data = mohs.data.coco { images = "scenes/test", captions = "scenes/test.json", limit = a.n },
  attack = mohs.attack(a.attack, params),
}
for _, c in ipairs(mohs.run()) do
  for k, v in pairs(c.values) do print(k, string.format("%.10g", v.value)) end
end
LUA
ln -s "$share/scenes-clean.safetensors" clean.safetensors
of() { # file key: a value that attack.lua printed
	awk -v k="$2" '$1 == k {print $2}' "$1"
}

# ---- kill -9 in the middle of AutoAttack ----
auto="attack=autoattack n=12 eps=0.5 steps=6 targets=3 queries=30"
"$mohs" -q run attack.lua $auto --no-cache --results whole.db >whole.txt
n=0
while ! [ -f done ]; do
	n=$((n + 1))
	[ $n -lt 80 ] || die "AutoAttack never ends"
	(timeout -s KILL "$((1 + n / 6)).$((n * 7 % 10))" "$mohs" run attack.lua $auto \
		--cache kept --results parts.db >parts.txt 2>>parts.err && touch done) 2>/dev/null || true
done
values whole.db >a.txt
values parts.db >b.txt
cmp -s a.txt b.txt || { diff a.txt b.txt | head -5 >&2; die "a killed AutoAttack differs"; }
grep -q 'goes on where it was' parts.err || die "it was never in the middle: $(cat parts.err)"
# one step of one batch: one pass of at most twelve samples
sed -n 's/.*goes on where it was; \([0-9]*\) passes.*/\1/p' parts.err >lost.txt
awk '$1 > 12 {bad = 1} END {exit bad}' lost.txt || die "more than a step lost: $(cat lost.txt)"
[ -z "$(ls kept/attacks)" ] || die "states left behind: $(ls kept/attacks)"
echo "ok: AutoAttack killed $((n - 1)) times, resumed $(wc -l <lost.txt) times: same bits"
