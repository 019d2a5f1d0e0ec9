# Corruptions. A new one: its folder, a line in corruptions_LTLIBRARIES, its
# kernel in CORRUPTION_CL, and a paragraph of its own below.
corruptions_LTLIBRARIES += \
	%D%/noise/noise.la \
	%D%/blur/blur.la \
	%D%/colour/colour.la \
	%D%/glass_blur/glass_blur.la \
	%D%/motion_blur/motion_blur.la \
	%D%/zoom_blur/zoom_blur.la \
	%D%/snow/snow.la \
	%D%/frost/frost.la \
	%D%/fog/fog.la \
	%D%/spatter/spatter.la \
	%D%/elastic_transform/elastic_transform.la \
	%D%/pixelate/pixelate.la \
	%D%/jpeg_compression/jpeg_compression.la \
	%D%/focus/focus.la \
	%D%/fog_3d/fog_3d.la \
	%D%/motion_3d/motion_3d.la \
	%D%/light/light.la \
	%D%/color_quant/color_quant.la \
	%D%/bit_error/bit_error.la \
	%D%/waves/waves.la \
	%D%/spectral/spectral.la \
	%D%/sparkles/sparkles.la \
	%D%/caustics/caustics.la \
	%D%/text/text.la
CORRUPTION_CL = \
	%D%/common/bytes.cl \
	%D%/common/keep.cl \
	%D%/common/pad.cl \
	%D%/common/philox.cl \
	%D%/common/pixels.cl \
	%D%/common/separable.cl \
	%D%/common/strip.cl \
	%D%/noise/noise.cl \
	%D%/blur/blur.cl \
	%D%/colour/colour.cl \
	%D%/glass_blur/glass_blur.cl \
	%D%/motion_blur/motion_blur.cl \
	%D%/zoom_blur/zoom_blur.cl \
	%D%/snow/snow.cl \
	%D%/frost/frost.cl \
	%D%/fog/fog.cl \
	%D%/spatter/spatter.cl \
	%D%/elastic_transform/elastic_transform.cl \
	%D%/pixelate/pixelate.cl \
	%D%/focus/focus.cl \
	%D%/fog_3d/fog_3d.cl \
	%D%/motion_3d/motion_3d.cl \
	%D%/light/light.cl \
	%D%/color_quant/color_quant.cl \
	%D%/waves/waves.cl \
	%D%/spectral/spectral.cl \
	%D%/sparkles/sparkles.cl \
	%D%/caustics/caustics.cl
CORRUPTION_CLH = $(CORRUPTION_CL:.cl=.clh)
BUILT_SOURCES += $(CORRUPTION_CLH)
CLEANFILES += $(CORRUPTION_CLH)
CORRUPTION_H = \
	%D%/common/blur.h \
	%D%/common/c_bar.h \
	%D%/common/corruption.h \
	%D%/common/depth.h \
	%D%/common/jpeg.h \
	%D%/common/motion.h \
	%D%/common/pad.h \
	%D%/common/zoom.h
EXTRA_DIST += $(CORRUPTION_CL) $(CORRUPTION_H)
CORRUPTION_CPPFLAGS = -I$(builddir) -I$(srcdir)/core/include \
	-I$(builddir)/%D%/common $(JPEG_CFLAGS)
CORRUPTION_LIBS = $(JPEG_LIBS) -lm

plugins_corruptions_noise_noise_la_SOURCES = %D%/noise/noise.c \
	%D%/noise/noise.h %D%/noise/noise_ref.c
plugins_corruptions_noise_noise_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/noise
plugins_corruptions_noise_noise_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_noise_noise_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_blur_blur_la_SOURCES = %D%/blur/blur.c \
	%D%/blur/blur_items.h %D%/blur/blur_ref.c
plugins_corruptions_blur_blur_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/blur
plugins_corruptions_blur_blur_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_blur_blur_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_colour_colour_la_SOURCES = %D%/colour/colour.c \
	%D%/colour/colour.h %D%/colour/colour_ref.c
plugins_corruptions_colour_colour_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/colour
plugins_corruptions_colour_colour_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_colour_colour_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_glass_blur_glass_blur_la_SOURCES = \
	%D%/glass_blur/glass_blur.c %D%/glass_blur/glass_blur.h \
	%D%/glass_blur/glass_blur_ref.c
plugins_corruptions_glass_blur_glass_blur_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/glass_blur
plugins_corruptions_glass_blur_glass_blur_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_glass_blur_glass_blur_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_motion_blur_motion_blur_la_SOURCES = \
	%D%/motion_blur/motion_blur.c %D%/motion_blur/motion_blur.h \
	%D%/motion_blur/motion_blur_ref.c
plugins_corruptions_motion_blur_motion_blur_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/motion_blur
plugins_corruptions_motion_blur_motion_blur_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_motion_blur_motion_blur_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_zoom_blur_zoom_blur_la_SOURCES = \
	%D%/zoom_blur/zoom_blur.c %D%/zoom_blur/zoom_blur.h \
	%D%/zoom_blur/zoom_blur_ref.c
plugins_corruptions_zoom_blur_zoom_blur_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/zoom_blur
plugins_corruptions_zoom_blur_zoom_blur_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_zoom_blur_zoom_blur_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_snow_snow_la_SOURCES = %D%/snow/snow.c %D%/snow/snow.h \
	%D%/snow/snow_ref.c
