# tests of metrics
check_PROGRAMS += tests/unit/test_retrieval
tests_unit_test_retrieval_SOURCES = %D%/unit/test_retrieval.c
tests_unit_test_retrieval_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_retrieval_LDADD = core/libplugin.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/retrieval.py tests/golden/retrieval.h
check_PROGRAMS += tests/unit/test_zeroshot
tests_unit_test_zeroshot_SOURCES = %D%/unit/test_zeroshot.c
tests_unit_test_zeroshot_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_zeroshot_LDADD = core/libplugin.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/zeroshot.py tests/golden/zeroshot.h tests/golden/zeroshot
