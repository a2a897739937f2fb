"""Weights in files: checkpoints of runs."""
