# tests of data
check_PROGRAMS += tests/unit/test_data
tests_unit_test_data_SOURCES = %D%/unit/test_data.c
tests_unit_test_data_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_data_LDADD = core/libdata.la core/libimage.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_readers
tests_unit_test_readers_SOURCES = %D%/unit/test_readers.c
tests_unit_test_readers_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_readers_LDADD = core/libdata.la core/libimage.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/data.py tests/golden/data
check_PROGRAMS += tests/unit/test_parquet
tests_unit_test_parquet_SOURCES = %D%/unit/test_parquet.c
tests_unit_test_parquet_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_parquet_LDADD = core/libdata.la core/libimage.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/fuzz/fuzz_tar tests/fuzz/fuzz_parquet tests/fuzz/fuzz_csv \
	tests/fuzz/fuzz_captions
FUZZ_DATA_LIBS = core/libdata.la core/libimage.la core/libbase.la -lpthread -lm
tests_fuzz_fuzz_tar_SOURCES = %D%/fuzz/fuzz_tar.c %D%/fuzz/replay.h
tests_fuzz_fuzz_tar_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_tar_LDADD = $(FUZZ_DATA_LIBS)
tests_fuzz_fuzz_parquet_SOURCES = %D%/fuzz/fuzz_parquet.c %D%/fuzz/replay.h
tests_fuzz_fuzz_parquet_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_parquet_LDADD = $(FUZZ_DATA_LIBS)
tests_fuzz_fuzz_csv_SOURCES = %D%/fuzz/fuzz_csv.c %D%/fuzz/replay.h
tests_fuzz_fuzz_csv_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_csv_LDADD = $(FUZZ_DATA_LIBS)
tests_fuzz_fuzz_captions_SOURCES = %D%/fuzz/fuzz_captions.c %D%/fuzz/replay.h
tests_fuzz_fuzz_captions_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_captions_LDADD = $(FUZZ_DATA_LIBS) $(JANSSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/tar tests/fuzz/corpus/parquet tests/fuzz/corpus/csv \
	tests/fuzz/corpus/captions
check_PROGRAMS += tests/unit/test_prompts tests/fuzz/fuzz_classes
tests_unit_test_prompts_SOURCES = %D%/unit/test_prompts.c
tests_unit_test_prompts_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_prompts_LDADD = core/libdata.la core/libimage.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm
tests_fuzz_fuzz_classes_SOURCES = %D%/fuzz/fuzz_classes.c %D%/fuzz/replay.h
tests_fuzz_fuzz_classes_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_classes_LDADD = core/libdata.la core/libimage.la core/libbase.la \
	-lpthread -lm
EXTRA_DIST += tests/fuzz/corpus/classes
check_PROGRAMS += tests/fuzz/fuzz_npy
tests_fuzz_fuzz_npy_SOURCES = %D%/fuzz/fuzz_npy.c %D%/fuzz/replay.h
tests_fuzz_fuzz_npy_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_npy_LDADD = $(FUZZ_DATA_LIBS)
EXTRA_DIST += tests/fuzz/corpus/npy
