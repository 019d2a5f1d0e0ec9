# Each room adds its test programs in tests/unit/<room>.mk and so on.
TEST_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) -I$(srcdir)/tests \
	-DSRCDIR='"$(abs_srcdir)"' -DBUILDDIR='"$(abs_builddir)"'
AM_TESTS_ENVIRONMENT = \
	MOHS_PLUGIN_PATH=$(abs_builddir)/plugins; export MOHS_PLUGIN_PATH; \
	MOHS_CACHE_DIR=$(abs_builddir)/tests/cache; export MOHS_CACHE_DIR; \
	MOHS_DATA_DIR=$(abs_srcdir); export MOHS_DATA_DIR; \
	srcdir=$(srcdir); export srcdir; top_builddir=$(abs_builddir); export top_builddir;
if ASAN
LOG_COMPILER = $(SHELL) $(srcdir)/tests/again.sh
endif
EXTRA_DIST += tests/again.sh
include tests/base.mk
include tests/compute.mk
include tests/graph.mk
include tests/image.mk
include tests/model.mk
include tests/families.mk
include tests/data.mk
include tests/cache.mk
include tests/results.mk
include tests/report.mk
include tests/plugin.mk
include tests/train.mk
include tests/eval.mk
include tests/lua.mk
include tests/cli.mk
include tests/corruptions.mk
include tests/attacks.mk
include tests/metrics.mk
TESTS += $(check_PROGRAMS) $(dist_check_SCRIPTS)
