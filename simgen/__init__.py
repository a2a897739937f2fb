"""Labelled frame sequences of manufactured parts, from a seed."""

__version__ = "0.1.0"
