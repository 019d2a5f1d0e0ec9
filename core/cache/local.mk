# cache: content-addressed rows on disk
noinst_LTLIBRARIES += core/libcache.la
core_libcache_la_SOURCES = %D%/cache.h %D%/cache.c %D%/cache_gc.c \
	%D%/cache_note.c %D%/cache_store.h %D%/frame.c %D%/frame.h
core_libcache_la_CPPFLAGS = $(AM_CPPFLAGS) $(ZSTD_CFLAGS)
core_libcache_la_LIBADD = $(ZSTD_LIBS) -lpthread
