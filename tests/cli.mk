# tests of cli
dist_check_SCRIPTS += %D%/cli/cli.sh %D%/cli/corrupt.sh %D%/cli/hostile.sh
