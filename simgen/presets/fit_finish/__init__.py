"""Fit the finishes of a preset to photographs of parts.

Scenes are rendered whose parts have any metal finish. Each simulated part then gets a weight, so that the weighted
parts look like the photographed ones. The ranges are those of the parts with the largest weights.
"""
