#!/bin/sh
# SPDX-License-Identifier: MIT
# Zero-shot classification end to end: the values that transformers gives
# (golden/zeroshot.py), classifiers, attacks on images, folders of corrupted
# pictures, factors, and what is refused. Needs no fonts.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
src=${srcdir:-.}
src=$(cd "$src" && pwd)
mohs=${top_builddir:-.}/core/mohs
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-zero-shot-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
export MOHS_CACHE_DIR
golden=$src/tests/golden
cd "$work"

run() { # results, recipe, arguments...
	f=$1 r=$2
	shift 2
	"$mohs" -q run "$r" --results "$f" --bootstrap 20 "$@"
}

while read -r folder picture; do
	mkdir -p "tree/$folder"
	cp "$golden/images/$picture" "tree/$folder/"
done <"$golden/zeroshot/pictures.txt"
awk '{ printf "n%08d %s\n", NR, $0 }' "$golden/zeroshot/classnames.txt" >map.txt

cat >golden.lua <<'LUA'
local mohs = require "mohs"
local g = mohs.args { golden = "" }.golden
local data = mohs.data.folder { dir = "tree", classes = "map.txt" }
local model = mohs.model { weights = "share/scenes-clean.safetensors" }
local sets = {
  mohs.prompts "name",
  mohs.prompts { file = g .. "/templates.txt" },
  mohs.prompts { sentences = g .. "/sentences.json" },
  mohs.prompts { descriptors = g .. "/descriptors.json" },
  mohs.prompts { descriptors = g .. "/descriptors.json", merge = "max", name = "descriptors max" },
}
for _, p in ipairs(sets) do
  mohs.cell { model = model, data = data, prompts = p, metric = mohs.metric "zeroshot" }
end
for _, r in ipairs(mohs.run()) do
  local v = r.values
  print(("%s: %.9g %.9g %.9g %.9g %.9g"):format(r.prompt, v.top1.value, v.top5.value,
    v.balanced_accuracy.value, v.confidence.value, v.margin.value))
end
LUA
run g.db golden.lua golden="$golden/zeroshot" >have.txt
# cosines of single precision, sevenfold in the softmax: 1e-5 of each number
paste -d'|' have.txt "$golden/zeroshot/expected.txt" | awk -F'|' '{
	split($1, a, ": "); split($2, b, ": "); n = split(a[2], x, " "); split(b[2], y, " ")
	if (a[1] != b[1] || n != 5) { print "sets " $0; exit 1 }
	for (i = 1; i <= n; i++) {
		d = x[i] - y[i]; m = y[i] < 0 ? -y[i] : y[i]
		if ((d < 0 ? -d : d) > 1e-5 * (m > 1 ? m : 1)) { print a[1] ": " x[i] " is not " y[i]; exit 1 }
	}
}' || die "differs from transformers"
[ "$(wc -l <have.txt)" = 5 ] || die "$(cat have.txt)"
# other words under the same name: the cause is named
for t in "a {}" "one {}"; do
	cat >words.lua <<-LUA
		local mohs = require "mohs"
		mohs.cell { model = mohs.model { weights = "share/scenes-clean.safetensors" },
		  data = mohs.data.folder { dir = "tree", classes = "map.txt" }, metric = mohs.metric "zeroshot",
		  prompts = mohs.prompts { templates = { "$t" }, name = "mine" } }
	LUA
	run "${t%% *}.db" words.lua
done
"$mohs" results diff a.db one.db >diff.txt && die "one {} is a {}"
grep -q 'prompt_text' diff.txt || die "no cause: $(cat diff.txt)"
echo "ok: values of transformers"

# everything again, from the cache alone and in pieces, with the same numbers
run again.db golden.lua golden="$golden/zeroshot" --micro-batch 1 --no-cache >again.txt
cmp -s have.txt again.txt || die "micro-batch 1: $(diff have.txt again.txt | head -2)"
echo "ok: the same whatever the batch"

# attacks have the classes as candidates: stronger ones do more
cat >attack.lua <<'LUA'
local mohs = require "mohs"
local data = mohs.data.folder { dir = "tree", classes = "map.txt" }
local model = mohs.model { weights = "share/scenes-clean.safetensors" }
local metric = mohs.metric "zeroshot"
local max = mohs.prompts { templates = { "{}", "a picture of a {}" }, merge = "max", name = "max" }
local margin = {}
for _, p in ipairs { mohs.prompts "name", max } do
  mohs.cell { model = model, data = data, prompts = p, metric = metric }
  for _, a in ipairs { mohs.attack("fgsm", { eps = "4/255" }),
                       mohs.attack("pgd", { eps = "4/255", steps = 10 }),
                       mohs.attack("apgd", { eps = "4/255", steps = 10 }),
                       mohs.attack("feature_pgd", { tap = "image.patch", eps = 0.1 }) } do
    mohs.cell { model = model, data = data, prompts = p, metric = metric, attack = a }
  end
