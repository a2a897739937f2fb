"""What the scripts share: options, runs."""
