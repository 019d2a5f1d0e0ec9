# model: checkpoints, tokenizers, preprocessing
noinst_LTLIBRARIES += core/libmodel.la
core_libmodel_la_SOURCES = %D%/model.h %D%/tokenizer.h %D%/weights.h \
	%D%/bpe.c %D%/bpe_cache.c %D%/half.c %D%/normalize.c %D%/pattern.c \
	%D%/pickle.c %D%/pickle.h %D%/pickle_names.c %D%/pickle_names.h \
	%D%/preprocess.c %D%/pretokenize.c %D%/safetensors.c %D%/tokenizer.c \
	%D%/tokenizer_parse.c %D%/tokenizer_train.c %D%/tokenizer_vocab.c \
	%D%/torch_file.c %D%/weights.c %D%/weights_open.c %D%/weights_param.c \
	%D%/zip.c %D%/zip.h
core_libmodel_la_CPPFLAGS = $(AM_CPPFLAGS) $(PCRE2_CFLAGS) $(UTF8PROC_CFLAGS)
core_libmodel_la_LIBADD = $(JANSSON_LIBS) $(PCRE2_LIBS) $(UTF8PROC_LIBS)
