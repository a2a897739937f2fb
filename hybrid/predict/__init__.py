"""A trained detector in use: images, video, tiles, tracks, ONNX."""
