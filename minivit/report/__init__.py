"""Report on trained models: their attention and robustness, and sweeps over variants and seeds."""