end
mohs.cell { model = model, data = data, prompts = max, metric = metric,
            attack = mohs.attack("autoattack", { eps = "4/255", steps = 5, queries = 50 }) }
for _, r in ipairs(mohs.run()) do
  local v = r.values
  print(r.prompt, r.attack or "clean", v.top1.value, v.margin.value)
  margin[r.prompt .. (r.attack or "")] = v.margin.value
  assert(not r.attack or v["asr_miss:hit@1"].value == 100 - v.top1.value)
  assert(not v["asr_flip:confidence"])
  assert(not r.attack or r.attack == "feature_pgd" or
         v.delta_linf_max.value <= 4 / 255 + 1e-6 and v.audit_out_of_range.value == 0)
end
for _, p in ipairs { "name", "max" } do
  assert(margin[p .. "fgsm"] < margin[p], p)
  assert(margin[p .. "pgd"] < margin[p .. "fgsm"], p)
  assert(margin[p .. "apgd"] < margin[p], p)
end
print "attacked"
LUA
run a.db attack.lua >attack.txt || die "attacks: $(cat attack.txt)"
grep -q '^attacked' attack.txt || die "attacks: $(cat attack.txt)"
echo "ok: attacks"

# a classifier's outputs, by the list that folders are named from
mkdir five
for k in 0 2 3; do cp -r "tree/n0000000$((k + 1))" "five/c0$k"; done
printf 'c04\ta\nc03\tb\nc02\tc\nc01\td\nc00\te\n' >five.txt
cat >classifier.lua <<'LUA'
local mohs = require "mohs"
local a = mohs.args { golden = "", prompts = false }
local data = mohs.data.folder { dir = "five", classes = "five.txt" }
local model = mohs.model { weights = a.golden .. "/families/vit_timm.safetensors" }
assert(model.classifier)
mohs.cell { model = model, data = data, metric = mohs.metric "zeroshot",
            prompts = a.prompts and mohs.prompts "name" or nil }
for _, r in ipairs(mohs.run()) do print(r.values.top1.value, r.values.margin.value, r.prompt) end
LUA
run c.db classifier.lua golden="$golden" >c.txt
grep -q 'nil$' c.txt || die "classifier: $(cat c.txt)"
! run c.db classifier.lua golden="$golden" prompts=true 2>err.txt || die "classifier with prompts"
grep -q 'takes no prompts' err.txt || die "$(cat err.txt)"
echo "ok: classifiers"

