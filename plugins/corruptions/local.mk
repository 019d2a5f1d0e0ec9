corruptions_LTLIBRARIES += plugins/corruptions/gaussian_noise/gaussian_noise.la \
	plugins/corruptions/defocus_blur/defocus_blur.la \
	plugins/corruptions/contrast/contrast.la \
	plugins/corruptions/jpeg_compression/jpeg_compression.la
CORRUPTION_KERNELS = %D%/gaussian_noise/gaussian_noise.clh \
	%D%/defocus_blur/defocus_blur.clh %D%/contrast/contrast.clh
BUILT_SOURCES += $(CORRUPTION_KERNELS)
CLEANFILES += $(CORRUPTION_KERNELS)
EXTRA_DIST += %D%/gaussian_noise/gaussian_noise.cl \
	%D%/defocus_blur/defocus_blur.cl %D%/contrast/contrast.cl

plugins_corruptions_gaussian_noise_gaussian_noise_la_SOURCES = \
	%D%/gaussian_noise/gaussian_noise.c %D%/common/device.h
nodist_plugins_corruptions_gaussian_noise_gaussian_noise_la_SOURCES = \
	%D%/gaussian_noise/gaussian_noise.clh
plugins_corruptions_gaussian_noise_gaussian_noise_la_CPPFLAGS = \
	-I$(srcdir)/core/include -I$(builddir)/%D%/gaussian_noise
plugins_corruptions_gaussian_noise_gaussian_noise_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_gaussian_noise_gaussian_noise_la_LIBADD = -lm

plugins_corruptions_defocus_blur_defocus_blur_la_SOURCES = \
	%D%/defocus_blur/defocus_blur.c %D%/common/device.h
nodist_plugins_corruptions_defocus_blur_defocus_blur_la_SOURCES = \
	%D%/defocus_blur/defocus_blur.clh
plugins_corruptions_defocus_blur_defocus_blur_la_CPPFLAGS = \
	-I$(srcdir)/core/include -I$(builddir)/%D%/defocus_blur
plugins_corruptions_defocus_blur_defocus_blur_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_defocus_blur_defocus_blur_la_LIBADD = -lm

plugins_corruptions_contrast_contrast_la_SOURCES = %D%/contrast/contrast.c \
	%D%/common/device.h
nodist_plugins_corruptions_contrast_contrast_la_SOURCES = \
	%D%/contrast/contrast.clh
plugins_corruptions_contrast_contrast_la_CPPFLAGS = \
	-I$(srcdir)/core/include -I$(builddir)/%D%/contrast
plugins_corruptions_contrast_contrast_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_contrast_contrast_la_LIBADD = -lm

plugins_corruptions_jpeg_compression_jpeg_compression_la_SOURCES = \
	%D%/jpeg_compression/jpeg_compression.c
plugins_corruptions_jpeg_compression_jpeg_compression_la_CPPFLAGS = \
	-I$(srcdir)/core/include $(JPEG_CFLAGS)
plugins_corruptions_jpeg_compression_jpeg_compression_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_jpeg_compression_jpeg_compression_la_LIBADD = $(JPEG_LIBS)
