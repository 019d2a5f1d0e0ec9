#!/bin/sh
# SPDX-License-Identifier: MIT
# What attacks cost and whether they can be believed, end to end: kill -9 in
# the middle of AutoAttack, budgets, early stop, hostile parameters.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
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

"$mohs" -q data emoji-scenes --out scenes --train 24 --val 4 --test 24
cat >attack.lua <<'LUA'
-- attack=ID n=PICTURES, and the attack's parameters as key=value
local mohs = require "mohs"
local a = mohs.args {
  attack = "pgd", n = 8, weights = "clean.safetensors", loss = "", eps = 1, steps = 0,
  queries = 0, restarts = 0, norm = "", early_stop = false, version = "",
  max_queries = 0, max_seconds = 0, targets = 0, random_start = true,
  surrogate = "", fit = 0, batch = 0, epochs = 0,
}
local params = { eps = a.eps / 255 }
for _, k in ipairs { "steps", "queries", "restarts", "max_queries", "max_seconds", "targets",
                      "batch", "epochs" } do
  if a[k] ~= 0 then params[k] = a[k] end
end
for _, k in ipairs { "loss", "norm", "version" } do
  if a[k] ~= "" then params[k] = a[k] end
end
if a.early_stop then params.early_stop = true end
if not a.random_start then params.random_start = false end
local function scenes(split, n)
  return mohs.data.coco { images = "scenes/" .. split, captions = "scenes/" .. split .. ".json",
                          limit = n, name = split }
end
mohs.cell {
  model = mohs.model("clip", { weights = a.weights }), metric = mohs.metric "retrieval",
  data = scenes("test", a.n), attack = mohs.attack(a.attack, params),
  surrogate = a.surrogate ~= "" and mohs.model("clip", { weights = a.surrogate }) or nil,
  fit = a.fit > 0 and scenes("train", a.fit) or nil,
}
for _, c in ipairs(mohs.run()) do
  for k, v in pairs(c.values) do print(k, string.format("%.10g", v.value)) end
end
LUA
for twin in clean adversarial; do
	ln -s "$share/scenes-$twin.safetensors" $twin.safetensors
done
of() { # file key: a value that attack.lua printed
	awk -v k="$2" '$1 == k {print $2; n++} END {if (!n) print "no " k " in " FILENAME}' "$1"
}

# ---- kill -9 in the middle of AutoAttack ----
auto="attack=autoattack n=12 eps=0.5 steps=4 targets=2 queries=12"
"$mohs" -q run attack.lua $auto --no-cache --results whole.db >whole.txt
killed 12 parts.err "$mohs" run attack.lua $auto --cache kept --results parts.db
equal whole.db parts.db "a killed AutoAttack differs"
# one step of one batch: one pass of at most twelve samples
sed -n 's/.*goes on where it was; \([0-9]*\) passes.*/\1/p' parts.err >lost.txt
awk '$1 > 12 {bad = 1} END {exit bad}' lost.txt || die "more than a step lost: $(cat lost.txt)"
echo "ok: AutoAttack killed $n times, resumed $(wc -l <lost.txt) times: same bits"

# ---- what early stop saves ----
run() { # name, options of attack.lua...
	f=$1
	shift
	"$mohs" -q run attack.lua "$@" --results "$f.db" >"$f.out" 2>"$f.err" ||
		die "$f: $(cat "$f.err")"
	sort "$f.out" >"$f.txt"
}
pgd="attack=pgd n=24 eps=0.75 steps=5 loss=margin"
run full $pgd
run stop $pgd early_stop=true
for k in i2t_r1 asr_flip:i2t_hit@1; do
	[ "$(of full.txt $k)" = "$(of stop.txt $k)" ] || die "early stop changes $k"
done
# theory: a sample takes the passes until a budget of as many leaves it fooled
q=0
sum=0
while [ $q -lt 6 ]; do # standing after q passes: those that take one more
	if [ $q = 0 ]; then
		sum=24
	else
		run q$q $pgd max_queries=$q
		sum=$(awk -v r="$(of q$q.txt i2t_r1)" -v s="$sum" 'BEGIN {printf "%.0f", s + r * 24 / 100}')
	fi
	q=$((q + 1))
