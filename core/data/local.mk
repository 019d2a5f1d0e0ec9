# data: readers and the default data set
noinst_LTLIBRARIES += core/libdata.la
core_libdata_la_SOURCES = %D%/data.h %D%/dataset.h %D%/json_pull.h %D%/scenes.h %D%/coco.c \
	%D%/csv.c %D%/csv.h %D%/data_check.c %D%/data_csv.c \
	%D%/data_parquet.c %D%/dataset.c %D%/depth.c %D%/folder.c %D%/names.c \
	%D%/npy.c %D%/npy.h \
	%D%/parquet.c %D%/parquet.h %D%/parquet_page.c %D%/thrift.c \
	%D%/json_pull.c %D%/karpathy.c %D%/scenes.c %D%/scenes_catalogue.c \
	%D%/scenes_draw.c %D%/scenes_objects.c %D%/scenes_text.c %D%/scenes_words.c \
	%D%/tar.c %D%/tar_index.c %D%/tar_index.h %D%/webdataset.c
core_libdata_la_CPPFLAGS = $(AM_CPPFLAGS) $(FREETYPE_CFLAGS) $(ZLIB_CFLAGS) \
	$(ZSTD_CFLAGS) $(LZ4_CFLAGS) $(BROTLI_CFLAGS)
core_libdata_la_LIBADD = $(JANSSON_LIBS) $(FREETYPE_LIBS) $(SNAPPY_LIBS) \
	$(ZLIB_LIBS) $(ZSTD_LIBS) $(LZ4_LIBS) $(BROTLI_LIBS)
core_libdata_la_SOURCES += %D%/class_list.c %D%/class_list.h %D%/class_notes.c \
	%D%/data_factors.c %D%/prompts.c %D%/prompts.h
