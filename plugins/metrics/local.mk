metrics_LTLIBRARIES += plugins/metrics/retrieval/retrieval.la
plugins_metrics_retrieval_retrieval_la_SOURCES = %D%/retrieval/retrieval.c
plugins_metrics_retrieval_retrieval_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_metrics_retrieval_retrieval_la_LDFLAGS = $(MODULE_FLAGS)
plugins_metrics_retrieval_retrieval_la_LIBADD = -lm
