#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job end to end at smoke size: data, training, resume, retrieval
# under corruptions and attacks, and the promise of the same bits whatever
# the micro-batch, threads, shards or interruptions.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
mohs=${top_builddir:-.}/core/mohs
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-recipes-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
export MOHS_CACHE_DIR
font=/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
cldr=/usr/share/unicode/cldr/common/annotations/en.xml
[ -f "$font" ] && [ -f "$cldr" ] || { echo "no font or names: skipped"; exit 77; }
cd "$work"

same() { # a.db b.db what
	equal "$1" "$2" "$3"
	[ "$(wc -l <a.txt)" -gt 50 ] || die "$3: too few values"
	echo "ok: $3"
}

# the data set: equal bytes for equal seeds, others for others
for d in a b; do
	"$mohs" -q data emoji-scenes --out $d --train 40 --val 8 --test 12
done
diff -r a b || die "emoji-scenes differs for one seed"
"$mohs" -q data emoji-scenes --out c --seed 1 --train 40 --val 8 --test 12
! cmp -s a/test/000000.png c/test/000000.png || die "the seed changes nothing"
"$mohs" data check a >check.txt
grep -q 'test.json' check.txt || die "data check: $(cat check.txt)"
rm -rf a b c
echo "ok: data"

# training: the twins' recipe, then again with kill -9 in between
"$mohs" -q run feature_adversarial_pretraining scale=smoke --results t.db >out.txt
grep -q gaussian_noise out.txt || die "no table: $(cat out.txt)"
[ -s twins.html ] || die "no report"
[ "$(grep -c 'class="what"' twins.html)" = 1 ] || die "arms apart in the report"
grep -q 'relative mCE' twins.html || die "no robustness in the report"
"$mohs" results robustness t.db --baseline clean-1 >rob.txt
grep -q '^clean-1 .* 100.0  *100.0 ' rob.txt || die "robustness: $(cat rob.txt)"
"$mohs" results robustness t.db --baseline clean-1 --json | grep -q '"mce":100[,.]' ||
	die "robustness --json"
! "$mohs" results robustness t.db --baseline alexnet 2>err.txt || die "alexnet on recall"
grep -q 'ImageNet' err.txt || die "$(cat err.txt)"
"$mohs" -q run feature_adversarial_pretraining scale=smoke test=8 out=arms \
	arms=matched,noise,pixels,text evaluate=all --bootstrap 20 --results arms.db \
	report=arms.html >arms.txt
for arm in matched noise pixels text; do
	grep -q "$arm-1" arms.txt || die "arm $arm: $(head -3 arms.txt)"
done
for row in saturate synonym 'square eps' feature_noise; do
	grep -q "$row" arms.txt || die "no $row: $(cat arms.txt)"
done
"$mohs" results compare arms.db --against matched --bootstrap 50 >compare.txt
grep -q '^pixels  *corruptions  *125  *1 ' compare.txt || die "compare: $(head -5 compare.txt)"
grep -q '^pixels  *RR held out  *20  *1 ' compare.txt || die "families: $(cat compare.txt)"
"$mohs" results compare arms.db --against matched --bootstrap 50 --svg arms.svg
grep -q '^<svg .*RR held out.*</svg>$' arms.svg || die "plot: $(head -c 200 arms.svg)"
grep -q '^text  *attacks  *5  *1 ' compare.txt || die "compare: $(cat compare.txt)"
"$mohs" results compare arms.db --against matched --bootstrap 50 --json |
	grep -q '"arm":"noise","against":"matched","condition":"clean","cells":1' || die "compare --json"
! "$mohs" results compare arms.db --against nobody 2>err.txt || die "compare with nobody"
grep -q "no cell has arm 'nobody'" err.txt || die "$(cat err.txt)"
! "$mohs" -q run feature_adversarial_pretraining scale=smoke arms=clear 2>err.txt ||
	die "arm clear"
grep -q "no arm 'clear'; there are clean, matched" err.txt || die "$(cat err.txt)"
"$mohs" -q run feature_adversarial_pretraining scale=smoke arms=ablation evaluate=none \
	out=ablation --plan >plan.txt
for arm in eps_0.025 inner_3 block_0 long_adversarial; do
	grep -q "^train ablation/$arm-1.safetensors: .* steps of 32, adversarial" plan.txt ||
		die "no $arm: $(cat plan.txt)"
done
grep -q 'long_matched-1.safetensors: 90 steps of 32$' plan.txt || die "$(cat plan.txt)"
# Lua hands out an argument's fields in an order of its own in every process
cat >axes.lua <<'LUA'
local mohs = require "mohs"
mohs.cell {
  model = mohs.model { weights = "twins/clean-1.safetensors" }, metric = mohs.metric "retrieval",
  data = mohs.data.coco { images = "scenes/test", captions = "scenes/test.json", limit = 4 },
  axes = { arm = "a", seed = "1", family = "f", eps = "2", depth = "3" },
}
mohs.run()
LUA
for i in 1 2 3 4 5 6; do
	"$mohs" -q run axes.lua --results axes.db
