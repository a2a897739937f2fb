"""What runs the network for a detector in use: torch, or ONNX Runtime."""
