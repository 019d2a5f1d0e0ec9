# What corruptions and attacks on texts share.
noinst_LTLIBRARIES += plugins/common/libwords.la
plugins_common_libwords_la_SOURCES = %D%/synonyms.c %D%/synonyms.h %D%/wordnet.c \
	%D%/wordnet.h
