mohsincludedir = $(includedir)/mohs
mohsinclude_HEADERS = %D%/include/mohs/abi.h %D%/include/mohs/attack.h \
	%D%/include/mohs/corruption.h %D%/include/mohs/error.h \
	%D%/include/mohs/host.h %D%/include/mohs/item.h %D%/include/mohs/metric.h \
	%D%/include/mohs/model.h %D%/include/mohs/param.h %D%/include/mohs/plugin.h \
	%D%/include/mohs/rng.h %D%/include/mohs/util.h
mohsextincludedir = $(includedir)/mohs/ext
mohsextinclude_HEADERS = %D%/include/mohs/ext/attack_cost.h \
	%D%/include/mohs/ext/attack_fit.h %D%/include/mohs/ext/attack_state.h \
	%D%/include/mohs/ext/classifier.h \
	%D%/include/mohs/ext/compute.h \
	%D%/include/mohs/ext/graph.h %D%/include/mohs/ext/log.h \
	%D%/include/mohs/ext/pair_scores.h \
	%D%/include/mohs/ext/scratch.h %D%/include/mohs/ext/victim.h \
	%D%/include/mohs/ext/victim_pair.h %D%/include/mohs/ext/victim_raw.h \
	%D%/include/mohs/ext/victim_text.h \
	%D%/include/mohs/ext/weights.h
pkgconfig_DATA += %D%/mohs-plugin.pc
include core/base/local.mk
include core/compute/local.mk
include core/graph/local.mk
include core/image/local.mk
include core/model/local.mk
include core/data/local.mk
include core/cache/local.mk
include core/results/local.mk
include core/report/local.mk
include core/plugin/local.mk
include core/train/local.mk
include core/eval/local.mk
include core/lua/local.mk
include core/cli/local.mk