done
took=$(awk -v m="$(of stop.txt attack_forward)" 'BEGIN {printf "%.0f", m * 24}')
[ "$took" = "$sum" ] || die "early stop takes $took passes, theory says $sum"
[ "$(of full.txt attack_forward)" = 6 ] || die "PGD takes $(of full.txt attack_forward)"
echo "ok: early stop takes $took of 144 passes, as the theory says"

# ---- the plan bounds what is taken ----
for a in "pgd steps=3 restarts=2" "autoattack steps=3 targets=2 queries=5" \
	"autoattack steps=3 targets=2 queries=5 max_queries=11"; do
	"$mohs" -q run attack.lua attack=$a n=6 --plan --json >plan.json
	run taken attack=$a n=6
	# 6 pictures, their captions and one more pass to see what is left
	bound=$(sed -n 's/.*"forward": \([0-9]*\), .*"stored".*/\1/p' plan.json)
	took=$(awk -v m="$(of taken.txt attack_forward)" 'BEGIN {printf "%.0f", 6 * (m + 2)}')
	[ "$took" -le "$bound" ] || die "$a: the plan says $bound, it takes $took"
done
echo "ok: plan"

# ---- strength ----
for eps in 0.5; do
	run pgd-$eps attack=pgd n=24 eps=$eps steps=8
	run apgd-$eps attack=apgd n=24 eps=$eps steps=8
	run apgdt-$eps attack=apgd n=24 eps=$eps steps=8 loss=dlr_targeted targets=2
	run fab-$eps attack=fab n=24 eps=$eps steps=8 targets=2
	run square-$eps attack=square n=24 eps=$eps queries=20
	run auto-$eps attack=autoattack n=24 eps=$eps steps=8 targets=2 queries=20
	awk -v a="$(of apgd-$eps.txt i2t_r1)" -v p="$(of pgd-$eps.txt i2t_r1)" \
		'BEGIN {exit a > p}' || die "APGD weaker than PGD at $eps"
	for m in apgd apgdt fab square; do
		awk -v a="$(of auto-$eps.txt i2t_r1)" -v m="$(of $m-$eps.txt i2t_r1)" \
			'BEGIN {exit a > m}' || die "AutoAttack weaker than $m at $eps"
	done
done
echo "ok: APGD no weaker than PGD, AutoAttack than its members"

# ---- one perturbation for all, learnt from other pictures ----
uap="attack=uap n=24 eps=16 epochs=20 batch=8"
run uap $uap fit=24
run uap1 $uap fit=24 --no-cache --micro-batch 1
run uap5 $uap fit=24 --no-cache --micro-batch 5
cmp -s uap.txt uap1.txt && cmp -s uap.txt uap5.txt || die "uap depends on the batch"
awk -v a="$(of uap.txt asr_flip:i2t_hit@1)" 'BEGIN {exit !(a > 10)}' ||
	die "uap takes $(of uap.txt asr_flip:i2t_hit@1) % of hits"
! "$mohs" -q run attack.lua attack=pgd n=4 fit=4 2>err.txt || die "pgd learns"
grep -q 'attack pgd learns from nothing' err.txt || die "$(cat err.txt)"
echo "ok: uap takes $(of uap.txt asr_flip:i2t_hit@1) % of hits"

# ---- transfer ----
run white attack=pgd n=24 eps=2 steps=5 weights=clean.safetensors
run grey attack=pgd n=24 eps=2 steps=5 surrogate=adversarial.safetensors
run self attack=pgd n=24 eps=2 steps=5 surrogate=clean.safetensors
for k in i2t_r1 t2i_r1 delta_linf_max; do
	[ "$(of white.txt $k)" = "$(of self.txt $k)" ] || die "a model as its own surrogate: $k"
done
awk -v w="$(of white.txt i2t_r1)" -v g="$(of grey.txt i2t_r1)" 'BEGIN {exit g < w}' ||
	die "transfer beats the white box"
! "$mohs" -q run attack.lua attack=feature_pgd n=4 surrogate=clean.safetensors 2>err.txt ||
	die "features transferred"
grep -q 'tap image.patch of surrogate scenes-clean is nothing to' err.txt ||
	grep -q 'tap image.patch of surrogate' err.txt || die "$(cat err.txt)"
echo "ok: transfer"

