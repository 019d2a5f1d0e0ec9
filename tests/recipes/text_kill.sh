#!/bin/sh
# SPDX-License-Identifier: MIT
# kill -9 in the middle of attacks on texts and on pairs, on the shipped model:
# resumed they give the same bits and leave no state behind.
set -eu
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

die() {
	echo "FAIL: $*" >&2
	exit 1
}
# all but the last column, the seconds
values() {
	"$mohs" results export "$1" --csv | sed 's/,[^,]*$//' | sort
}

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

# what an earlier process left is made old before
fresh_state() {
	for f in kept/attacks/*; do
		[ "$f" -nt before ] && return 0
	done
	return 1
}
touch -d '1 hour ago' before
for a in sga text_chars; do
	"$mohs" -q run one.lua attack=$a --no-cache --results whole.$a.db
	rm -rf kept
	n=0
	while [ $n -lt 4 ]; do
		for f in kept/attacks/*; do
			[ ! -e "$f" ] || touch -d '2 hours ago' "$f"
		done
		"$mohs" run one.lua attack=$a --cache kept --results parts.$a.db >/dev/null \
			2>>$a.err &
		pid=$!
		while kill -0 $pid 2>/dev/null && ! fresh_state; do sleep 0.01; done
		sleep 0.0$((n * 7 % 10))
		kill -KILL $pid 2>/dev/null || break # it was through before
		wait $pid 2>/dev/null || true
		n=$((n + 1))
	done
	wait
	"$mohs" run one.lua attack=$a --cache kept --results parts.$a.db >/dev/null 2>>$a.err ||
		die "$a killed $n times, then: $(tail -n 1 $a.err)"
	values whole.$a.db >a.txt
	values parts.$a.db >b.txt
	cmp -s a.txt b.txt || { diff a.txt b.txt | head -5 >&2; die "a killed $a differs"; }
	grep -q 'goes on where it was' $a.err || die "$a was never in the middle: $(cat $a.err)"
	[ -z "$(ls kept/attacks)" ] || die "states left behind: $(ls kept/attacks)"
	echo "ok: $a killed $n times, resumed $(grep -c 'goes on' $a.err) times: same bits"
done
