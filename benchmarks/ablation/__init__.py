"""What each part of the detector earns. See `python -m benchmarks.ablation --help`."""
