# tests of model
check_PROGRAMS += tests/unit/test_clip
tests_unit_test_clip_SOURCES = %D%/unit/test_clip.c
tests_unit_test_clip_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_clip_LDADD = core/libplugin.la core/libmodel.la core/libgraph.la \
	core/libcompute.la core/libimage.la core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/clip.py tests/golden/clip_gelu.safetensors \
	tests/golden/clip_quick_gelu.safetensors
