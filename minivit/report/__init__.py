"""What trained models do: their attention and robustness, and every variant of a recipe with every seed."""
