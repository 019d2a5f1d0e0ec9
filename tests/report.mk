check_PROGRAMS += tests/unit/test_report
tests_unit_test_report_SOURCES = %D%/unit/test_report.c
tests_unit_test_report_CPPFLAGS = $(TEST_CPPFLAGS) $(PNG_CFLAGS)
tests_unit_test_report_LDADD = core/libreport.la core/libresults.la \
	core/libbase.la $(PNG_LIBS) $(CHECK_LIBS) -lpthread -lm
