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
check_PROGRAMS += tests/unit/test_train
tests_unit_test_train_SOURCES = %D%/unit/test_train.c $(TRAIN_TINY)
tests_unit_test_train_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_train_LDADD = $(JANSSON_LIBS) $(TRAIN_TEST_LDADD)
check_PROGRAMS += tests/unit/test_train_data
tests_unit_test_train_data_SOURCES = %D%/unit/test_train_data.c $(TRAIN_TINY)
tests_unit_test_train_data_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_train_data_LDADD = $(TRAIN_TEST_LDADD)
check_PROGRAMS += tests/unit/test_train_kill
tests_unit_test_train_kill_SOURCES = %D%/unit/test_train_kill.c $(TRAIN_TINY)
tests_unit_test_train_kill_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_train_kill_LDADD = $(TRAIN_TEST_LDADD)
check_PROGRAMS += tests/unit/test_train_step
tests_unit_test_train_step_SOURCES = %D%/unit/test_train_step.c $(TRAIN_TINY)
tests_unit_test_train_step_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_train_step_LDADD = $(TRAIN_TEST_LDADD)