# folders of corrupted pictures stand where mohs would corrupt
for s in 1 2 3 4 5; do
	for c in fog contrast; do
		mkdir -p "c/$c/$s"
		cp -r tree/* "c/$c/$s/"
	done
done
"$mohs" data check c >check.txt || die "data check: $(cat check.txt)"
grep -q 'corrupted *fog/5 *8 images .* 7 classes' check.txt || die "data check: $(cat check.txt)"
cat >corrupted.lua <<'LUA'
local mohs = require "mohs"
local model = mohs.model { weights = "share/scenes-clean.safetensors" }
local options = { dir = "tree", classes = "map.txt", name = "tree" }
local function cell(data)
  mohs.cell { model = model, data = data, prompts = mohs.prompts "photo",
              metric = mohs.metric "zeroshot" }
end
cell(mohs.data.folder(options))
options.dir = "c"
for _, d in ipairs(mohs.data.imagenet_c(options)) do cell(d) end
mohs.run()
print(mohs.robustness_table(mohs.robustness { value = "top1", only = "all" }))
mohs.report { out = "c.html", title = "files" }
LUA
run cc.db corrupted.lua >cc.txt
grep -q ' 37.5  *37.5  *0.0  *100.0' cc.txt || die "corrupted files: $(cat cc.txt)"
grep -q 'fog' c.html || die "no corruptions in the report"
grep -q 'taken for' c.html || die "no classes in the report"
echo "ok: corrupted files"

# the recipe that does it all
run z.db zero_shot data=tree classes=map.txt prompts=name,photo sets=contrast random=1 \
	sentences="$golden/zeroshot/sentences.json" attacks=fgsm report=z.html \
	models=share/scenes-clean.safetensors >z.txt
grep -q '^top1  *name  *photo  *sentences  *random 15, seed 1$' z.txt || die "recipe: $(cat z.txt)"
grep -q '^clean  *25.0 ' z.txt || die "recipe: $(cat z.txt)"
grep -q '^contrast ' z.txt || die "recipe: $(cat z.txt)"
grep -q '^fgsm' z.txt || die "recipe: $(cat z.txt)"
[ "$(grep -c 'prompt: photo' z.html)" -ge 1 ] || die "recipe: no prompts in the report"
echo "ok: the recipe"

# factors
{
	echo '{"file_name": "rgb.png", "pose": 1, "dark": 0}'
	echo '{"file_name": "adam7_rgb.png", "pose": 0, "dark": 1}'
	echo '{"file_name": "p8.png", "pose": 1, "dark": 1}'
	echo '{"file_name": "grey.png", "pose": 1, "dark": 0}'
} >factors.jsonl
printf 'file_name\ngrey.png\n' >prototypes.csv
cat >factors.lua <<'LUA'
local mohs = require "mohs"
local data = mohs.data.folder { dir = "tree", classes = "map.txt", factors = "factors.jsonl",
                                prototypes = "prototypes.csv" }
mohs.cell { model = mohs.model { weights = "share/scenes-clean.safetensors" }, data = data,
            prompts = mohs.prompts "name", metric = mohs.metric("factors", { names = "pose,dark" }) }
for _, r in ipairs(mohs.run()) do
  print(("%.4f %.4f %.4f %.4f"):format(r.values.average.value, r.values.worst.value,
    r.values.accuracy_pose.value, r.values.error_ratio_dark.value))
end
LUA
run f.db factors.lua >f.txt
grep -Eq '^[0-9.]+ [0-9.]+ [0-9.]+ [0-9.]+$' f.txt || die "factors: $(cat f.txt)"
echo "ok: factors"

# the plan counts prompts once a model
run p.db golden.lua golden="$golden/zeroshot" --plan >plan.txt
grep -q '5 of 5 cells' plan.txt || die "plan: $(cat plan.txt)"

expect() { # exit code, text, recipe text
	printf 'local mohs = require "mohs"\n%s\n' "$3" >bad.lua
	set +e
	"$mohs" run bad.lua --results bad.db >bad.out 2>&1
	code=$?
	set -e
	[ $code = "$1" ] || die "exit $code, not $1: $3: $(cat bad.out)"
	grep -q -- "$2" bad.out || die "no '$2' for: $3: $(cat bad.out)"
}
cell='mohs.cell { model = mohs.model { weights = "share/scenes-clean.safetensors" }, metric = mohs.metric "zeroshot", '
expect 3 "no set 'photographs'" 'mohs.prompts "photographs"'
expect 3 "did you mean .templates" 'mohs.prompts { template = { "x" } }'
expect 3 "'no class' has no {}" 'mohs.prompts { templates = { "no class" } }'
expect 3 'templates\[1\] is no string' 'mohs.prompts { templates = { {} } }'
expect 2 'class folders need prompts' "$cell"'data = mohs.data.folder { dir = "tree" } }'
expect 3 "no class 'n00000001'" "$cell"'data = mohs.data.folder { dir = "tree" },
  prompts = mohs.prompts { sentences = "'"$golden"'/zeroshot/sentences.json" } }'
expect 1 'only images are attacked' "$cell"'data = mohs.data.folder { dir = "tree" },
  prompts = mohs.prompts "name", attack = mohs.attack("feature_pgd", { tap = "text.token", eps = 0.1 }) }'
expect 1 'corrupted already, by fog' "$cell"'data = mohs.data.folder { dir = "c/fog/1",
  corruption = "fog", severity = 1 }, prompts = mohs.prompts "name", corruption = mohs.corruption("fog"):at(1) }'
expect 2 'has no factors' "$cell"'data = mohs.data.folder { dir = "tree" }, prompts = mohs.prompts "name" }
  mohs.cell { model = mohs.model { weights = "share/scenes-clean.safetensors" }, data = mohs.data.folder { dir = "tree" },
  prompts = mohs.prompts "name", metric = mohs.metric "factors" } mohs.run()'
expect 3 "none of 'snow' is in c" 'mohs.data.imagenet_c { dir = "c", only = "snow" }'
echo "ok: zero_shot"
