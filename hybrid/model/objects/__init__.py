"""Queries, decoder, tracks, heads."""
