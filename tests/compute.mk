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
