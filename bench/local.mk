# benchmarks, built on demand: make bench
BENCHES = bench/gemm bench/bench_graph bench/corruptions bench/train_step \
	bench/model_case bench/encode bench/data_index
EXTRA_PROGRAMS = $(BENCHES)
CLEANFILES += $(BENCHES)
.PHONY: bench
bench: $(BENCHES)

bench_gemm_SOURCES = %D%/gemm.c
bench_gemm_LDADD = core/libcompute.la core/libbase.la $(DL_LIBS) -lpthread -lm

bench_bench_graph_SOURCES = %D%/bench_graph.c
bench_bench_graph_LDADD = core/libgraph.la core/libcompute.la core/libbase.la \
	-lpthread -lm
EXTRA_DIST += bench/bench_graph.py bench/vit.sh

# Whole training steps; bench/train_step.py is the same in PyTorch.
bench_train_step_SOURCES = %D%/train_step.c
bench_train_step_LDADD = core/libtrain.la core/libdata.la core/libplugin.la \
	core/libmodel.la core/libimage.la core/libgraph.la core/libcompute.la \
	core/libbase.la -lpthread -lm
EXTRA_DIST += bench/README.md bench/train_step.py bench/train_step.sh

bench_corruptions_SOURCES = %D%/corruptions.c
bench_corruptions_LDADD = core/libplugin.la core/libcompute.la core/libbase.la \
	$(DL_LIBS) -lpthread -lm
EXTRA_DIST += bench/corruptions.py bench/attacks.py bench/joint.lua bench/pgd_step.py

# Any model on given inputs; bench/models.py compares it with its reference.
bench_model_case_SOURCES = %D%/model_case.c
bench_model_case_LDADD = core/libeval.la core/libcache.la core/libdata.la \
	core/libplugin.la core/libmodel.la core/libimage.la core/libgraph.la \
	core/libcompute.la core/libbase.la -lpthread -lm
EXTRA_DIST += bench/models.py bench/models_clip.py bench/models_conv.py
bench_encode_SOURCES = %D%/encode.c
bench_encode_LDADD = $(bench_model_case_LDADD)
EXTRA_DIST += bench/encode.py bench/encode.sh
EXTRA_DIST += bench/models_siglip.py bench/models_vit.py

bench_data_index_SOURCES = %D%/data_index.c
bench_data_index_LDADD = core/libdata.la core/libimage.la core/libbase.la -lpthread -lm
EXTRA_DIST += bench/data_index.py
EXTRA_DIST += bench/models_blip.py bench/models_vitamin.py
EXTRA_DIST += bench/data_index.py bench/retrieval.py
EXTRA_DIST += bench/models_blip.py
