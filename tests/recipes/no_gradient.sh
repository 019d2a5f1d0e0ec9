#!/bin/sh
# SPDX-License-Identifier: MIT
# Models that give no gradients: attacks that need them say so in one line,
# before anything is attacked, the others work.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
build=${top_builddir:-.}
mohs=$build/core/mohs
share=$(cd "${srcdir:-.}" && pwd)/share
dict=$(cd "${srcdir:-.}" && pwd)/tests/golden/wordnet
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-no-gradient-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
MOHS_PLUGIN_PATH=$MOHS_PLUGIN_PATH:$build/tests/plugins/blunt
export MOHS_CACHE_DIR MOHS_PLUGIN_PATH
font=/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
cldr=/usr/share/unicode/cldr/common/annotations/en.xml
[ -f "$font" ] && [ -f "$cldr" ] || { echo "no font or names: skipped"; exit 77; }
cd "$work"

"$mohs" -q data emoji-scenes --out scenes --train 4 --val 4 --test 8
ln -s "$share/scenes-clean.safetensors" clean.safetensors
ln -s "$dict" dict
cat >one.lua <<'LUA'
local mohs = require "mohs"
local a = mohs.args { attack = "pgd", without = "both", how = "op", surrogate = false,
                      unit = "", tap = "", text_loss = "" }
local blunt = mohs.model("blunt", { weights = "clean.safetensors", without = a.without,
                                    how = a.how })
local params = {}
for _, k in ipairs { "unit", "tap", "text_loss" } do
  if a[k] ~= "" then params[k] = a[k] end
end
for k, v in pairs { square = { queries = 12 }, text_synonyms = { dict = "dict", senses = 9 },
                    text_chars = { positions = 2 } } do
  if k == a.attack then params = v end
end
if a.attack == "co_attack" or a.attack == "separate" then
  params.dict, params.steps, params.positions = "dict", 2, 2
end
mohs.cell {
  model = a.surrogate and mohs.model("clip", { weights = "clean.safetensors" }) or blunt,
  surrogate = a.surrogate and blunt or nil,
  data = mohs.data.coco { images = "scenes/test", captions = "scenes/test.json", limit = 6 },
  attack = mohs.attack(a.attack, params), metric = mohs.metric "retrieval",
}
for _, c in ipairs(mohs.run()) do
  for k, v in pairs(c.values) do print(k, string.format("%.10g", v.value)) end
end
LUA

# ---- refused: by run and by its plan ----
n=0
while IFS='|' read -r words args; do
	for plan in '' --plan; do
		got=0
		"$mohs" -q run one.lua $plan --no-cache --results none.db $args >out.txt \
			2>err.txt || got=$?
		[ "$got" = 1 ] || die "$args $plan: exit $got: $(cat err.txt)"
		[ "$(wc -l <err.txt)" = 1 ] || die "$args $plan: $(cat err.txt)"
		grep -q -e "$words" err.txt || die "$args $plan: $(cat err.txt)"
	done
	n=$((n + 1))
done <<'TABLE'
pgd: needs the gradient by pixels, which clean.safetensors does not give: op "windows" has no|attack=pgd
fgsm: needs the gradient by pixels.*: none flows there|attack=fgsm how=detach
autoattack: needs the gradient by pixels|attack=autoattack without=image
uap: needs the gradient by pixels|attack=uap
cw: needs the gradient by pixels|attack=cw
fab: needs the gradient by pixels|attack=fab surrogate=true
feature_pgd: needs the gradient by image.patch|attack=feature_pgd
feature_pgd: needs the gradient by text.token.*: none flows|attack=feature_pgd tap=text.token without=text how=detach
text_hotflip: needs the gradient by text.token|attack=text_hotflip without=text
co_attack: needs the gradient by pixels|attack=co_attack without=image
sga: needs the gradient by text.token|attack=sga unit=tokens without=text
separate: needs the gradient by text.token|attack=separate unit=tokens text_loss=image without=text
TABLE
echo "ok: $n attacks refused"

# ---- what asks for no gradient works ----
run() {
	"$mohs" -q run one.lua --no-cache --results "$n.db" "$@" >out.txt 2>err.txt ||
		die "$*: $(cat err.txt)"
	"$mohs" -q run one.lua --no-cache --plan "$@" >plan.txt || die "no plan of $*"
	n=$((n + 1))
}
of() {
	awk -v k="$1" '$1 == k {print $2; n++} END {if (!n) print "no " k}' out.txt
}
run attack=square
awk -v d="$(of delta_linf_max)" 'BEGIN {exit !(d > 0)}' || die "square did nothing"
for a in text_synonyms text_chars; do
	run attack=$a
	[ "$(of edit_chars_max)" -ge 1 ] || die "$a changed nothing"
done
run attack=feature_noise
# gradients of the other tower are not asked for
run attack=pgd without=text
run attack=text_hotflip without=image
run attack=co_attack without=text
run attack=separate without=text unit=chars
echo "ok: what asks for none"

# ---- mohs attack ----
printf '%s\n' "a large red dog" "a big photo" >texts.txt
got=0
"$mohs" -q attack scenes/test/000000.png -a pgd --plugin blunt --model clean.safetensors \
	--texts texts.txt --out out 2>err.txt || got=$?
[ "$got" = 1 ] && [ "$(wc -l <err.txt)" = 1 ] &&
	grep -q 'pgd: needs the gradient by pixels' err.txt || die "$got: $(cat err.txt)"
[ ! -e out ] || die "it wrote something"
"$mohs" -q attack scenes/test/000000.png -a square queries=5 --plugin blunt \
	--model clean.safetensors --texts texts.txt --out out >said.txt
grep -q ' 0 backward' said.txt || die "$(cat said.txt)"
echo "ok: mohs attack"
