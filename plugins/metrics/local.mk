metrics_LTLIBRARIES += plugins/metrics/retrieval/retrieval.la
plugins_metrics_retrieval_retrieval_la_SOURCES = %D%/retrieval/retrieval.c \
	%D%/retrieval/retrieval.h %D%/retrieval/rerank.c
plugins_metrics_retrieval_retrieval_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_metrics_retrieval_retrieval_la_LDFLAGS = $(MODULE_FLAGS)
plugins_metrics_retrieval_retrieval_la_LIBADD = -lm
metrics_LTLIBRARIES += plugins/metrics/zeroshot/zeroshot.la
plugins_metrics_zeroshot_zeroshot_la_SOURCES = %D%/zeroshot/classify.h \
	%D%/zeroshot/classify.c %D%/zeroshot/factors.c %D%/zeroshot/zeroshot.c
plugins_metrics_zeroshot_zeroshot_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_metrics_zeroshot_zeroshot_la_LDFLAGS = $(MODULE_FLAGS)
plugins_metrics_zeroshot_zeroshot_la_LIBADD = -lm
