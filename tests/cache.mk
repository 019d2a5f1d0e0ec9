check_PROGRAMS += tests/unit/test_cache tests/fuzz/fuzz_cache
tests_unit_test_cache_SOURCES = %D%/unit/test_cache.c
tests_unit_test_cache_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_cache_LDADD = core/libcache.la core/libbase.la $(CHECK_LIBS) \
	-lpthread -lm
tests_fuzz_fuzz_cache_SOURCES = %D%/fuzz/fuzz_cache.c
tests_fuzz_fuzz_cache_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_cache_LDADD = core/libcache.la core/libbase.la -lpthread -lm
