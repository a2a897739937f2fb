"""Ways of training beside the detector's own."""
