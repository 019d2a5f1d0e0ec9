# tests of graph
check_PROGRAMS += tests/kernels/test_ops
tests_kernels_test_ops_SOURCES = %D%/kernels/test_ops.c %D%/kernels/ops_ref.c \
	%D%/kernels/ops_ref.h
tests_kernels_test_ops_CPPFLAGS = $(TEST_CPPFLAGS)
tests_kernels_test_ops_LDADD = core/libgraph.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
