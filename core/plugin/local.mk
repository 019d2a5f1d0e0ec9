# plugin: loader, registry, parameter tables, host, conformance kit
noinst_LTLIBRARIES += core/libplugin.la
core_libplugin_la_SOURCES = %D%/registry.h %D%/plugin_impl.h %D%/fit.c %D%/host.c \
	%D%/loader.c %D%/params.c %D%/registry.c %D%/search.c %D%/validate.c
core_libplugin_la_CPPFLAGS = $(AM_CPPFLAGS) -DBINDIR='"$(bindir)"' \
	-DSOURCE_TREE='"$(abs_top_srcdir)"'
core_libplugin_la_LIBADD = $(LTDL_LIBS) $(DL_LIBS) -lpthread

# The kit builds models, so it stands above the graph room; nothing below
# needs it.
noinst_LTLIBRARIES += core/libplugincheck.la
core_libplugincheck_la_SOURCES = %D%/new.c %D%/check.c %D%/check.h %D%/check_attack.c \
	%D%/check_corruption.c %D%/check_metric.c %D%/check_model.c \
	%D%/check_pairs.c %D%/check_text.c %D%/check_tower.c %D%/check_tower.h \
	%D%/check_util.c %D%/check_victim.c %D%/check_weights.c %D%/check_weights.h \
	%D%/check_words.c %D%/check_words.h %D%/check_world.c %D%/check_world.h
core_libplugincheck_la_LIBADD = $(JANSSON_LIBS) -lpthread -lm

# What `plugin new` writes, as bytes.
SKELETON = %D%/skeleton/attack.c.txt %D%/skeleton/corruption.c.txt \
	%D%/skeleton/makefile.txt %D%/skeleton/metric.c.txt \
	%D%/skeleton/model.c.txt %D%/skeleton/readme.txt %D%/skeleton/tail.c.txt
EXTRA_DIST += $(SKELETON)
BUILT_SOURCES += core/plugin/skeleton/texts.h
CLEANFILES += core/plugin/skeleton/texts.h
core/plugin/new.lo: core/plugin/skeleton/texts.h
core/plugin/skeleton/texts.h: $(SKELETON) %D%/local.mk
	$(AM_V_GEN)$(MKDIR_P) $(@D) && { s=; for f in $(SKELETON); do \
	n=`basename $$f .txt`; echo "$$s `basename $$n .c`[] = {"; \
	test -f $$f || f=$(srcdir)/$$f; \
	od -v -An -tx1 $$f | sed 's/\([0-9a-f][0-9a-f]\)/0x\1,/g'; \
	echo "}"; s=,; done; echo ";"; } > $@.tmp && mv -f $@.tmp $@
