"""What parts look like in photographs, and the ranges of a preset's finishes that make simulated parts look so.

Scenes are drawn whose parts have any finish at all. Each simulated part then gets a weight, so that together they look
as the photographed ones do; the finishes of those that weigh most are the ranges.
"""
