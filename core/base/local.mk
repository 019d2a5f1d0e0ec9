# base: errors, memory, strings, hashes, files, log, threads
noinst_LTLIBRARIES += core/libbase.la
core_libbase_la_SOURCES = %D%/base.h %D%/base64.c %D%/content.c %D%/edits.c %D%/error.c \
	%D%/file.c %D%/hash.c \
	%D%/log.c %D%/memory.c %D%/pool.c %D%/string.c
core_libbase_la_LIBADD = $(XXHASH_LIBS) $(NETTLE_LIBS)
