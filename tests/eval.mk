dist_check_SCRIPTS += tests/recipes/recipes.sh
dist_check_SCRIPTS += tests/recipes/snippets.sh
dist_check_SCRIPTS += tests/recipes/attacks.sh
dist_check_SCRIPTS += tests/recipes/joint.sh tests/recipes/no_gradient.sh tests/recipes/text_kill.sh
dist_check_SCRIPTS += tests/recipes/embeddings.sh tests/recipes/zero_shot.sh
EXTRA_DIST += tests/recipes/common.sh
EXTRA_DIST += docs/zero_shot.md
