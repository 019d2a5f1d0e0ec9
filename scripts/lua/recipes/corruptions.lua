-- SPDX-License-Identifier: MIT
-- Image-text retrieval under every common corruption, severities 1 to 5: mCE,
-- mRR and MMI of each model, and a contact sheet of what the corruptions do.
local mohs = require "mohs"
mohs.require_api "1.0"

local args = mohs.args {
  images = "scenes/test",          -- pictures, and
  captions = "scenes/test.json",   -- their captions (COCO)
  limit = 200,                     -- the first so many; 0: all
  models = "share/scenes-clean.safetensors,share/scenes-adversarial.safetensors",
  sets = "common,extra",           -- named sets or single corruptions
  profile = "",                    -- e.g. imagecorruptions; empty: the default
  baseline = "",                   -- label of the model mCE is against; empty: the first
  value = "mean_recall",
  report = "corruptions.html",
}

local function words(text)
  local list = {}
  for w in text:gmatch("[^,%s]+") do list[#list + 1] = w end
  return list
end

local has_profile, ids, seen = {}, {}, {}
for _, c in ipairs(mohs.list "corruption") do
  seen[c.id] = false
  for _, p in ipairs(c.params) do
    has_profile[c.id] = has_profile[c.id] or p.name == "profile"
  end
end
local function take(id)
  if not seen[id] then ids[#ids + 1] = id end
  seen[id] = true
end
for _, w in ipairs(words(args.sets)) do
  if seen[w] ~= nil then take(w) else
    for _, id in ipairs(mohs.corruptions[w]) do take(id) end
  end
end

local test = mohs.data.coco {
  images = args.images, captions = args.captions, limit = args.limit,
}
local metric = mohs.metric("retrieval", { k = { 1, 5, 10 } })
local first
for _, path in ipairs(words(args.models)) do
  local model = mohs.model { weights = path }
  first = first or model.label
  mohs.cell { model = model, data = test, metric = metric }
  for _, id in ipairs(ids) do
    local params = {}
    if args.profile ~= "" and has_profile[id] then params.profile = args.profile end
    for c in mohs.each { mohs.corruption(id, params) } do
      mohs.cell { model = model, data = test, metric = metric, corruption = c }
    end
  end
end
mohs.report { out = args.report, title = "Common corruptions" }

local results = mohs.run()
if #results > 0 then
  print(mohs.table(results, args.value))
  print()
  print(mohs.robustness_table(mohs.robustness {
    value = args.value, only = "all",
    baseline = args.baseline ~= "" and args.baseline or first,
  }))
end
