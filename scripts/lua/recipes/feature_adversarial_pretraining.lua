-- SPDX-License-Identifier: MIT
-- Trains models from scratch that differ in one thing, with several seeds, and
-- compares them in retrieval under corruptions and attacks. Without the
-- controls (as much compute, as large but random perturbations) no gain can
-- be credited to adversaries:
--
--   clean        no perturbation
--   matched      clean, with as many passes as the adversarial arms
--   noise_image  random features of the same norm at image taps
--   noise        random features of the same norm at all taps
--   pixels       adversarial pixels, Linf
--   image, text  adversarial features at the taps of one tower
--   adversarial  adversarial features at all taps
--   embed        adversarial embeddings of both towers, back on the sphere
--
-- and, varying one thing of `adversarial` (arms=ablation):
--
--   eps_0.025, eps_0.05, eps_0.2   the radius
--   inner_2, inner_3               the steps up the loss
--   block_0, block_1               the depth of the taps: after these blocks
--   long_adversarial, long_matched four times the steps of the two
--
-- All arms of a seed share a clean warm-up: with an adversary from step 0
-- training stalls. At the scale study it is a run of its own, whose model the
-- arms start from; else the first half (but for matched, whose schedule is
-- longer). A killed run goes on where it was.
local mohs = require "mohs"
local scenes_clip = require "scenes_clip"
mohs.require_api "1.0"

local args = mohs.args {
  scale = "small",            -- smoke, small, study, full
  seeds = 0,                  -- 0: as many as the scale says
  data = "scenes",            -- made when missing
  out = "twins",              -- where checkpoints go
  report = "twins.html",
  arms = "clean,adversarial", -- of the lists above; all: the first, ablation: the second
  evaluate = "quick",         -- quick; corruptions: all of ImageNet-C, and of
                              -- texts at severities 1, 3 and 5; all: attacks as
                              -- well; none: train only
  eps = 0.1,                  -- relative L2 radius, per token
  pixel_eps = 0.06,           -- of the pixels arm, in standard deviations of
                              -- a picture's values
  inner = 1,                  -- steps up the loss
  kl = 0,                     -- weight of the symmetric KL
  taps = "image.patch,text.token",
  test = 0,                   -- test images; 0: as the scale says
}

local scales = {
  smoke = { train = 256, val = 64, test = 64, steps = 12, batch = 32, width = 64,
            image_layers = 1, text_layers = 1, seeds = 1, vocab = 700 },
  small = { train = 20000, val = 1000, test = 1000, steps = 1200, batch = 128,
            width = 128, image_layers = 3, text_layers = 2, seeds = 1, vocab = 2048 },
  study = { train = 20000, val = 1000, test = 500, steps = 240, batch = 64,
            width = 96, image_layers = 3, text_layers = 2, seeds = 3, vocab = 2048,
            lr = 5e-4, attacked = 100, warm = { steps = 900, batch = 96, warmup = 60 } },
  full  = { train = 20000, val = 1000, test = 1000, steps = 2400, batch = 256,
            width = 192, image_layers = 4, text_layers = 3, seeds = 3, vocab = 2048 },
}
local s = scales[args.scale]
if not s then error("scale must be smoke, small, study or full, not " .. args.scale) end
local seeds = args.seeds > 0 and args.seeds or s.seeds

mohs.data.emoji_scenes { out = args.data, train = s.train, val = s.val, test = s.test }
local function split(name, limit)
  return mohs.data.coco { images = args.data .. "/" .. name, name = "scenes/" .. name,
                          captions = args.data .. "/" .. name .. ".json", limit = limit }
end
local train, val = split("train"), split("val")
local test = split("test", args.test > 0 and args.test or s.test)
local tokenizer, vocab = mohs.tokenizer { data = train, size = s.vocab }
local config = scenes_clip.config(vocab, s)

