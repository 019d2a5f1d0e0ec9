check_PROGRAMS += tests/unit/test_base
tests_unit_test_base_SOURCES = %D%/unit/test_base.c
tests_unit_test_base_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_base_LDADD = core/libbase.la $(CHECK_LIBS) -lpthread -lm
