/* SPDX-License-Identifier: MIT */
/*
 * Plugin ABI 1.0 on 64-bit machines, number by number. An entry may be added
 * behind the others of its struct (and its size grow); none may ever change.
 */
#include <mohs/plugin.h>

#ifdef __cplusplus
#define CHECK(x, what) static_assert(x, what)
#else
#define CHECK(x, what) _Static_assert(x, what)
#endif
#define AT(s, f, n) CHECK(offsetof(struct s, f) == (n), #s "." #f " moved")
#define TO(s, n) CHECK(sizeof(struct s) >= (n), #s " shrank")

#if UINTPTR_MAX > 0xffffffffu
AT(mohs_item, size, 0);
AT(mohs_item, param_stride, 4);
AT(mohs_item, kind, 8);
AT(mohs_item, id, 16);
AT(mohs_item, summary, 24);
AT(mohs_item, params, 32);
AT(mohs_item, n_params, 40);
AT(mohs_item, params_size, 44);
AT(mohs_item, ops, 48);
TO(mohs_item, 56);
AT(mohs_plugin, size, 0);
AT(mohs_plugin, abi, 4);
AT(mohs_plugin, id, 8);
AT(mohs_plugin, name, 16);
AT(mohs_plugin, version, 24);
AT(mohs_plugin, license, 32);
AT(mohs_plugin, items, 40);
AT(mohs_plugin, init, 48);
AT(mohs_plugin, exit, 56);
TO(mohs_plugin, 64);
AT(mohs_param, name, 0);
AT(mohs_param, doc, 8);
AT(mohs_param, type, 16);
AT(mohs_param, offset, 20);
AT(mohs_param, def, 24);
AT(mohs_param, min, 32);
AT(mohs_param, max, 40);
AT(mohs_param, choices, 48);
AT(mohs_param, def_text, 56);
TO(mohs_param, 64);
AT(mohs_ints, n, 0);
AT(mohs_ints, v, 4);
TO(mohs_ints, 68);
AT(mohs_host, size, 0);
AT(mohs_host, abi, 4);
AT(mohs_host, version, 8);
AT(mohs_host, ctx, 16);
AT(mohs_host, get_extension, 24);
TO(mohs_host, 32);
AT(mohs_classifier, size, 0);
AT(mohs_classifier, class_name, 8);
TO(mohs_classifier, 16);
AT(mohs_error, size, 0);
AT(mohs_error, status, 4);
AT(mohs_error, native, 8);
AT(mohs_error, text, 12);
TO(mohs_error, 256);
AT(mohs_images, size, 0);
AT(mohs_images, n, 4);
AT(mohs_images, height, 8);
AT(mohs_images, width, 12);
AT(mohs_images, rgb, 16);
AT(mohs_images, key, 24);
AT(mohs_images, depth, 32);
TO(mohs_images, 40);
AT(mohs_texts, size, 0);
AT(mohs_texts, n, 4);
AT(mohs_texts, text, 8);
AT(mohs_texts, key, 16);
TO(mohs_texts, 24);
AT(mohs_text_sink, size, 0);
AT(mohs_text_sink, ctx, 8);
AT(mohs_text_sink, put, 16);
TO(mohs_text_sink, 24);
AT(mohs_corruption_ops, size, 0);
AT(mohs_corruption_ops, flags, 4);
AT(mohs_corruption_ops, create, 8);
AT(mohs_corruption_ops, destroy, 16);
AT(mohs_corruption_ops, apply, 24);
AT(mohs_corruption_ops, apply_text, 32);
AT(mohs_corruption_ops, get_extension, 40);
TO(mohs_corruption_ops, 48);
AT(mohs_attack_ops, size, 0);
AT(mohs_attack_ops, flags, 4);
AT(mohs_attack_ops, create, 8);
AT(mohs_attack_ops, destroy, 16);
AT(mohs_attack_ops, run, 24);
AT(mohs_attack_ops, get_extension, 32);
TO(mohs_attack_ops, 40);
AT(mohs_metric_ops, size, 0);
AT(mohs_metric_ops, flags, 4);
AT(mohs_metric_ops, create, 8);
AT(mohs_metric_ops, destroy, 16);
AT(mohs_metric_ops, columns, 24);
AT(mohs_metric_ops, values, 32);
AT(mohs_metric_ops, measure, 40);
AT(mohs_metric_ops, summarise, 48);
AT(mohs_metric_ops, get_extension, 56);
TO(mohs_metric_ops, 64);
AT(mohs_model_ops, size, 0);
AT(mohs_model_ops, flags, 4);
AT(mohs_model_ops, probe, 8);
AT(mohs_model_ops, create, 16);
AT(mohs_model_ops, destroy, 24);
AT(mohs_model_ops, info, 32);
AT(mohs_model_ops, describe, 40);
AT(mohs_model_ops, build, 48);
AT(mohs_model_ops, get_extension, 56);
TO(mohs_model_ops, 64);
AT(mohs_model_info, size, 0);
AT(mohs_model_info, flags, 4);
AT(mohs_model_info, towers, 8);
AT(mohs_model_info, image_height, 12);
AT(mohs_model_info, image_width, 16);
AT(mohs_model_info, context_length, 20);
AT(mohs_model_info, vocab_size, 24);
AT(mohs_model_info, embed_dim, 28);
AT(mohs_model_info, logit_scale, 32);
AT(mohs_model_info, logit_bias, 36);
AT(mohs_model_info, taps, 40);
TO(mohs_model_info, 48);
AT(mohs_weight_spec, size, 0);
AT(mohs_weight_spec, name, 8);
AT(mohs_weight_spec, n_dims, 16);
AT(mohs_weight_spec, dims, 20);
AT(mohs_weight_spec, init, 40);
AT(mohs_weight_spec, scale, 44);
AT(mohs_weight_spec, decay, 48);
AT(mohs_weight_spec, source, 56);
AT(mohs_weight_spec, source_rows, 64);
AT(mohs_weight_spec, source_first, 68);
AT(mohs_weight_spec, source_flags, 72);
AT(mohs_weight_spec, reserved, 76);
TO(mohs_weight_spec, 80);
AT(mohs_tower_inputs, size, 0);
AT(mohs_tower_inputs, pixels, 8);
AT(mohs_tower_inputs, tokens, 16);
AT(mohs_tower_inputs, last, 24);
TO(mohs_tower_inputs, 32);
AT(mohs_eval, size, 0);
AT(mohs_eval, n_images, 4);
AT(mohs_eval, n_texts, 8);
AT(mohs_eval, dim, 12);
AT(mohs_eval, image, 16);
AT(mohs_eval, text, 24);
AT(mohs_eval, owner, 32);
AT(mohs_eval, label, 40);
AT(mohs_eval, logit_scale, 48);
AT(mohs_eval, logit_bias, 52);
AT(mohs_eval, ctx, 56);
AT(mohs_eval, similarity, 64);
TO(mohs_eval, 72);
AT(mohs_samples, size, 0);
AT(mohs_samples, n_rows, 4);
AT(mohs_samples, n_columns, 8);
AT(mohs_samples, value, 16);
AT(mohs_samples, cluster, 24);
AT(mohs_samples, n_clusters, 32);
AT(mohs_samples, ctx, 40);
AT(mohs_samples, alloc, 48);
TO(mohs_samples, 56);
AT(mohs_value, name, 0);
AT(mohs_value, doc, 8);
AT(mohs_value, unit, 16);
AT(mohs_value, direction, 24);
TO(mohs_value, 32);
AT(mohs_site, size, 0);
AT(mohs_site, tap, 8);
AT(mohs_site, tokens, 16);
AT(mohs_site, width, 20);
AT(mohs_site, lo, 24);
AT(mohs_site, hi, 28);
AT(mohs_site, clean, 32);
AT(mohs_site, mask, 40);
AT(mohs_site, delta, 48);
AT(mohs_site, grad, 56);
AT(mohs_site, height, 64);
TO(mohs_site, 72);
AT(mohs_victim, size, 0);
AT(mohs_victim, n, 4);
AT(mohs_victim, n_candidates, 8);
AT(mohs_victim, dim, 12);
AT(mohs_victim, key, 16);
AT(mohs_victim, positive_first, 24);
AT(mohs_victim, positive, 32);
AT(mohs_victim, clean_embed, 40);
AT(mohs_victim, ctx, 48);
AT(mohs_victim, site, 56);
AT(mohs_victim, pass, 64);
AT(mohs_victim, get_extension, 72);
TO(mohs_victim, 80);
AT(mohs_victim_text, size, 0);
AT(mohs_victim_text, context, 4);
AT(mohs_victim_text, n_ids, 8);
AT(mohs_victim_text, text, 16);
AT(mohs_victim_text, pass, 24);
AT(mohs_victim_text, set, 32);
AT(mohs_victim_text, encode, 40);
AT(mohs_victim_text, decode, 48);
AT(mohs_victim_text, flips, 56);
TO(mohs_victim_text, 64);
AT(mohs_victim_pair, size, 0);
AT(mohs_victim_pair, texts, 8);
AT(mohs_victim_pair, first, 16);
TO(mohs_victim_pair, 24);
AT(mohs_compute_api, size, 0);
AT(mohs_compute_api, device, 8);
AT(mohs_compute_api, program, 16);
AT(mohs_compute_api, buffer_new, 24);
AT(mohs_compute_api, buffer_ref, 32);
AT(mohs_compute_api, buffer_unref, 40);
AT(mohs_compute_api, write, 48);
AT(mohs_compute_api, read, 56);
AT(mohs_compute_api, run, 64);
AT(mohs_compute_api, finish, 72);
TO(mohs_compute_api, 80);
AT(mohs_graph_api, size, 0);
AT(mohs_graph_api, weight, 8);
AT(mohs_graph_api, op, 16);
AT(mohs_graph_api, tap, 24);
AT(mohs_graph_api, shape, 32);
AT(mohs_graph_api, fail, 40);
TO(mohs_graph_api, 48);
AT(mohs_weights_api, size, 0);
AT(mohs_weights_api, shape, 8);
AT(mohs_weights_api, read, 16);
AT(mohs_weights_api, config_number, 24);
AT(mohs_weights_api, config_string, 32);
AT(mohs_weights_api, name, 40);
AT(mohs_weights_api, path, 48);
AT(mohs_weights_api, fits, 56);
AT(mohs_weights_api, read_param, 64);
TO(mohs_weights_api, 72);
AT(mohs_log_api, size, 0);
AT(mohs_log_api, message, 8);
TO(mohs_log_api, 16);
AT(mohs_scratch_api, size, 0);
AT(mohs_scratch_api, alloc, 8);
TO(mohs_scratch_api, 16);
AT(mohs_arg, kind, 0);
AT(mohs_arg, bytes, 4);
AT(mohs_arg, buffer, 8);
AT(mohs_arg, value, 16);
TO(mohs_arg, 24);
AT(mohs_device_info, size, 0);
AT(mohs_device_info, type, 4);
AT(mohs_device_info, name, 8);
AT(mohs_device_info, vendor, 16);
AT(mohs_device_info, version, 24);
AT(mohs_device_info, units, 32);
AT(mohs_device_info, max_group, 36);
AT(mohs_device_info, memory_bytes, 40);
AT(mohs_device_info, max_alloc_bytes, 48);
AT(mohs_device_info, local_bytes, 56);
TO(mohs_device_info, 64);
#endif

/* The codes are written into results files and read by scripts. */
CHECK(MOHS_E_ARG == -1 && MOHS_E_NOMEM == -2 && MOHS_E_IO == -3 &&
          MOHS_E_FORMAT == -4 && MOHS_E_UNSUPPORTED == -5 && MOHS_E_DEVICE == -6 &&
          MOHS_E_CANCELLED == -7 && MOHS_E_PLUGIN == -8 && MOHS_E_NUMERIC == -9,
      "a status code changed");
CHECK(MOHS_P_INT == 1 && MOHS_P_FLOAT == 2 && MOHS_P_BOOL == 3 &&
          MOHS_P_CHOICE == 4 && MOHS_P_STRING == 5 && MOHS_P_INTS == 6,
      "a parameter type changed");
CHECK(MOHS_CORRUPTION_STOCHASTIC == 1 && MOHS_CORRUPTION_DEPTH == 2 &&
          MOHS_CORRUPTION_TEXT == 4 && MOHS_ATTACK_GRADIENT == 1 &&
          MOHS_ATTACK_STOCHASTIC == 2 && MOHS_MODEL_CAUSAL_TEXT == 1,
      "a flag changed");
CHECK(MOHS_ABI >> 16 == 1, "another major version needs another test");
