# train: contrastive training, clean and adversarial
noinst_LTLIBRARIES += core/libtrain.la
core_libtrain_la_SOURCES = %D%/batch_victim.h %D%/train.h %D%/augment.h %D%/batch.h \
	%D%/pictures.h %D%/step.h %D%/trainer.h %D%/validate.h %D%/adversary.c \
	%D%/anchor.c %D%/batch_victim.c %D%/plugin_attack.c \
	%D%/augment.c %D%/batch.c %D%/checkpoint.c %D%/hostile.c %D%/options.c %D%/pictures.c \
	%D%/step.c %D%/trainer.c %D%/validate.c
core_libtrain_la_LIBADD = $(JANSSON_LIBS) -lpthread -lm
