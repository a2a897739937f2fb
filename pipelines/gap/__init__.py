"""The sim-to-real gap report: measure, compare, draw."""
