# results: the results file, statistics, diff, merge
noinst_LTLIBRARIES += core/libresults.la
core_libresults_la_SOURCES = %D%/compare.c %D%/compare.h \
	%D%/compare_print.c %D%/results.h %D%/results.c %D%/results_diff.c \
	%D%/results_merge.c %D%/results_print.c %D%/results_read.c \
	%D%/results_store.h %D%/robustness.h \
	%D%/robustness.c %D%/robustness_print.c %D%/schema.c %D%/stats.c \
	%D%/trust.c %D%/trust.h %D%/trust_print.c
core_libresults_la_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS) $(ZSTD_CFLAGS)
core_libresults_la_LIBADD = $(SQLITE_LIBS) $(ZSTD_LIBS) $(JANSSON_LIBS) -lm
