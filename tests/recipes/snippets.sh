#!/bin/sh
# SPDX-License-Identifier: MIT
# The Lua snippets of the READMEs run, and mohs.meta.lua declares all that the
# live module has.
set -eu
# shellcheck source=tests/recipes/common.sh
. "${srcdir:-.}/tests/recipes/common.sh"
src=${srcdir:-.}
src=$(cd "$src" && pwd)
mohs=${top_builddir:-.}/core/mohs
work=$(mktemp -d "${TMPDIR:-/tmp}/mohs-snippets-XXXXXX")
trap 'rm -rf "$work"' EXIT
MOHS_CACHE_DIR=$work/cache
export MOHS_CACHE_DIR
[ -f /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf ] || exit 77
cd "$work"

cat >walk.lua <<'LUA'
local mohs = require "mohs"
local function walk(prefix, t)
  local names = {}
  for k in pairs(t) do names[#names + 1] = k end
  table.sort(names)
  for _, k in ipairs(names) do
    local v = t[k]
    if type(v) == "function" then print("function " .. prefix .. k .. "(")
    elseif type(v) ~= "table" then print("---@field " .. k .. " ")
    elseif k ~= "corruptions" then walk(prefix .. k .. ".", v) end
  end
end
walk("mohs.", mohs)
LUA
"$mohs" -q run walk.lua --results w.db >names.txt
[ "$(wc -l <names.txt)" -gt 15 ] || die "the module is empty: $(cat names.txt)"
while read -r name; do
	grep -qF -- "$name" "$src/scripts/lua/mohs.meta.lua" || die "mohs.meta.lua lacks: $name"
done <names.txt

"$mohs" -q data emoji-scenes --out scenes --train 0 --val 4 --test 8
n=0
for doc in README.md scripts/lua/README.md docs/zero_shot.md; do
	awk -v out="snippet" '/^```lua/ { on = 1; n++; next } /^```/ { on = 0 }
		on { print > (out "." n ".lua") }' "$src/$doc"
	for f in snippet.*.lua; do
		[ -e "$f" ] || die "$doc: no snippets"
		"$mohs" -q run "$f" --results "$n.db" --bootstrap 20 >out.txt 2>err.txt ||
			die "$doc, $f: $(cat err.txt)"
		[ -s out.txt ] || die "$doc, $f prints nothing"
		n=$((n + 1))
		rm "$f"
	done
done
[ $n -ge 3 ] || die "only $n snippets"
echo "snippets: $n ok"
