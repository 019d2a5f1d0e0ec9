-- SPDX-License-Identifier: MIT
-- Joint attacks on the shipped models at equal eps, steps and budget: the table of
-- docs/attacks.md. `mohs data emoji-scenes --out scenes --train 40 --val 8 --test 300`
-- first; then `mohs run joint.lua share=DIR --results joint.db`.
local mohs = require "mohs"
local a = mohs.args { scenes = "scenes", share = "share", images = 200, eps = "1,2,4",
                      steps = 10, edits = 1, unit = "words" }
local data = mohs.data.coco { images = a.scenes .. "/test", captions = a.scenes .. "/test.json",
                              limit = a.images }
for _, name in ipairs { "clean", "adversarial" } do
  local model = mohs.model("clip", { weights = a.share .. "/scenes-" .. name .. ".safetensors" })
  for eps in a.eps:gmatch "[%d.]+" do
    for _, id in ipairs { "separate", "co_attack", "sga" } do
      mohs.cell {
        model = model, data = data, metric = mohs.metric "retrieval",
        attack = mohs.attack(id, { eps = eps .. "/255", steps = a.steps,
                                   max_edits = a.edits, unit = a.unit }),
      }
    end
  end
end
for _, c in ipairs(mohs.run()) do
  local v = c.values
  print(string.format("%-20s %-10s %-20s flip %.1f %.1f  drop %.1f %.1f", c.model, c.attack,
    c.attack_params or "", v["asr_flip:i2t_hit@1"].value, v["asr_flip:t2i_hit@1"].value,
    v["asr_drop:i2t_hit@1"].value, v["asr_drop:t2i_hit@1"].value))
end
