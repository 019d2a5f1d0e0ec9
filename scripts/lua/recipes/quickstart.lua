-- SPDX-License-Identifier: MIT
-- Two small CLIP models trained alike on emoji-scenes, one clean and one with
-- feature-level adversarial perturbations: retrieval on clean, corrupted and
-- attacked inputs.
local mohs = require "mohs"
mohs.require_api "1.0"

local args = mohs.args {
  data = "scenes",            -- directory made by `mohs data emoji-scenes`
  images = 500,               -- test images for clean and corrupted retrieval
  attacked = 100,             -- images for the attacks, which cost more
  report = "report.html",
  clean = "share/scenes-clean.safetensors",
  adversarial = "share/scenes-adversarial.safetensors",
}

local function scenes(limit, name)
  return mohs.data.coco {
    images = args.data .. "/test", captions = args.data .. "/test.json",
    limit = limit, name = name,
  }
end

local models = {
  mohs.model { weights = args.clean, label = "clean" },
  mohs.model { weights = args.adversarial, label = "feature-adversarial" },
}
local retrieval = mohs.metric("retrieval", { k = { 1, 5, 10 } })
local attacks = {
  mohs.attack("pgd", { eps = "2/255", steps = 10 }),
  mohs.attack("feature_pgd", { tap = "image.patch", eps = 0.1, steps = 10 }),
}

local test = scenes(args.images, "scenes/test")
local small = scenes(args.attacked, "scenes/test, first " .. args.attacked)
for _, model in ipairs(models) do
  mohs.cell { model = model, data = test, metric = retrieval }
  for c in mohs.each(mohs.corruptions.quick, 1, 5) do
    mohs.cell { model = model, data = test, metric = retrieval, corruption = c }
  end
  mohs.cell { model = model, data = small, metric = retrieval }
  for _, a in ipairs(attacks) do
    mohs.cell { model = model, data = small, metric = retrieval, attack = a }
  end
end

mohs.report { out = args.report, title = "Clean and feature-adversarial twins" }

local results = mohs.run()
local function on(data)
  local list = {}
  for _, r in ipairs(results) do
    if r.data == data then list[#list + 1] = r end
  end
  return list
end
if #results > 0 then
  print("Mean recall (%) over R@1/5/10 in both directions; corruptions are means over severities 1-5")
  print()
  print(("%d test images:"):format(test.images))
  print(mohs.table(on(test.name), "mean_recall"))
  print()
  print(("the first %d of them, attacked:"):format(small.images))
  print(mohs.table(on(small.name), "mean_recall"))
end
