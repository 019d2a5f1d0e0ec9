# model: checkpoints, tokenizers, preprocessing
noinst_LTLIBRARIES += core/libmodel.la
core_libmodel_la_SOURCES = %D%/charsmap.h %D%/html_entities.h %D%/lattice.h \
	%D%/model.h %D%/mojibake.h %D%/sentencepiece.h %D%/token_model.h %D%/tokenizer.h \
	%D%/weights.h %D%/bpe.c %D%/charsmap.c %D%/clean.c %D%/fix_text.c \
	%D%/half.c %D%/html_entities.c %D%/lattice.c %D%/merge_heap.c \
	%D%/mojibake.c %D%/mojibake_chars.c %D%/mojibake_signs.c \
	%D%/normalize.c %D%/pattern.c %D%/pickle.c %D%/pickle.h \
	%D%/pickle_names.c %D%/pickle_names.h %D%/preprocess.c %D%/preprocess_config.c \
	%D%/pretokenize.c \
	%D%/safetensors.c %D%/sentencepiece.c %D%/sp_read.c %D%/token_model.c \
	%D%/tokenizer.c %D%/tokenizer_files.c %D%/tokenizer_parse.c \
	%D%/tokenizer_train.c %D%/tokenizer_vocab.c %D%/torch_file.c %D%/trie.c \
	%D%/unigram.c %D%/vocab.c %D%/weights.c %D%/weights_open.c \
	%D%/weights_param.c %D%/word_cache.c %D%/wordpiece.c %D%/zip.c %D%/zip.h
core_libmodel_la_CPPFLAGS = $(AM_CPPFLAGS) $(PCRE2_CFLAGS) $(UTF8PROC_CFLAGS)
core_libmodel_la_LIBADD = $(JANSSON_LIBS) $(PCRE2_LIBS) $(UTF8PROC_LIBS)
