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
