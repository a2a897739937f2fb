"""The detector against other detectors; see `__main__`."""
