check_PROGRAMS += tests/unit/test_compute
tests_unit_test_compute_SOURCES = %D%/unit/test_compute.c
tests_unit_test_compute_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_compute_LDADD = core/libcompute.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm

check_PROGRAMS += tests/unit/test_compute_attention
tests_unit_test_compute_attention_SOURCES = \
	%D%/unit/test_compute_attention.c %D%/unit/compute_test.h
tests_unit_test_compute_attention_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_compute_attention_LDADD = core/libcompute.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm

check_PROGRAMS += tests/kernels/test_gemm
tests_kernels_test_gemm_SOURCES = %D%/kernels/test_gemm.c \
	%D%/unit/compute_test.h
tests_kernels_test_gemm_CPPFLAGS = $(TEST_CPPFLAGS)
tests_kernels_test_gemm_LDADD = core/libcompute.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm

check_PROGRAMS += tests/unit/test_compute_math
tests_unit_test_compute_math_SOURCES = %D%/unit/test_compute_math.c \
	%D%/unit/compute_test.h
tests_unit_test_compute_math_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_compute_math_LDADD = core/libcompute.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm

check_PROGRAMS += tests/unit/test_compute_probe
check_LTLIBRARIES += tests/unit/broken_icd.la
CLEANFILES += tests/unit/broken.crash.icd tests/unit/broken.hang.icd
tests_unit_broken_icd_la_SOURCES = %D%/unit/broken_icd.c
tests_unit_broken_icd_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere
tests_unit_test_compute_probe_SOURCES = %D%/unit/test_compute_probe.c
tests_unit_test_compute_probe_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_compute_probe_LDADD = core/libcompute.la core/libbase.la \
	$(CHECK_LIBS) -lpthread -lm
