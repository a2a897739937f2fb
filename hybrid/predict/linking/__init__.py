"""Tracking by detection: parts are followed from frame to frame, also while something hides them.

For networks that do not track objects themselves (`ModelConfig.tracks` = 0). Frame by frame, with a state that the
caller passes on; its size depends on the number of parts that are followed, not on the number of frames.

settings.py    what can be set
state.py       the tracks after a frame
motion/        where they are expected: filter.py, a Kalman filter for each, and what moves together; pixels.py, how far
               that was by the pixels
assignment.py  which detection shows which track
boxes.py       the whole box of a part of which a piece is hidden
existence.py   whether a part is seen, covered or gone
places.py      where parts were lost and found again, and where they were not
follow.py      one frame: all of this in turn
evidence.py    what is known of each track, as numbers for the track network
judge.py       the track network in use, and its opinion
report.py      the rows of a frame
"""

from __future__ import annotations

from hybrid.predict.linking.follow import link
from hybrid.predict.linking.judge import Judge
from hybrid.predict.linking.settings import Linking
from hybrid.predict.linking.state import Linked

__all__ = ["Judge", "Linked", "Linking", "link"]
