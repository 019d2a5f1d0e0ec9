# tests of model
check_PROGRAMS += tests/unit/test_clip
tests_unit_test_clip_SOURCES = %D%/unit/test_clip.c
tests_unit_test_clip_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_clip_LDADD = core/libplugin.la core/libmodel.la core/libgraph.la \
	core/libcompute.la core/libimage.la core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/clip.py tests/golden/clip_gelu.safetensors \
	tests/golden/clip_quick_gelu.safetensors
check_PROGRAMS += tests/unit/test_tokenizer
tests_unit_test_tokenizer_SOURCES = %D%/unit/test_tokenizer.c
tests_unit_test_tokenizer_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_tokenizer_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/tokenizer.py tests/golden/tokenizer_golden.json \
	tests/golden/clip_bpe/merges.txt tests/golden/clip_bpe/vocab.json
check_PROGRAMS += tests/unit/test_tokenizers
tests_unit_test_tokenizers_SOURCES = %D%/unit/test_tokenizers.c
tests_unit_test_tokenizers_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_tokenizers_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_mojibake tests/fuzz/fuzz_mojibake
tests_unit_test_mojibake_SOURCES = %D%/unit/test_mojibake.c
tests_unit_test_mojibake_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_mojibake_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
tests_fuzz_fuzz_mojibake_SOURCES = %D%/fuzz/fuzz_mojibake.c %D%/fuzz/replay.h
tests_fuzz_fuzz_mojibake_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_mojibake_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la -lpthread -lm
EXTRA_DIST += tests/golden/mojibake.py tests/golden/mojibake.json \
	tests/fuzz/corpus/mojibake
EXTRA_DIST += tests/golden/token_kinds.py tests/golden/token_golden.py \
	tests/golden/token_kinds.json tests/golden/token_kinds \
	tests/golden/html_entities.py
check_PROGRAMS += tests/unit/test_weights
tests_unit_test_weights_SOURCES = %D%/unit/test_weights.c
tests_unit_test_weights_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_weights_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_weights_param
tests_unit_test_weights_param_SOURCES = %D%/unit/test_weights_param.c
tests_unit_test_weights_param_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_weights_param_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_torch_file tests/fuzz/fuzz_torch
tests_unit_test_torch_file_SOURCES = %D%/unit/test_torch_file.c
tests_unit_test_torch_file_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_torch_file_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
tests_fuzz_fuzz_torch_SOURCES = %D%/fuzz/fuzz_torch.c %D%/fuzz/replay.h
tests_fuzz_fuzz_torch_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_torch_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la -lpthread -lm
EXTRA_DIST += tests/golden/torch_files.py tests/golden/torch tests/fuzz/corpus/torch
check_PROGRAMS += tests/fuzz/fuzz_safetensors tests/fuzz/fuzz_tokenizer \
	tests/fuzz/fuzz_token_files
tests_fuzz_fuzz_safetensors_SOURCES = %D%/fuzz/fuzz_safetensors.c \
	%D%/fuzz/replay.h
tests_fuzz_fuzz_safetensors_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_safetensors_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la -lpthread -lm
tests_fuzz_fuzz_tokenizer_SOURCES = %D%/fuzz/fuzz_tokenizer.c %D%/fuzz/replay.h
tests_fuzz_fuzz_tokenizer_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_tokenizer_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la -lpthread -lm
tests_fuzz_fuzz_token_files_SOURCES = %D%/fuzz/fuzz_token_files.c \
	%D%/fuzz/replay.h
tests_fuzz_fuzz_token_files_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_token_files_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la -lpthread -lm
EXTRA_DIST += tests/fuzz/corpus/safetensors tests/fuzz/corpus/tokenizer \
	tests/fuzz/corpus/token_files
check_PROGRAMS += tests/fuzz/fuzz_model_files
tests_fuzz_fuzz_model_files_SOURCES = %D%/fuzz/fuzz_model_files.c \
	%D%/fuzz/replay.h
tests_fuzz_fuzz_model_files_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_model_files_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la -lpthread -lm
EXTRA_DIST += tests/fuzz/corpus/model_files
EXTRA_DIST += docs/models.md docs/clip.md docs/attacks.md docs/inputs.md
EXTRA_DIST += docs/study.md docs/study_matched.svg docs/study_noise.svg