local start = s.warm and 0 or s.steps // 2
local function perturbed(taps, more)
  local a = { taps = taps, norm = "l2", eps = args.eps, steps = args.inner, kl = args.kl,
              start = start, ramp = s.steps // (s.warm and 4 or 6) }
  for k, v in pairs(more or {}) do a[k] = v end
  return a
end
local function taps_of(tower)
  local list = {}
  for tap in args.taps:gmatch("[^,]+") do
    if (tap:find("^text%.") ~= nil) == (tower == "text") then list[#list + 1] = tap end
  end
  return table.concat(list, ",")
end
-- Clean steps with as many passes as n adversarial ones: such a step is the clean
-- pass, which also gives the first direction, and one pass for each of the `inner`
-- perturbations; with a KL one more.
local function matched(n)
  return n + (n - start) * (args.inner + (args.kl > 0 and 1 or 0))
end
local known = {
  clean = {},
  matched = { steps = matched(s.steps) },
  noise_image = { adversary = perturbed(taps_of("image"), { kind = "noise" }) },
  noise = { adversary = perturbed(args.taps, { kind = "noise" }) },
  pixels = { adversary = perturbed("pixels", { norm = "linf", eps = args.pixel_eps }) },
  image = { adversary = perturbed(taps_of("image")) },
  text = { adversary = perturbed(taps_of("text")) },
  adversarial = { adversary = perturbed(args.taps) },
  -- the embeddings are normalised after the perturbation
  embed = { adversary = perturbed("image.embed,text.embed") },
}
local groups = {
  all = { "clean", "matched", "noise_image", "noise", "pixels", "image", "text",
          "adversarial", "embed" },
  ablation = { "long_adversarial", "long_matched" },
}
local function ablate(name, perturbation)
  known[name] = { adversary = perturbation }
  table.insert(groups.ablation, #groups.ablation - 1, name)
end
for _, eps in ipairs { 0.025, 0.05, 0.2 } do
  ablate("eps_" .. eps, perturbed(args.taps, { eps = eps }))
end
for _, inner in ipairs { 2, 3 } do
  ablate("inner_" .. inner, perturbed(args.taps, { steps = inner }))
end
for block = 0, math.min(s.image_layers, s.text_layers) - 1 do
  local taps = ("image.block.%d,text.block.%d"):format(block, block)
  ablate("block_" .. block, perturbed(taps))
end
known.long_adversarial = { adversary = known.adversarial.adversary, steps = 4 * s.steps }
known.long_matched = { steps = matched(4 * s.steps) }

local arms = {}
local asked = groups[args.arms] and table.concat(groups[args.arms], ",") or args.arms
for name in asked:gmatch("[^,]+") do
  local arm = known[name]
  if not arm then
    error(("no arm '%s'; there are %s, %s, all, ablation"):format(
      name, table.concat(groups.all, ", "), table.concat(groups.ablation, ", ")))
  end
  if arm.adversary and arm.adversary.taps == "" then
    error(("arm '%s': no tap of that tower in taps = %s"):format(name, args.taps))
  end
  arms[#arms + 1] = { name = name, adversary = arm.adversary, steps = arm.steps or s.steps }
end

-- A family is what `mohs results compare` takes together.
local every = { { "common", "common" }, { "extra", "held out" }, { "text", "texts" } }
local sets = { none = {}, quick = { { "quick", "common" } }, corruptions = every, all = every }
if not sets[args.evaluate] then
  error("evaluate must be quick, corruptions, all or none, not " .. args.evaluate)
end
-- Attacks cost more, so they see the first `attacked` pictures.
local attacked = split("test", s.attacked or s.test)
local attacks = args.evaluate ~= "all" and {} or {
  mohs.attack("pgd", { eps = "1/255", steps = 10 }),
  mohs.attack("apgd", { eps = "1/255", steps = 20 }),
  mohs.attack("square", { eps = "1/255", queries = 100 }),
  mohs.attack("feature_pgd", { tap = "image.patch", eps = 0.1, steps = 10 }),
  mohs.attack("feature_noise", { tap = "image.patch", eps = 0.1 }),
}

-- A training run; fields of `o` over those that all have.
local function train_run(o)
  local run = {
    model = "clip", config = config, tokenizer = tokenizer,
    preprocessor = scenes_clip.preprocessor(), data = train, validate = val,
    steps = s.steps, batch = s.batch, lr = s.lr or 1e-3, weight_decay = 0.1,
    ema = 0.99, crop = 0.8,
  }
  for k, v in pairs(o) do run[k] = v end
  run.warmup = run.warmup or run.steps // 10
  run.validate_every = run.validate_every or run.steps // 4
  return mohs.train(run)
end

local retrieval = mohs.metric("retrieval", { k = { 1, 5, 10 } })
for seed = 1, seeds do
  local warm = s.warm and train_run {
    out = ("%s/warm-%d.safetensors"):format(args.out, seed), label = "warm-" .. seed,
    seed = seed, steps = s.warm.steps, batch = s.warm.batch, lr = 1e-3, warmup = s.warm.warmup,
  }
  for _, arm in ipairs(arms) do
    local name = ("%s-%d"):format(arm.name, seed)
    local path = train_run {
      out = ("%s/%s.safetensors"):format(args.out, name), label = name, seed = seed,
      steps = arm.steps, adversary = arm.adversary, warmup = s.steps // 10,
      validate_every = s.steps // 4, init = not mohs.planning() and warm or nil,
      fork = arm.steps == s.steps and start or 0,
    }
    if not mohs.planning() and args.evaluate ~= "none" then
      local model = mohs.model { weights = path, label = name }
      local axes = { arm = arm.name, seed = tostring(seed) }
      mohs.cell { model = model, data = test, metric = retrieval, axes = axes }
      for _, set in ipairs(sets[args.evaluate]) do
        for c in mohs.each(mohs.corruptions[set[1]], 1, 5) do
          if set[1] ~= "text" or c.severity % 2 == 1 then
            mohs.cell { model = model, data = test, metric = retrieval, corruption = c,
                        axes = { arm = arm.name, seed = tostring(seed), family = set[2] } }
          end
        end
      end
      for _, a in ipairs(attacks) do
        mohs.cell { model = model, data = attacked, metric = retrieval, attack = a,
                    axes = axes }
      end
    end
  end
end

if args.evaluate ~= "none" then
  mohs.report { out = args.report, title = "Feature-adversarial pretraining" }
end
local results = mohs.run()
if #results > 0 then print(mohs.table(results, "mean_recall")) end
