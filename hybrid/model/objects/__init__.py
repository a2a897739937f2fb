"""From maps to objects: queries, decoder, tracks, heads."""
