"""Used by all of hybrid: types, config, errors, box geometry, progress."""
