# tests of model families
check_PROGRAMS += tests/unit/test_families
tests_unit_test_families_SOURCES = %D%/unit/test_families.c
tests_unit_test_families_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_families_LDADD = core/libplugin.la core/libmodel.la core/libgraph.la \
	core/libcompute.la core/libimage.la core/libbase.la $(CHECK_LIBS) -lpthread -lm
dist_check_SCRIPTS += tests/recipes/rerank.sh
EXTRA_DIST += tests/golden/rerank.py tests/golden/rerank
EXTRA_DIST += tests/golden/families.py tests/golden/families docs/families.md
