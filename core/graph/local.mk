# graph: ops, autodiff, planner, executor; optimizer kernels' host side
noinst_LTLIBRARIES += core/libgraph.la
core_libgraph_la_SOURCES = %D%/graph.h %D%/graph_build.c %D%/graph_grad.c \
	%D%/graph_internal.h %D%/graph_plan.c %D%/graph_run.c %D%/graph_stream.c %D%/op_attention.c \
	%D%/op_conv.c %D%/op_dense.c \
	%D%/op_dense.h %D%/op_loss.c %D%/op_map.c %D%/op_norm.c %D%/op_pool.c %D%/op_shape.c \
	%D%/op_table.c %D%/optim.c %D%/optim.h %D%/params.c
core_libgraph_la_LIBADD = core/libcompute.la
