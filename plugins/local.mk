include plugins/models/local.mk
include plugins/common/local.mk
include plugins/corruptions/local.mk
include plugins/attacks/local.mk
include plugins/metrics/local.mk
