"""The data set's format: manifest, shards, index. Needs numpy and the standard library alone."""
