# tests of train
TRAIN_TINY = %D%/unit/train_tiny.c %D%/unit/train_tiny.h
TRAIN_TEST_LDADD = core/libtrain.la core/libdata.la core/libplugin.la \
	core/libmodel.la core/libimage.la core/libgraph.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_train_golden
tests_unit_test_train_golden_SOURCES = %D%/unit/test_train_golden.c $(TRAIN_TINY)
tests_unit_test_train_golden_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_train_golden_LDADD = $(TRAIN_TEST_LDADD)
EXTRA_DIST += tests/golden/train.py tests/golden/train.h
