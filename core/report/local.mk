# report: one HTML file from a results file
noinst_LTLIBRARIES += core/libreport.la
core_libreport_la_SOURCES = %D%/report.h %D%/report.c %D%/report_chart.c \
	%D%/report_classes.c %D%/report_doc.h %D%/report_forest.c \
	%D%/report_gallery.c %D%/report_load.c %D%/report_edits.c \
	%D%/report_robustness.c %D%/report_trust.c %D%/report_table.c \
	%D%/report_text.c
core_libreport_la_LIBADD = $(JANSSON_LIBS) -lm
BUILT_SOURCES += %D%/report_css.inc %D%/report_js.inc
EXTRA_DIST += %D%/report.css %D%/report.js
CLEANFILES += %D%/report_css.inc %D%/report_js.inc
%D%/report.lo: %D%/report_css.inc %D%/report_js.inc
%D%/report_css.inc: %D%/report.css
	$(AM_V_GEN)$(MKDIR_P) $(@D) && od -v -An -tx1 $(srcdir)/%D%/report.css |  sed 's/\([0-9a-f][0-9a-f]\)/0x\1,/g' > $@.tmp && mv -f $@.tmp $@
%D%/report_js.inc: %D%/report.js
	$(AM_V_GEN)$(MKDIR_P) $(@D) && od -v -An -tx1 $(srcdir)/%D%/report.js |  sed 's/\([0-9a-f][0-9a-f]\)/0x\1,/g' > $@.tmp && mv -f $@.tmp $@
