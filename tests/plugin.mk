# tests of plugin
PLUGIN_TEST_LDADD = core/libplugin.la core/libcompute.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_plugin_check tests/unit/test_plugin_load \
	tests/unit/test_plugin_params
tests_unit_test_plugin_check_SOURCES = %D%/unit/test_plugin_check.c
tests_unit_test_plugin_check_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_plugin_check_LDADD = core/libplugincheck.la core/libplugin.la \
	core/libmodel.la core/libimage.la core/libgraph.la core/libcompute.la \
	core/libbase.la $(JANSSON_LIBS) \
	$(CHECK_LIBS) -lpthread -lm
tests_unit_test_plugin_load_SOURCES = %D%/unit/test_plugin_load.c
tests_unit_test_plugin_load_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_plugin_load_LDADD = $(PLUGIN_TEST_LDADD)
tests_unit_test_plugin_params_SOURCES = %D%/unit/test_plugin_params.c
tests_unit_test_plugin_params_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_plugin_params_LDADD = $(PLUGIN_TEST_LDADD)

# Modules that nobody installs: libtool builds a .so only for an -rpath.
TEST_MODULE = -module -avoid-version -shared -rpath /nowhere $(SAN_CFLAGS)
check_LTLIBRARIES += tests/plugins/good/good.la \
	tests/plugins/blunt/blunt.la tests/plugins/depth/depth.la \
	tests/plugins/faulty/faulty.la tests/plugins/device/device.la \
	tests/plugins/faulty_metric/faulty_metric.la \
	tests/plugins/faulty_model/faulty_model.la \
	tests/plugins/faulty_pairs/faulty_pairs.la tests/plugins/bad/bad_abi.la \
	tests/plugins/bad/bad_entry.la tests/plugins/bad/bad_init.la \
	tests/plugins/bad/bad_nothing.la tests/plugins/bad/bad_null.la \
	tests/plugins/bad/bad_short.la tests/plugins/bad/bad_table.la \
	tests/plugins/bad/bad_undefined.la tests/plugins/bad/duplicate.la \
	tests/plugins/bad/healthy.la
BAD_SOURCE = %D%/plugins/bad.c
tests_plugins_good_good_la_SOURCES = %D%/plugins/good.c
tests_plugins_good_good_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_blunt_blunt_la_SOURCES = %D%/plugins/blunt.c
tests_plugins_blunt_blunt_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_depth_depth_la_SOURCES = %D%/plugins/depth.c
tests_plugins_depth_depth_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_device_device_la_SOURCES = %D%/plugins/device.c
tests_plugins_device_device_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_faulty_metric_faulty_metric_la_SOURCES = %D%/plugins/faulty_metric.c %D%/plugins/faulty.h
tests_plugins_faulty_metric_faulty_metric_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_faulty_model_faulty_model_la_SOURCES = %D%/plugins/faulty_model.c %D%/plugins/faulty.h
tests_plugins_faulty_model_faulty_model_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_faulty_pairs_faulty_pairs_la_SOURCES = %D%/plugins/faulty_pairs.c %D%/plugins/faulty.h
tests_plugins_faulty_pairs_faulty_pairs_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_faulty_faulty_la_SOURCES = %D%/plugins/faulty.c
tests_plugins_faulty_faulty_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_faulty_faulty_la_LIBADD = -lm
tests_plugins_bad_bad_abi_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_bad_abi_la_CPPFLAGS = $(AM_CPPFLAGS) -DBAD_ABI
tests_plugins_bad_bad_abi_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_bad_entry_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_bad_entry_la_CPPFLAGS = $(AM_CPPFLAGS) -DBAD_ENTRY
tests_plugins_bad_bad_entry_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_bad_init_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_bad_init_la_CPPFLAGS = $(AM_CPPFLAGS) -DBAD_INIT
tests_plugins_bad_bad_init_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_bad_nothing_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_bad_nothing_la_CPPFLAGS = $(AM_CPPFLAGS) -DBAD_NOTHING
tests_plugins_bad_bad_nothing_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_bad_null_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_bad_null_la_CPPFLAGS = $(AM_CPPFLAGS) -DBAD_NULL
tests_plugins_bad_bad_null_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_bad_short_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_bad_short_la_CPPFLAGS = $(AM_CPPFLAGS) -DBAD_SHORT
tests_plugins_bad_bad_short_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_bad_table_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_bad_table_la_CPPFLAGS = $(AM_CPPFLAGS) -DBAD_TABLE
tests_plugins_bad_bad_table_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_bad_undefined_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_bad_undefined_la_CPPFLAGS = $(AM_CPPFLAGS) -DBAD_UNDEFINED
tests_plugins_bad_bad_undefined_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_duplicate_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_duplicate_la_CPPFLAGS = $(AM_CPPFLAGS) -DID='"t_gain"'
tests_plugins_bad_duplicate_la_LDFLAGS = $(TEST_MODULE)
tests_plugins_bad_healthy_la_SOURCES = $(BAD_SOURCE)
tests_plugins_bad_healthy_la_CPPFLAGS = $(AM_CPPFLAGS) -DID='"t_healthy"'
tests_plugins_bad_healthy_la_LDFLAGS = $(TEST_MODULE)

dist_check_SCRIPTS += %D%/abi/headers.sh %D%/outoftree/outoftree.sh
EXTRA_DIST += %D%/abi/layout.c plugins/README.md
# The same against what `make install` put in place.
installcheck-local:
	INSTALLED=1 srcdir=$(srcdir) CC="$(CC)" PATH="$(DESTDIR)$(bindir):$$PATH" \
	PKG_CONFIG_PATH="$(DESTDIR)$(pkgconfigdir)" \
	PKG_CONFIG_SYSROOT_DIR="$(DESTDIR)" sh $(srcdir)/tests/outoftree/outoftree.sh
# What test programs put into their cache (tests/local.mk sets MOHS_CACHE_DIR).
clean-local:
	-rm -rf tests/cache
