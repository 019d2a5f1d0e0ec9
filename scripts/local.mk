# recipes, prelude and documentation that are installed