# ---- seconds ----
run late attack=pgd n=24 eps=1 steps=50 max_seconds=0.000001
[ "$(of late.txt attack_cut)" = 24 ] || die "nothing was cut: $(cat late.txt)"
[ "$(of late.txt asr_flip:i2t_hit@1)" = 0 ] || die "cut before the first pass, yet fooled"
"$mohs" results export late.db --json | grep -q 'max_seconds depends on the machine' ||
	die "no word on reproducibility"
echo "ok: seconds"

# ---- hostile parameters: one clear line and the right exit code each ----
printf 'a leopard\na fire\na cat\n' >texts.txt
refuse() { # exit code, words of the message, attack and parameters
	code=$1
	words=$2
	shift 2
	got=0
	"$mohs" attack scenes/test/000000.png --model clean.safetensors --texts texts.txt \
		--out out "$@" >/dev/null 2>err.txt || got=$?
	[ "$got" = "$code" ] || die "$*: exit $got, not $code: $(cat err.txt)"
	[ "$(wc -l <err.txt)" = 1 ] || die "$*: $(cat err.txt)"
	grep -q -e "$words" err.txt || die "$*: $(cat err.txt)"
}
n=0
while IFS='|' read -r code words args; do
	[ -n "$code" ] || continue
	refuse "$code" "$words" $args
	n=$((n + 1))
done <<'TABLE'
2|pgd: eps -1 is outside 0..1000|-a pgd eps=-1
2|pgd: eps: 'nan' is not a number|-a pgd eps=nan
2|pgd: eps: 'inf' is not a number|-a pgd eps=inf
2|pgd: eps: '1/0' is not a number|-a pgd eps=1/0
2|pgd: eps 1e+11 is outside|-a pgd eps=100000000000
2|pgd: norm: 'l7' is not one of linf, l2, l1|-a pgd norm=l7
2|pgd: steps 0 is outside 1..|-a pgd steps=0
2|pgd: steps -3 is outside 1..|-a pgd steps=-3
2|pgd: steps 1.5 is not an integer|-a pgd steps=1.5
2|pgd: no parameter 'epz' (did you mean 'eps'?)|-a pgd epz=1
5|no attack 'pdg' (did you mean 'pgd'?)|-a pdg
2|no tap 'nowhere' on the image side; the model has pixels, image.patch|-a feature_pgd tap=nowhere
2|no tap 'text.token' on the image side|-a feature_pgd tap=text.token
2|no tap 'image.block.99'|-a feature_apgd tap=image.block.99
2|feature_pgd: tap is empty|-a feature_pgd tap=
2|feature_pgd: tap pixels twice|-a feature_pgd tap=pixels,pixels
2|is flat at the clean sample|-a pgd loss=embedding random_start=false
2|early_stop needs a loss on scores|-a pgd loss=embedding early_stop=true
2|pgd: early_stop: 'maybe' is not true or false|-a pgd early_stop=maybe
2|apgd: dlr needs 4 candidates, there are 3|-a apgd loss=dlr_targeted
2|fab: targets 0 is outside|-a fab targets=0
2|square: p 2 is outside|-a square p=2
2|cw: c 0 is outside|-a cw c=0
2|autoattack: version: 'best' is not one of standard, plus, clip|-a autoattack version=best
2|uap: epochs 0 is outside|-a uap epochs=0
2|pgd: max_queries 0 is not an integer in 1..|-a pgd max_queries=0
2|pgd: max_queries 1.5 is not an integer|-a pgd max_queries=1.5
2|pgd: max_seconds -1 is outside|-a pgd max_seconds=-1
2|pgd: max_seconds: 'soon' is not a number|-a pgd max_seconds=soon
3|nowhere.safetensors: No such file|-a pgd --surrogate nowhere.safetensors
3|texts.txt: not a safetensors file|-a pgd --surrogate texts.txt
1|surrogate: tap image.patch of one model is nothing to another|-a feature_pgd --surrogate clean.safetensors
TABLE
"$mohs" attack scenes/test/000000.png --model clean.safetensors --texts texts.txt --out out \
	-a pgd >said.txt
grep -q 'threat model: space pixels in 0..1; norm linf; eps 0.0156.*; resize outside: after resizing to 64x64; normalisation before; knowledge gradients' said.txt ||
	die "no threat model: $(cat said.txt)"
echo "ok: $n hostile parameters"