done
"$mohs" results export axes.db --csv >axes.csv
[ "$(grep -c ',i2t_r1,' axes.csv)" = 1 ] || die "one cell, several hashes: $(cat axes.csv)"
echo "ok: arms"
cat >resume.lua <<'LUA'
local mohs, scenes_clip = require "mohs", require "scenes_clip"
local train = mohs.data.coco { images = "scenes/train", captions = "scenes/train.json" }
local tokenizer, vocab = mohs.tokenizer { data = train, size = 700 }
mohs.train {
  config = scenes_clip.config(vocab, { width = 64, image_layers = 1, text_layers = 1 }),
  preprocessor = scenes_clip.preprocessor(), tokenizer = tokenizer, data = train,
  out = mohs.args { out = "x.safetensors" }.out, steps = 16, batch = 32, warmup = 4,
  crop = 0.8, flip = true, checkpoint_every = 1,
  adversary = { taps = "image.patch,text.token", eps = 0.1, steps = 2, kl = 1,
                start = 6, ramp = 4, random_start = true, average = true },
}
LUA
"$mohs" -q run resume.lua out=whole.safetensors --results r.db
n=0
while [ ! -f parts.safetensors ]; do
	n=$((n + 1))
	[ $n -lt 60 ] || die "training never ends"
	timeout -s KILL "$((n / 4)).$((1 + n % 4 * 2))" "$mohs" -q run resume.lua \
		out=parts.safetensors --results r.db 2>/dev/null || true
done
cmp whole.safetensors parts.safetensors || die "resumed training differs"
echo "ok: training killed $((n - 1)) times gives the same bytes"

printf 'a leopard\na fire\n' >captions.txt
# evaluation: one reference run, then every way it must not differ from
quick() { # results file, options...
	f=$1
	shift
	"$mohs" -q run quickstart data=scenes images=24 attacked=6 report=q.html \
		clean=twins/clean-1.safetensors adversarial=twins/adversarial-1.safetensors \
		--bootstrap 50 --results "$f" "$@" >/dev/null
}
quick ref.db --no-cache --micro-batch 64 --workers 2
quick mb1.db --no-cache --micro-batch 1 --workers 1
same ref.db mb1.db "micro-batch 1, one worker"
# six pictures may order attacks oddly; balls and audits hold on any
"$mohs" results trust ref.db >trust.txt || [ $? = 1 ] || die "results trust"
grep -q 'ok    audit' trust.txt || die "results trust: $(cat trust.txt)"
grep -q 'ok    ball' trust.txt || die "results trust: $(cat trust.txt)"
"$mohs" results trust ref.db --json | grep -q '"check":"ball","good":true' || die "trust as JSON"
! grep -q FAIL trust.txt || grep -q 'FAIL  \(eps\|gradient\|steps\)' trust.txt ||
	die "results trust: $(cat trust.txt)"
echo "ok: trust"
quick mb7.db --no-cache --micro-batch 7
same ref.db mb7.db "micro-batch 7"
quick s0.db --no-cache --shard 0/2
quick s1.db --no-cache --shard 1/2
"$mohs" results merge s0.db s1.db --out merged.db >/dev/null
same ref.db merged.db "two shards merged"
n=0
until timeout -s KILL "0.$((3 + n % 7))" "$mohs" -q run quickstart data=scenes images=24 \
	attacked=6 report=q.html clean=twins/clean-1.safetensors \
	adversarial=twins/adversarial-1.safetensors --bootstrap 50 --results killed.db \
	>/dev/null 2>&1; do
	n=$((n + 1))
	if [ $n -ge 10 ]; then
		quick killed.db
		break
	fi
done
same ref.db killed.db "killed $n times and resumed"
quick warm.db
same ref.db warm.db "from the cache"

# every corruption of a list, with a contact sheet
"$mohs" -q run corruptions limit=12 sets=fog,quick report=sheet.html \
	models=twins/clean-1.safetensors,twins/adversarial-1.safetensors \
	--results sheet.db --bootstrap 20 >sheet.txt
grep -q '^clean-1 .*100.0' sheet.txt || die "corruptions: $(cat sheet.txt)"
[ "$(grep -o '<img alt="fog severity [1-5]"' sheet.html | sort -u | wc -l)" = 5 ] ||
	die "no contact sheet"

# the results file alone is enough to do it again
"$mohs" -q rerun ref.db --bootstrap 50 --no-cache >/dev/null
same ref.db ref.rerun.db "rerun from the results file"
"$mohs" results diff ref.db ref.rerun.db >diff.txt || die "diff: $(cat diff.txt)"

# attacks on files
"$mohs" attack scenes/test/000000.png scenes/test/000001.png -a pgd eps=4/255 steps=3 \
	--model twins/clean-1.safetensors --texts captions.txt --out attacked >attack.txt
[ -s attacked/000001.pgd.png ] || die "attack wrote nothing"
[ "$(grep -c 'linf 0.0156' attack.txt)" = 2 ] || die "attack: $(cat attack.txt)"

# the plan names every cell and runs nothing
"$mohs" run quickstart data=scenes images=24 attacked=6 clean=twins/clean-1.safetensors \
	adversarial=twins/adversarial-1.safetensors --results plan.db --plan >plan.txt
[ "$(grep -c gaussian_noise plan.txt)" = 10 ] || die "plan: $(cat plan.txt)"
[ ! -e plan.db ] || die "--plan wrote results"

# mistakes have a place and a way out
expect() { # exit code, text, recipe text
	printf '%s\n' "$3" >bad.lua
	set +e
	"$mohs" run bad.lua --results bad.db >bad.out 2>&1
	code=$?
	set -e
	[ $code = "$1" ] || die "exit $code, not $1: $3: $(cat bad.out)"
	grep -q -- "$2" bad.out || die "no '$2' for: $3: $(cat bad.out)"
}
expect 3 'bad.lua:1:' 'x = = 1'
expect 3 'bad.lua:1:.*nil value' 'local x = nil; x.y = 1'
expect 3 'nil value' 'os.execute("true")'
expect 3 'no such file' 'require("mohs").model { weights = "nothing.safetensors" }'
expect 5 'did you mean .gaussian_noise' 'require("mohs").corruption("gausian_noise")'
expect 3 'did you mean .weights' 'require("mohs").model { weight = 1 }'
echo "ok: recipes"
