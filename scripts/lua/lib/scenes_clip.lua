-- SPDX-License-Identifier: MIT
-- The default model: a small CLIP for pictures of 64 px, in the configuration
-- that Hugging Face's CLIPModel reads.
local scenes_clip = {}

--- Configuration for `vocab` tokens. Fields of `o` override the size.
function scenes_clip.config(vocab, o)
  o = o or {}
  local width = o.width or 192
  local heads = o.heads or width // 32
  local act = o.act or "quick_gelu"
  return {
    model_type = "clip", architectures = { "CLIPModel" },
    projection_dim = o.embed or 128, logit_scale_init_value = 2.6592,
    mohs_sigmoid_loss = o.sigmoid or nil,
    vision_config = {
      model_type = "clip_vision_model", hidden_size = width,
      intermediate_size = 4 * width, num_hidden_layers = o.image_layers or 4,
      num_attention_heads = heads, image_size = o.image_size or 64,
      patch_size = o.patch or 8, hidden_act = act, layer_norm_eps = 1e-5,
      projection_dim = o.embed or 128,
    },
    text_config = {
      model_type = "clip_text_model", hidden_size = width,
      intermediate_size = 4 * width, num_hidden_layers = o.text_layers or 3,
      num_attention_heads = heads, max_position_embeddings = o.context or 32,
      vocab_size = vocab, hidden_act = act, layer_norm_eps = 1e-5,
      bos_token_id = vocab - 2, eos_token_id = vocab - 1, pad_token_id = vocab - 1,
      projection_dim = o.embed or 128,
    },
  }
end

--- How pictures of the data set become the model's pixels.
function scenes_clip.preprocessor(size)
  size = size or 64
  return {
    image_processor_type = "CLIPImageProcessor", do_resize = true,
    size = { shortest_edge = size }, resample = 3, do_center_crop = true,
    crop_size = { height = size, width = size }, do_rescale = true,
    rescale_factor = 1 / 255, do_normalize = true, do_convert_rgb = true,
    image_mean = { 0.5, 0.5, 0.5 }, image_std = { 0.25, 0.25, 0.25 },
  }
end

return scenes_clip
