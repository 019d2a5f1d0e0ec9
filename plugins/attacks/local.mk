attacks_LTLIBRARIES += plugins/attacks/pgd/pgd.la \
	plugins/attacks/feature_pgd/feature_pgd.la
ATTACK_COMMON = %D%/common/ascent.h %D%/common/ball.h %D%/common/loss.h
plugins_attacks_pgd_pgd_la_SOURCES = %D%/pgd/pgd.c $(ATTACK_COMMON)
plugins_attacks_pgd_pgd_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_pgd_pgd_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_pgd_pgd_la_LIBADD = -lm
plugins_attacks_feature_pgd_feature_pgd_la_SOURCES = \
	%D%/feature_pgd/feature_pgd.c $(ATTACK_COMMON)
plugins_attacks_feature_pgd_feature_pgd_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_feature_pgd_feature_pgd_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_feature_pgd_feature_pgd_la_LIBADD = -lm
