# tests of attacks
check_PROGRAMS += tests/unit/test_attacks
tests_unit_test_attacks_SOURCES = %D%/unit/test_attacks.c %D%/unit/attack_victim.c \
	%D%/unit/attack_victim.h
tests_unit_test_attacks_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_attacks_LDADD = core/libplugin.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/attacks.py tests/golden/attacks.h
check_PROGRAMS += tests/unit/test_guard
tests_unit_test_guard_SOURCES = %D%/unit/test_guard.c %D%/unit/attack_victim.c \
	%D%/unit/attack_victim.h
tests_unit_test_guard_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_guard_LDADD = core/libeval.la core/libplugin.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_joint
tests_unit_test_joint_SOURCES = %D%/unit/test_joint.c %D%/unit/attack_victim.c \
	%D%/unit/attack_victim.h plugins/attacks/common/view.c \
	plugins/attacks/common/view.h
tests_unit_test_joint_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_joint_LDADD = core/libplugincheck.la core/libplugin.la core/libcompute.la \
	core/libbase.la plugins/common/libwords.la $(CHECK_LIBS) -lpthread -lm
EXTRA_DIST += tests/golden/joint.py tests/golden/joint.h
check_PROGRAMS += tests/unit/test_victim_text
tests_unit_test_victim_text_SOURCES = %D%/unit/test_victim_text.c
tests_unit_test_victim_text_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_victim_text_LDADD = core/libeval.la core/libdata.la core/libresults.la \
	core/libcache.la core/libplugin.la core/libmodel.la core/libgraph.la \
	core/libcompute.la core/libimage.la core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_uap
tests_unit_test_uap_SOURCES = %D%/unit/test_uap.c %D%/unit/attack_victim.c \
	%D%/unit/attack_victim.h
tests_unit_test_uap_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_uap_LDADD = core/libplugin.la core/libcompute.la \
	core/libbase.la $(CHECK_LIBS) -lpthread -lm
check_PROGRAMS += tests/unit/test_victim_gradient
tests_unit_test_victim_gradient_SOURCES = %D%/unit/test_victim_gradient.c
tests_unit_test_victim_gradient_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_victim_gradient_LDADD = $(tests_unit_test_victim_text_LDADD)
check_PROGRAMS += tests/unit/test_text_attacks
tests_unit_test_text_attacks_SOURCES = %D%/unit/test_text_attacks.c
tests_unit_test_text_attacks_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_text_attacks_LDADD = $(tests_unit_test_victim_text_LDADD)
EXTRA_DIST += tests/golden/text_attacks.py tests/golden/text_attacks.h
check_PROGRAMS += tests/unit/test_guard_text
tests_unit_test_guard_text_SOURCES = %D%/unit/test_guard_text.c %D%/unit/attack_victim.c \
	%D%/unit/attack_victim.h
tests_unit_test_guard_text_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_test_guard_text_LDADD = core/libeval.la core/libplugincheck.la core/libplugin.la \
	core/libcompute.la core/libbase.la $(CHECK_LIBS) -lpthread -lm
