"""The losses of training, and the matching that they need."""
