"""What a model is to learn: what a batch is, how it is augmented, what is minimised and what is measured."""
