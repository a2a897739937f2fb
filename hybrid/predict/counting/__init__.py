"""Counting of parts: each once, by its track, where its centre crosses a line or enters a region.

counter = Counter([CountLine.vertical(0.7)])
for result in detector.stream("belt.mp4", tracks=True):
    events = counter.update(result)
counter.finish()
counter.counts  # {"line": {"bolt": 12, "nut": 7}}

A coordinate from 0 to 1 is a share of the picture's width or height; a whole number from 2 on is in pixels. A part
counts at most once at each place, however often it crosses back and forth. A track that begins beyond a line or inside
a region does not count. A part that is hidden when it crosses counts when it is seen again beyond; if it never is, it
is told apart, as unconfirmed.
"""

from hybrid.predict.counting.counter import Counter
from hybrid.predict.counting.passages import Event
from hybrid.predict.counting.places import CountLine, Region, crossings

__all__ = ["CountLine", "Counter", "Event", "Region", "crossings"]
