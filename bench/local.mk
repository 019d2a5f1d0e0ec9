# benchmarks, built on demand: make bench
BENCHES = bench/gemm
EXTRA_PROGRAMS = $(BENCHES)
CLEANFILES += $(BENCHES)
.PHONY: bench
bench: $(BENCHES)

bench_gemm_SOURCES = %D%/gemm.c
bench_gemm_LDADD = core/libcompute.la core/libbase.la $(DL_LIBS) -lpthread -lm
