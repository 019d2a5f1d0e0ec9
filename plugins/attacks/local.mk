# What attacks share; linked into each of them.
noinst_LTLIBRARIES += plugins/attacks/libattacks.la
plugins_attacks_libattacks_la_SOURCES = %D%/common/apgd.c %D%/common/apgd.h \
	%D%/common/ascent.c %D%/common/ascent.h %D%/common/fab.c %D%/common/fab.h \
	%D%/common/item.h %D%/common/resume.c %D%/common/resume.h \
	%D%/common/square.c %D%/common/square.h %D%/common/standing.c %D%/common/standing.h \
	%D%/common/ball.c %D%/common/ball.h %D%/common/loss.c %D%/common/loss.h \
	%D%/common/sites.c %D%/common/sites.h
plugins_attacks_libattacks_la_CPPFLAGS = -I$(srcdir)/core/include
ATTACK_LIBS = plugins/attacks/libattacks.la -lm

# What those that replace texts share besides.
noinst_LTLIBRARIES += plugins/attacks/libtextattacks.la
plugins_attacks_libtextattacks_la_SOURCES = %D%/common/hunt.c %D%/common/hunt.h \
	%D%/common/text_chars.c %D%/common/text_edits.c %D%/common/text_edits.h \
	%D%/common/text_rows.c %D%/common/text_rows.h \
	%D%/common/text_tokens.c %D%/common/text_words.c %D%/common/pull.c \
	%D%/common/pull.h %D%/common/view.c %D%/common/view.h
plugins_attacks_libtextattacks_la_CPPFLAGS = -I$(srcdir)/core/include
ATTACK_TEXT_LIBS = plugins/attacks/libtextattacks.la plugins/common/libwords.la \
	$(ATTACK_LIBS)

attacks_LTLIBRARIES += plugins/attacks/pgd/pgd.la plugins/attacks/apgd/apgd.la \
	plugins/attacks/autoattack/autoattack.la plugins/attacks/cw/cw.la \
	plugins/attacks/feature_pgd/feature_pgd.la plugins/attacks/text/text_attacks.la \
	plugins/attacks/joint/joint.la
plugins_attacks_pgd_pgd_la_SOURCES = %D%/pgd/pgd.c
plugins_attacks_pgd_pgd_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_pgd_pgd_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_pgd_pgd_la_LIBADD = $(ATTACK_LIBS)
plugins_attacks_feature_pgd_feature_pgd_la_SOURCES = %D%/feature_pgd/feature_pgd.c
plugins_attacks_feature_pgd_feature_pgd_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_feature_pgd_feature_pgd_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_feature_pgd_feature_pgd_la_LIBADD = $(ATTACK_LIBS)
plugins_attacks_apgd_apgd_la_SOURCES = %D%/apgd/apgd.c
plugins_attacks_apgd_apgd_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_apgd_apgd_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_apgd_apgd_la_LIBADD = $(ATTACK_LIBS)
plugins_attacks_autoattack_autoattack_la_SOURCES = %D%/autoattack/autoattack.c
plugins_attacks_autoattack_autoattack_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_autoattack_autoattack_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_autoattack_autoattack_la_LIBADD = $(ATTACK_LIBS)
plugins_attacks_cw_cw_la_SOURCES = %D%/cw/cw.c
plugins_attacks_cw_cw_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_cw_cw_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_cw_cw_la_LIBADD = $(ATTACK_LIBS)
plugins_attacks_text_text_attacks_la_SOURCES = %D%/text/text_attacks.c
plugins_attacks_text_text_attacks_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_text_text_attacks_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_text_text_attacks_la_LIBADD = $(ATTACK_TEXT_LIBS)
plugins_attacks_joint_joint_la_SOURCES = %D%/joint/joint.c %D%/joint/picture.c \
	%D%/joint/picture.h
plugins_attacks_joint_joint_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_joint_joint_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_joint_joint_la_LIBADD = $(ATTACK_TEXT_LIBS)
attacks_LTLIBRARIES += plugins/attacks/uap/uap.la
plugins_attacks_uap_uap_la_SOURCES = %D%/uap/uap.c
plugins_attacks_uap_uap_la_CPPFLAGS = -I$(srcdir)/core/include
plugins_attacks_uap_uap_la_LDFLAGS = $(MODULE_FLAGS)
plugins_attacks_uap_uap_la_LIBADD = $(ATTACK_LIBS)
