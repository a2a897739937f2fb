"""Running steps one after the other, with one display."""
