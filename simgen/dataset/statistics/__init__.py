"""What is in a data set: counts, sizes, positions, visible shares, and every knob's values against its range."""
