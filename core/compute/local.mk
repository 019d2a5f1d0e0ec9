# compute: the only room that knows OpenCL
noinst_LTLIBRARIES += core/libcompute.la
core_libcompute_la_SOURCES = %D%/api.c %D%/attention.c %D%/buffer.c %D%/compute.h \
	%D%/compute_impl.h %D%/device.c %D%/errors_cl.c %D%/gemm.c %D%/probe.c \
	%D%/probe.h %D%/program.c %D%/program_cache.c %D%/sources.c
core_libcompute_la_LIBADD = core/libbase.la $(OPENCL_LIBS)

# Kernel files of the core, found by name with program_core(); other rooms add
# theirs here, one line each.
CORE_CL = core/compute/kernels/common.cl core/compute/kernels/rng.cl
CORE_CL += core/compute/kernels/gemm_micro.cl core/compute/kernels/gemm_cpu.cl
CORE_CL += core/compute/kernels/gemm_wino.cl core/compute/kernels/gemm_pack.cl
CORE_CL += core/compute/kernels/gemm_tiled.cl
CORE_CL += core/compute/kernels/elementwise.cl core/compute/kernels/norm.cl
CORE_CL += core/compute/kernels/embed.cl core/compute/kernels/patch.cl
CORE_CL += core/compute/kernels/conv.cl core/compute/kernels/pool.cl
CORE_CL += core/compute/kernels/loss.cl core/compute/kernels/optim.cl
CORE_CL += core/compute/kernels/attention.cl core/compute/kernels/attention_cpu.cl

CORE_CLH = $(CORE_CL:.cl=.clh)
EXTRA_DIST += $(CORE_CL)
CLEANFILES += $(CORE_CLH) core/compute/kernels/table.clh
BUILT_SOURCES += core/compute/kernels/table.clh
core/compute/sources.lo: core/compute/kernels/table.clh
core/compute/kernels/table.clh: $(CORE_CLH) %D%/local.mk
	$(AM_V_GEN){ for f in $(CORE_CLH); do n=`basename $$f .clh`; \
	echo "static const unsigned char kernel_$$n[] = {"; \
	echo "#include \"compute/kernels/$$n.clh\""; echo "};"; done; \
	echo "#define KERNEL_FILES(X) \\"; \
	for f in $(CORE_CLH); do echo "    X(`basename $$f .clh`) \\"; done; \
	echo "    /* end */"; } > $@.tmp && mv -f $@.tmp $@
