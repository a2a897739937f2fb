"""Many scenes: from a number to pixels, and from a request to a data set."""
