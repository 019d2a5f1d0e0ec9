#!/bin/sh
# SPDX-License-Identifier: MIT
# kill -9 in the middle of attacks on texts and on pairs, on the shipped model:
# resumed they give the same bits and leave no state behind.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
mohs=${top_builddir:-.}/core/mohs
share=$(cd "${srcdir:-.}" && pwd)/share
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-text-kill-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
export MOHS_CACHE_DIR
font=/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf
cldr=/usr/share/unicode/cldr/common/annotations/en.xml
[ -f "$font" ] && [ -f "$cldr" ] || { echo "no font or names: skipped"; exit 77; }
cd "$work"

"$mohs" -q data emoji-scenes --out scenes --train 4 --val 4 --test 8
ln -s "$share/scenes-clean.safetensors" clean.safetensors
cat >one.lua <<'LUA'
local mohs = require "mohs"
local a = mohs.args { attack = "sga" }
local params = { sga = { unit = "chars", max_edits = 2, positions = 4, steps = 4 },
                 text_chars = { max_chars = 4, positions = 4 } }
mohs.cell {
  model = mohs.model("clip", { weights = "clean.safetensors" }),
  data = mohs.data.coco { images = "scenes/test", captions = "scenes/test.json", limit = 6 },
  attack = mohs.attack(a.attack, params[a.attack]), metric = mohs.metric "retrieval",
}
mohs.run()
LUA

for a in sga text_chars; do
	"$mohs" -q run one.lua attack=$a --no-cache --results whole.$a.db
	rm -rf kept
	killed 4 $a.err "$mohs" run one.lua attack=$a --cache kept --results parts.$a.db
	equal whole.$a.db parts.$a.db "a killed $a differs"
	echo "ok: $a killed $n times, resumed $(grep -c 'goes on' $a.err) times: same bits"
done
