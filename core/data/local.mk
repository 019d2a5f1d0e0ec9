# data: readers and the default data set
noinst_LTLIBRARIES += core/libdata.la
core_libdata_la_SOURCES = %D%/data.h %D%/dataset.h %D%/json_pull.h %D%/scenes.h %D%/coco.c \
	%D%/csv.c %D%/csv.h %D%/data_csv.c %D%/names.c %D%/data_check.c %D%/dataset.c %D%/depth.c %D%/folder.c \
	%D%/json_pull.c %D%/karpathy.c %D%/scenes.c %D%/scenes_catalogue.c \
	%D%/scenes_draw.c %D%/scenes_objects.c %D%/scenes_text.c %D%/scenes_words.c \
	%D%/tar.c %D%/tar_index.c %D%/tar_index.h %D%/webdataset.c
core_libdata_la_CPPFLAGS = $(AM_CPPFLAGS) $(FREETYPE_CFLAGS)
core_libdata_la_LIBADD = $(JANSSON_LIBS) $(FREETYPE_LIBS)
