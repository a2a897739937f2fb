"""Followers of parts on a line, compared on the same detections: `python -m benchmarks.line --help`."""
