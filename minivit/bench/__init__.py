"""How fast: models beside those of other libraries, and the very steps of a recipe."""
