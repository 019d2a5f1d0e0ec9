models_LTLIBRARIES += plugins/models/clip/clip.la
plugins_models_clip_clip_la_SOURCES = %D%/clip/clip.c
plugins_models_clip_clip_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_models_clip_clip_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_clip_clip_la_LIBADD = -lm
