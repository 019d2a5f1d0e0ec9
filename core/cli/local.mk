# cli: the program
bin_PROGRAMS += core/mohs
core_mohs_SOURCES = %D%/checkpoint.c %D%/cli.h %D%/corrupt.h \
	%D%/corrupt_texts.c %D%/inputs.c %D%/inputs.h %D%/items.c %D%/items.h %D%/main.c %D%/opt.c \
	%D%/session.c %D%/session.h %D%/table.c
core_mohs_SOURCES += %D%/cmd_attack.c
core_mohs_SOURCES += %D%/cmd_cache.c
core_mohs_SOURCES += %D%/cmd_corrupt.c
core_mohs_SOURCES += %D%/cmd_data.c
core_mohs_SOURCES += %D%/cmd_devices.c
core_mohs_SOURCES += %D%/cmd_doctor.c
core_mohs_SOURCES += %D%/cmd_embed.c
core_mohs_SOURCES += %D%/cmd_help.c
core_mohs_SOURCES += %D%/cmd_info.c
core_mohs_SOURCES += %D%/cmd_list.c
core_mohs_SOURCES += %D%/cmd_plugin.c
core_mohs_SOURCES += %D%/cmd_report.c
core_mohs_SOURCES += %D%/cmd_results.c
core_mohs_SOURCES += %D%/cmd_run.c
core_mohs_CPPFLAGS = $(AM_CPPFLAGS)
core_mohs_LDADD = core/liblua.la core/libeval.la core/libtrain.la core/libreport.la \
	core/libresults.la core/libcache.la core/libdata.la core/libplugincheck.la \
	core/libplugin.la core/libmodel.la core/libimage.la core/libgraph.la \
	core/libcompute.la core/libbase.la -lpthread -lm

# Manual page and completion come from the command table.
man1_MANS = docs/mohs.1
docs/mohs.1: core/mohs$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && core/mohs$(EXEEXT) help --man > $@.tmp && \
	mv -f $@.tmp $@
bashcompletiondir = $(datadir)/bash-completion/completions
bashcompletion_DATA = docs/completion/mohs
docs/completion/mohs: core/mohs$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	core/mohs$(EXEEXT) help --completion bash > $@.tmp && mv -f $@.tmp $@
CLEANFILES += docs/mohs.1 docs/completion/mohs
