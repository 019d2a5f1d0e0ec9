# tests of graph
check_PROGRAMS += tests/kernels/test_ops
tests_kernels_test_ops_SOURCES = %D%/kernels/test_ops.c %D%/kernels/ops_ref.c \
	%D%/kernels/ops_ref.h %D%/kernels/ops_ref_conv.c
tests_kernels_test_ops_CPPFLAGS = $(TEST_CPPFLAGS)
tests_kernels_test_ops_LDADD = core/libgraph.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_graph
tests_unit_test_graph_SOURCES = %D%/unit/test_graph.c %D%/unit/graph_model.c \
	%D%/unit/graph_model.h
tests_unit_test_graph_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_graph_LDADD = core/libgraph.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_graph_plan
tests_unit_test_graph_plan_SOURCES = %D%/unit/test_graph_plan.c \
	%D%/unit/graph_model.c %D%/unit/graph_model.h
tests_unit_test_graph_plan_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_graph_plan_LDADD = core/libgraph.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_graph_params
tests_unit_test_graph_params_SOURCES = %D%/unit/test_graph_params.c \
	%D%/unit/graph_model.c %D%/unit/graph_model.h
tests_unit_test_graph_params_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_graph_params_LDADD = core/libgraph.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += docs/ops.md
check_PROGRAMS += tests/kernels/test_optim
tests_kernels_test_optim_SOURCES = %D%/kernels/test_optim.c
tests_kernels_test_optim_CPPFLAGS = $(TEST_CPPFLAGS)
tests_kernels_test_optim_LDADD = core/libgraph.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
