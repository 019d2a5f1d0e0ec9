# tests of corruptions
check_PROGRAMS += tests/unit/test_corruptions
CORRUPTION_TEST = %D%/unit/corruption_test.c %D%/unit/corruption_test.h
tests_unit_test_corruptions_SOURCES = %D%/unit/test_corruptions.c \
	$(CORRUPTION_TEST)
tests_unit_test_corruptions_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_corruptions_LDADD = core/libplugin.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/corruptions.py tests/golden/corruptions.txt \
	tests/golden/corruptions.bin tests/golden/corruptions_reference.py \
	tests/golden/corruptions_ice/ice0.png tests/golden/corruptions_ice/ice1.jpg \
	tests/golden/corruptions_ice/ice2.png

check_PROGRAMS += tests/unit/test_corruptions_3d
tests_unit_test_corruptions_3d_SOURCES = %D%/unit/test_corruptions_3d.c \
	$(CORRUPTION_TEST)
tests_unit_test_corruptions_3d_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_corruptions_3d_LDADD = $(tests_unit_test_corruptions_LDADD)
EXTRA_DIST += tests/golden/corruptions_3d.py tests/golden/corruptions_3d.txt \
	tests/golden/corruptions_3d.bin

check_PROGRAMS += tests/unit/test_corruptions_c_bar
tests_unit_test_corruptions_c_bar_SOURCES = \
	%D%/unit/test_corruptions_c_bar.c $(CORRUPTION_TEST)
tests_unit_test_corruptions_c_bar_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_corruptions_c_bar_LDADD = $(tests_unit_test_corruptions_LDADD)
EXTRA_DIST += tests/golden/corruptions_c_bar.py \
	tests/golden/corruptions_c_bar.txt tests/golden/corruptions_c_bar.bin

check_PROGRAMS += tests/unit/test_corruptions_text tests/fuzz/fuzz_wordnet
tests_unit_test_corruptions_text_SOURCES = %D%/unit/test_corruptions_text.c \
	$(CORRUPTION_TEST)
tests_unit_test_corruptions_text_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_corruptions_text_LDADD = $(tests_unit_test_corruptions_LDADD)
tests_fuzz_fuzz_wordnet_SOURCES = %D%/fuzz/fuzz_wordnet.c %D%/fuzz/replay.h \
	plugins/common/wordnet.c plugins/common/wordnet.h
tests_fuzz_fuzz_wordnet_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_wordnet_LDADD = core/libbase.la -lpthread -lm
EXTRA_DIST += tests/golden/wordnet.py tests/golden/wordnet \
	tests/fuzz/corpus/wordnet
