# plugin: loader, registry, parameter tables, host, conformance kit
noinst_LTLIBRARIES += core/libplugin.la
core_libplugin_la_SOURCES = %D%/registry.h %D%/plugin_impl.h %D%/host.c \
	%D%/loader.c %D%/params.c %D%/registry.c %D%/search.c %D%/validate.c
core_libplugin_la_CPPFLAGS = $(AM_CPPFLAGS) -DBINDIR='"$(bindir)"'
core_libplugin_la_LIBADD = $(LTDL_LIBS) $(DL_LIBS) -lpthread
