-- SPDX-License-Identifier: MIT
-- Zero-shot classification of class folders: how much the wording of the
-- class prompts decides, on clean, corrupted and attacked pictures.
local mohs = require "mohs"
mohs.require_api "1.0"

local args = mohs.args {
  data = "scenes/classes",    -- a folder a class; `mohs data emoji-scenes` makes one
  classes = "",               -- names of the classes; empty: classnames.txt in data
  per_class = 0,              -- the first so many pictures of each class; 0: all
  corrupted = "",             -- ImageNet-C's layout of the same classes: files instead
                              -- of the corruptions of `sets`
  models = "share/scenes-clean.safetensors,share/scenes-adversarial.safetensors",
  prompts = "name,photo,scenes",  -- sets of share/prompts, or files of templates
  sentences = "",             -- JSON, class to sentences (CuPL)
  descriptors = "",           -- JSON, class to descriptors (DCLIP)
  random = 0,                 -- seeds of random descriptors (WaffleCLIP uses 7)
  sets = "quick",             -- named sets or single corruptions; empty: none
  attacks = "pgd",            -- on the first set of prompts; empty: none
  eps = "1/255",
  attacked = 1,               -- pictures of each class for the attacks
  report = "zero_shot.html",
}

local function words(text)
  local list = {}
  for w in text:gmatch("[^,%s]+") do list[#list + 1] = w end
  return list
end

local sets = {}
for _, w in ipairs(words(args.prompts)) do
  sets[#sets + 1] = w:find("[./]") and mohs.prompts { file = w } or mohs.prompts(w)
end
if args.sentences ~= "" then
  sets[#sets + 1] = mohs.prompts { sentences = args.sentences }
end
if args.descriptors ~= "" then
  sets[#sets + 1] = mohs.prompts { descriptors = args.descriptors }
end
for seed = 1, args.random do
  sets[#sets + 1] = mohs.prompts { random = 15, seed = seed }
end

local ids, known = {}, {}
for _, c in ipairs(mohs.list "corruption") do known[c.id] = true end
for _, w in ipairs(words(args.corrupted == "" and args.sets or "")) do
  for _, id in ipairs(known[w] and { w } or mohs.corruptions[w]) do
    ids[#ids + 1] = id
  end
end

local classes = args.classes ~= "" and args.classes or nil
local data = mohs.data.folder {
  dir = args.data, classes = classes, per_class = args.per_class,
}
local small = args.attacks ~= "" and mohs.data.folder {
  dir = args.data, classes = classes, per_class = args.attacked,
  name = ("%s, first %d of a class"):format(data.name, args.attacked),
}
local files = args.corrupted ~= "" and mohs.data.imagenet_c {
  dir = args.corrupted, classes = classes, per_class = args.per_class, name = data.name,
} or {}

local metric = mohs.metric "zeroshot"
for _, path in ipairs(words(args.models)) do
  local model = mohs.model { weights = path }
  for k, prompts in ipairs(model.classifier and { false } or sets) do
    local function cell(on, more)
      mohs.cell { model = model, data = on, prompts = prompts or nil, metric = metric,
                  corruption = more and more.corruption, attack = more and more.attack }
    end
    cell(data)
    for c in mohs.each(ids) do cell(data, { corruption = c }) end
    for _, d in ipairs(files) do cell(d) end
    if small and k == 1 then
      cell(small)
      for _, a in ipairs(words(args.attacks)) do
        cell(small, { attack = mohs.attack(a, { eps = args.eps }) })
      end
    end
  end
end
mohs.report { out = args.report, title = "Zero-shot classification" }

local results = mohs.run()
local function on(name, keep)
  local list = {}
  for _, r in ipairs(results) do
    if r.data == name and (not keep or keep(r)) then list[#list + 1] = r end
  end
  return list
end
if #results > 0 then
  print(("Accuracy (%%) over %d pictures of %d classes; corruptions are means over severities")
    :format(data.images, data.classes))
  print("\nTop 1:")
  print(mohs.table(on(data.name), "top1"))
  print("\nMean over classes, clean:")
  print(mohs.table(on(data.name, function(r) return not r.corruption end),
                   "balanced_accuracy"))
  if small then
    print(("\nTop 1 on %d of the pictures, attacked:"):format(small.images))
    print(mohs.table(on(small.name), "top1"))
  end
end
