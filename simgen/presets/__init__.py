"""YAML presets: read, laid over each other, checked, explained. `fit_camera` and `fit_finish` write them."""
