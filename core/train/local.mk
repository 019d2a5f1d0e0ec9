# train: contrastive training, clean and adversarial
noinst_LTLIBRARIES += core/libtrain.la
core_libtrain_la_SOURCES = %D%/train.h %D%/batch.h %D%/step.h %D%/trainer.h \
	%D%/adversary.c %D%/batch.c %D%/checkpoint.c %D%/step.c %D%/trainer.c
core_libtrain_la_LIBADD = $(JANSSON_LIBS)
