"""Training samples: which frames, which window, how augmented."""
