dist_check_SCRIPTS += tests/recipes/recipes.sh
