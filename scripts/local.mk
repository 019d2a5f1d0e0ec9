# recipes and their library, installed as they lie in the tree
nobase_pkgdata_DATA += %D%/lua/recipes/quickstart.lua \
	%D%/lua/recipes/feature_adversarial_pretraining.lua %D%/lua/mohs.meta.lua \
	%D%/lua/lib/scenes_clip.lua
EXTRA_DIST += %D%/lua/recipes/quickstart.lua \
	%D%/lua/recipes/feature_adversarial_pretraining.lua %D%/lua/mohs.meta.lua \
	%D%/lua/lib/scenes_clip.lua \
	%D%/lua/README.md %D%/quickstart %D%/check %D%/check-devices \
	%D%/packages
EXTRA_DIST += scripts/setup.sh .ci/run tests/lsan.supp
nobase_pkgdata_DATA += share/scenes-clean.safetensors \
	share/scenes-adversarial.safetensors
EXTRA_DIST += share/scenes-clean.safetensors share/scenes-adversarial.safetensors
