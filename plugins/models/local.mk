models_LTLIBRARIES += plugins/models/clip/clip.la
plugins_models_clip_clip_la_SOURCES = %D%/clip/clip.c %D%/clip/clip.h \
	%D%/clip/clip_config.c %D%/clip/clip_names.h
plugins_models_clip_clip_la_CPPFLAGS = $(MODEL_CPPFLAGS)
plugins_models_clip_clip_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_clip_clip_la_LIBADD = plugins/models/libfamilies.la -lm

# What several families are made of, linked into each.
MODEL_CPPFLAGS = -I$(srcdir)/core/include -I$(srcdir)/plugins/models
noinst_LTLIBRARIES += plugins/models/libfamilies.la
plugins_models_libfamilies_la_SOURCES = %D%/common/base.c \
	%D%/common/base.h %D%/common/blocks.c \
	%D%/common/clip_text.c %D%/common/clip_text.h %D%/common/config.c \
	%D%/common/config.h %D%/common/conv.c %D%/common/conv.h %D%/common/net.c \
	%D%/common/net.h
plugins_models_libfamilies_la_CPPFLAGS = $(MODEL_CPPFLAGS)
plugins_models_libfamilies_la_LDFLAGS = -static
models_LTLIBRARIES += plugins/models/siglip/siglip.la
plugins_models_siglip_siglip_la_SOURCES = %D%/siglip/siglip.c
plugins_models_siglip_siglip_la_CPPFLAGS = $(MODEL_CPPFLAGS)
plugins_models_siglip_siglip_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_siglip_siglip_la_LIBADD = plugins/models/libfamilies.la -lm
models_LTLIBRARIES += plugins/models/vit/vit.la
plugins_models_vit_vit_la_SOURCES = %D%/vit/vit.c
plugins_models_vit_vit_la_CPPFLAGS = $(MODEL_CPPFLAGS)
plugins_models_vit_vit_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_vit_vit_la_LIBADD = plugins/models/libfamilies.la -lm
models_LTLIBRARIES += plugins/models/blip/blip.la
plugins_models_blip_blip_la_SOURCES = %D%/blip/blip.c %D%/blip/blip.h \
	%D%/blip/blip_bert.c %D%/blip/blip_config.c
plugins_models_blip_blip_la_CPPFLAGS = $(MODEL_CPPFLAGS)
plugins_models_blip_blip_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_blip_blip_la_LIBADD = plugins/models/libfamilies.la -lm
models_LTLIBRARIES += plugins/models/resnet/resnet.la
plugins_models_resnet_resnet_la_SOURCES = %D%/resnet/clip_resnet.c \
	%D%/resnet/resnet.c %D%/resnet/resnet.h %D%/resnet/resnet_stages.c
plugins_models_resnet_resnet_la_CPPFLAGS = $(MODEL_CPPFLAGS)
plugins_models_resnet_resnet_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_resnet_resnet_la_LIBADD = plugins/models/libfamilies.la -lm
models_LTLIBRARIES += plugins/models/convnext/convnext.la
plugins_models_convnext_convnext_la_SOURCES = %D%/convnext/clip_convnext.c \
	%D%/convnext/convnext.c %D%/convnext/convnext.h \
	%D%/convnext/convnext_trunk.c
plugins_models_convnext_convnext_la_CPPFLAGS = $(MODEL_CPPFLAGS)
plugins_models_convnext_convnext_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_convnext_convnext_la_LIBADD = plugins/models/libfamilies.la -lm
models_LTLIBRARIES += plugins/models/vitamin/vitamin.la
plugins_models_vitamin_vitamin_la_SOURCES = %D%/vitamin/vitamin.c
plugins_models_vitamin_vitamin_la_CPPFLAGS = $(MODEL_CPPFLAGS)
plugins_models_vitamin_vitamin_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_vitamin_vitamin_la_LIBADD = plugins/models/libfamilies.la -lm
