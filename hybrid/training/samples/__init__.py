"""Training samples: which frames of which clip, which window of them, and how they are augmented."""
