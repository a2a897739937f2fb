"""What the detector is trained by: matching and losses."""
