# tests of image
check_PROGRAMS += tests/unit/test_image tests/fuzz/fuzz_image
tests_unit_test_image_SOURCES = %D%/unit/test_image.c
tests_unit_test_image_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_image_LDADD = core/libimage.la core/libbase.la $(CHECK_LIBS) \
	-lpthread -lm
tests_fuzz_fuzz_image_SOURCES = %D%/fuzz/fuzz_image.c %D%/fuzz/replay.h
tests_fuzz_fuzz_image_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_image_LDADD = core/libimage.la core/libbase.la -lpthread -lm
EXTRA_DIST += tests/golden/image.h tests/golden/image.py tests/golden/images \
	tests/fuzz/corpus/image
check_PROGRAMS += tests/unit/test_preprocess
tests_unit_test_preprocess_SOURCES = %D%/unit/test_preprocess.c
tests_unit_test_preprocess_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_preprocess_LDADD = core/libmodel.la core/libimage.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/preprocess.h tests/golden/preprocess.py \
	tests/golden/preprocess_profiles.h tests/golden/preprocess_profiles.py
