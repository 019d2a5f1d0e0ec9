# recipes and their library, installed as they lie in the tree
LUA_FILES = %D%/lua/recipes/corruptions.lua \
	%D%/lua/recipes/feature_adversarial_pretraining.lua \
	%D%/lua/recipes/quickstart.lua %D%/lua/recipes/zero_shot.lua \
	%D%/lua/lib/scenes_clip.lua %D%/lua/mohs.meta.lua
nobase_pkgdata_DATA += $(LUA_FILES)
EXTRA_DIST += $(LUA_FILES) \
	%D%/lua/README.md %D%/quickstart %D%/check %D%/check-devices \
	%D%/packages
EXTRA_DIST += scripts/setup.sh .ci/run tests/lsan.supp
nobase_pkgdata_DATA += share/scenes-clean.safetensors \
	share/scenes-adversarial.safetensors
PROMPT_FILES = share/prompts/photo.txt share/prompts/photos.txt \
	share/prompts/scenes.txt share/prompts/words.txt
nobase_pkgdata_DATA += $(PROMPT_FILES)
EXTRA_DIST += $(PROMPT_FILES)
EXTRA_DIST += share/scenes-clean.safetensors share/scenes-adversarial.safetensors
