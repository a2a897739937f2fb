"""Where predictions come from and go to: sources, sinks, formats."""