plugins_corruptions_snow_snow_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/snow
plugins_corruptions_snow_snow_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_snow_snow_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_frost_frost_la_SOURCES = %D%/frost/frost.c \
	%D%/frost/frost.h %D%/frost/frost_files.c %D%/frost/frost_ice.c \
	%D%/frost/frost_ref.c
plugins_corruptions_frost_frost_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) $(PNG_CFLAGS) \
	-I$(builddir)/%D%/frost
plugins_corruptions_frost_frost_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_frost_frost_la_LIBADD = $(CORRUPTION_LIBS) $(PNG_LIBS)

plugins_corruptions_fog_fog_la_SOURCES = %D%/fog/fog.c %D%/fog/fog.h \
	%D%/fog/fog_ref.c
plugins_corruptions_fog_fog_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/fog
plugins_corruptions_fog_fog_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_fog_fog_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_spatter_spatter_la_SOURCES = %D%/spatter/spatter.c \
	%D%/spatter/spatter.h %D%/spatter/spatter_ref.c
plugins_corruptions_spatter_spatter_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/spatter
plugins_corruptions_spatter_spatter_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_spatter_spatter_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_elastic_transform_elastic_transform_la_SOURCES = \
	%D%/elastic_transform/elastic.h %D%/elastic_transform/elastic_transform.c \
	%D%/elastic_transform/elastic_transform_ref.c
plugins_corruptions_elastic_transform_elastic_transform_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/elastic_transform
plugins_corruptions_elastic_transform_elastic_transform_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_elastic_transform_elastic_transform_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_pixelate_pixelate_la_SOURCES = %D%/pixelate/pixelate.c \
	%D%/pixelate/pixelate.h %D%/pixelate/pixelate_ref.c
plugins_corruptions_pixelate_pixelate_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/pixelate
plugins_corruptions_pixelate_pixelate_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_pixelate_pixelate_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_jpeg_compression_jpeg_compression_la_SOURCES = \
	%D%/jpeg_compression/jpeg_compression.c
plugins_corruptions_jpeg_compression_jpeg_compression_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS)
plugins_corruptions_jpeg_compression_jpeg_compression_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_jpeg_compression_jpeg_compression_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_focus_focus_la_SOURCES = %D%/focus/focus.c \
	%D%/focus/focus.h %D%/focus/focus_ref.c
plugins_corruptions_focus_focus_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/focus
plugins_corruptions_focus_focus_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_focus_focus_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_motion_3d_motion_3d_la_SOURCES = %D%/motion_3d/motion_3d.c \
	%D%/motion_3d/motion_3d.h %D%/motion_3d/motion_3d_ref.c
plugins_corruptions_motion_3d_motion_3d_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/motion_3d
plugins_corruptions_motion_3d_motion_3d_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_motion_3d_motion_3d_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_light_light_la_SOURCES = %D%/light/light.c \
	%D%/light/light.h %D%/light/light_ref.c
plugins_corruptions_light_light_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/light
plugins_corruptions_light_light_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_light_light_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_fog_3d_fog_3d_la_SOURCES = %D%/fog_3d/fog_3d.c
plugins_corruptions_fog_3d_fog_3d_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/fog_3d
plugins_corruptions_fog_3d_fog_3d_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_fog_3d_fog_3d_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_color_quant_color_quant_la_SOURCES = %D%/color_quant/color_quant.c
plugins_corruptions_color_quant_color_quant_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/color_quant
plugins_corruptions_color_quant_color_quant_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_color_quant_color_quant_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_bit_error_bit_error_la_SOURCES = %D%/bit_error/bit_error.c
plugins_corruptions_bit_error_bit_error_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/bit_error
plugins_corruptions_bit_error_bit_error_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_bit_error_bit_error_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_waves_waves_la_SOURCES = %D%/waves/waves.c \
	%D%/waves/waves.h %D%/waves/waves_ref.c
plugins_corruptions_waves_waves_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/waves
plugins_corruptions_waves_waves_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_waves_waves_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_spectral_spectral_la_SOURCES = %D%/spectral/spectral.c \
	%D%/spectral/spectral.h %D%/spectral/spectral_ref.c
plugins_corruptions_spectral_spectral_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/spectral
plugins_corruptions_spectral_spectral_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_spectral_spectral_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_sparkles_sparkles_la_SOURCES = %D%/sparkles/sparkles.c \
	%D%/sparkles/sparkles.h %D%/sparkles/sparkles_ref.c
plugins_corruptions_sparkles_sparkles_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/sparkles
plugins_corruptions_sparkles_sparkles_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_sparkles_sparkles_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_caustics_caustics_la_SOURCES = %D%/caustics/caustics.c \
	%D%/caustics/caustics.h %D%/caustics/caustics_ref.c
plugins_corruptions_caustics_caustics_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	-I$(builddir)/%D%/caustics
plugins_corruptions_caustics_caustics_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_caustics_caustics_la_LIBADD = $(CORRUPTION_LIBS)

plugins_corruptions_text_text_la_SOURCES = %D%/text/text.c %D%/text/text.h \
	%D%/text/text_typos.c %D%/text/text_words.c
plugins_corruptions_text_text_la_CPPFLAGS = $(CORRUPTION_CPPFLAGS) \
	$(UTF8PROC_CFLAGS)
plugins_corruptions_text_text_la_LDFLAGS = $(MODULE_FLAGS)
plugins_corruptions_text_text_la_LIBADD = plugins/common/libwords.la \
	$(CORRUPTION_LIBS) $(UTF8PROC_LIBS)
