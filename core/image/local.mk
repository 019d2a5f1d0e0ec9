# image: decoding, writing and resampling, as Pillow does
noinst_LTLIBRARIES += core/libimage.la
core_libimage_la_SOURCES = %D%/codec.h %D%/image.h %D%/resample.h %D%/image.c \
	%D%/jpeg.c %D%/png.c %D%/png_write.c %D%/resample.c %D%/webp.c
core_libimage_la_CPPFLAGS = $(AM_CPPFLAGS) $(JPEG_CFLAGS) $(PNG_CFLAGS) $(WEBP_CFLAGS)
core_libimage_la_LIBADD = $(JPEG_LIBS) $(PNG_LIBS) $(WEBP_LIBS)
