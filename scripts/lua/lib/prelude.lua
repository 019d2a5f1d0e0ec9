-- SPDX-License-Identifier: MIT
-- What the mohs module adds in Lua to its C functions; embedded in the
-- program, run once with the module as its argument.
local mohs = ...

--- Fails unless this API serves scripts written for version `want` ("1.0").
function mohs.require_api(want)
  local major, minor = want:match("^(%d+)%.(%d+)$")
  local have_major, have_minor = mohs.api:match("^(%d+)%.(%d+)$")
  if not major or tonumber(major) ~= tonumber(have_major)
     or tonumber(minor) > tonumber(have_minor) then
    error(("this recipe needs API %s, mohs %s has %s"):format(want,
      mohs.version, mohs.api), 2)
  end
end

local item_meta = mohs.item_meta
mohs.item_meta = nil
local item = mohs.item
mohs.item = nil

item_meta.__index = {
  --- The same corruption at severity 1..5.
  at = function(self, severity)
    if math.type(severity) ~= "integer" or severity < 1 or severity > 5 then
      error(("%s: severity %s is outside 1..5"):format(self.id,
        tostring(severity)), 2)
    end
    local copy = {}
    for k, v in pairs(self) do copy[k] = v end
    copy.severity = severity
    return setmetatable(copy, item_meta)
  end,
}
item_meta.__tostring = function(self)
  return self.severity and ("%s:%d"):format(self.id, self.severity) or self.id
end

-- Errors of item() should name the recipe's line, not ours.
local function checked(kind, id, params)
  local ok, made = pcall(item, kind, id, params)
  if not ok then error(made, 3) end
  return made
end

function mohs.corruption(id, params) return checked("corruption", id, params) end
function mohs.attack(id, params) return checked("attack", id, params) end
function mohs.metric(id, params) return checked("metric", id, params) end

--- Iterates over corruptions (ids or items) at severities low..high.
function mohs.each(list, low, high)
  low, high = low or 1, high or 5
  local i, s = 1, low - 1
  return function()
    s = s + 1
    if s > high then i, s = i + 1, low end
    local c = list[i]
    if c == nil then return nil end
    if type(c) == "string" then c = checked("corruption", c) end
    return c:at(s)
  end
end

-- Named sets; only what is installed is listed.
local sets = {
  common = { "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur",
    "glass_blur", "motion_blur", "zoom_blur", "snow", "frost", "fog",
    "brightness", "contrast", "elastic_transform", "pixelate",
    "jpeg_compression" },
  extra = { "speckle_noise", "gaussian_blur", "spatter", "saturate" },
  three_d = { "near_focus", "far_focus", "fog_3d", "xy_motion_blur",
    "z_motion_blur", "flash", "low_light", "iso_noise", "color_quant",
    "bit_error" },
  c_bar = { "caustic_refraction", "inverse_sparkles", "sparkles",
    "perlin_noise", "blue_noise_sample", "plasma_noise", "checkerboard_cutout",
    "cocentric_sine_waves", "single_frequency_greyscale", "brownish_noise" },
  text = { "typo_keyboard", "typo_swap", "typo_insert", "typo_delete",
    "homoglyph", "case_change", "punctuation", "word_drop", "word_swap",
    "synonym" },
  quick = { "gaussian_noise", "defocus_blur", "contrast", "jpeg_compression" },
}
mohs.corruptions = setmetatable({}, {
  __index = function(_, name)
    local want = sets[name]
    if not want then
      error(("no set of corruptions '%s'; there are common, extra, c_bar, three_d, text, quick")
        :format(tostring(name)), 2)
    end
    local have, out = {}, {}
    for _, it in ipairs(mohs.list("corruption")) do have[it.id] = true end
    for _, id in ipairs(want) do
      if have[id] then out[#out + 1] = id end
    end
    return out
  end,
})

--- Mean of an array of numbers.
function mohs.mean(list)
  local s = 0
  for _, x in ipairs(list) do s = s + x end
  return #list > 0 and s / #list or 0 / 0
end

--- What was done to the inputs of a result: "clean", the corruption's id, or
--- the attack's id with the parameters that differ from their defaults.
function mohs.condition(r)
  if r.corruption then return r.corruption end
  if not r.attack then return "clean" end
  return r.attack_params and r.attack .. " " .. r.attack_params or r.attack
end

local function cell_text(values)
  local list = {}
  for _, v in ipairs(values) do list[#list + 1] = v.value end
  local text = ("%.1f"):format(mohs.mean(list))
  if #values == 1 and values[1].low then
    text = text .. (" [%.1f, %.1f]"):format(values[1].low, values[1].high)
  end
  return text
end

--- A text table of value `name`: a row per condition (severities averaged), a
--- column per model, or per model and prompts.
function mohs.table(results, name)
  local rows, order, models, seen, one = {}, {}, {}, {}, true
  for _, r in ipairs(results) do one = one and r.model == results[1].model end
  local function column(r)
    if not r.prompt then return r.model end
    return one and r.prompt or r.model .. ": " .. r.prompt
  end
  for _, r in ipairs(results) do
    local v = r.values[name]
    if v then
      local c, m = mohs.condition(r), column(r)
      if not rows[c] then
        rows[c] = {}
        order[#order + 1] = c
      end
      if not seen[m] then
        seen[m] = true
        models[#models + 1] = m
      end
      rows[c][m] = rows[c][m] or {}
      table.insert(rows[c][m], v)
    end
  end
  local width = #name
  for _, c in ipairs(order) do width = math.max(width, utf8.len(c) or #c) end
  local left = "%-" .. width .. "s"
  local right = {}
  for _, m in ipairs(models) do
    right[m] = "  %" .. math.max(20, utf8.len(m) or #m) .. "s"
  end
  local head = left:format(name)
  for _, m in ipairs(models) do head = head .. right[m]:format(m) end
  local out = { head }
  for _, c in ipairs(order) do
    local line = left:format(c)
    for _, m in ipairs(models) do
      line = line .. right[m]:format(rows[c][m] and cell_text(rows[c][m]) or "-")
    end
    out[#out + 1] = line
  end
  return table.concat(out, "\n")
end

--- A text table of what mohs.robustness() returned.
function mohs.robustness_table(rows)
  local columns = { "clean", "corrupted", "drop", "mrr", "mmi", "mce",
    "relative_mce", "relative", "effective" }
  local width, out, set = #"model", {}, nil
  for _, r in ipairs(rows) do
    width = math.max(width, utf8.len(r.model) or #r.model)
  end
  local function line(name, text)
    local s = name .. (" "):rep(width - (utf8.len(name) or #name))
    for _, c in ipairs(columns) do
      s = s .. ("  %" .. math.max(#c, 5) .. "s"):format(text(c))
    end
    out[#out + 1] = s
  end
  for _, r in ipairs(rows) do
    if r.set ~= set then
      if set then out[#out + 1] = "" end
      set = r.set
      out[#out + 1] = set
      line("model", function(c) return (c:gsub("_", " ")) end)
    end
    line(r.model, function(c) return r[c] and ("%.1f"):format(r[c]) or "-" end)
  end
  return table.concat(out, "\n")
end
