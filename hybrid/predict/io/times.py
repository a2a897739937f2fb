"""The times of a video's frames as its file states them, made to grow: a file may state none, or times that go back."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from hybrid.data.clips import Skips

JUMP_S = 0.5  # a file whose time goes back by more begins anew, as where two recordings were joined
WINDOW = 12  # frames whose median interval tells the rate
OTHER_RATE = 1.5  # ratio of two rates that are not the same


class FileTimes:
    """Times of the frames of a file in seconds. What is strange about them is added to `skips`.

    `last_s` is the time of the last frame as the file counts, `longest_s` the longest interval of two frames.
    """

    def __init__(self, rate: float, skips: Skips) -> None:
        """`rate`: frames per second, which the file states in its header."""
        self.first_s = self.last_s = math.nan
        self.longest_s = 0.0
        self._rate, self._skips = rate, skips
        self._stated_s, self._shift_s = -math.inf, 0.0
        self._intervals: deque[tuple[str, float]] = deque(maxlen=WINDOW)
        self._usual_s = 0.0

    def stamp(self, stated_s: float, name: str) -> float:
        """The time of the next frame since the first one. Where the file states none, the rate gives it."""
        if math.isnan(self.first_s):
            self.first_s = self.last_s = stated_s if math.isfinite(stated_s) else 0.0
            self._stated_s = self.first_s
            return 0.0
        by_rate_s = self.last_s + 1 / self._rate
        if math.isfinite(stated_s):
            back_s = self._stated_s - stated_s
            if back_s > 0.5 / self._rate:
                self._skips.add("time goes backwards: the frame rate is used instead", f"{name}, by {back_s:.3f} s")
            if back_s > JUMP_S:
                self._shift_s = by_rate_s - stated_s
            self._stated_s = stated_s
        shifted_s = stated_s + self._shift_s
        now_s = shifted_s if math.isfinite(shifted_s) and shifted_s > self.last_s else by_rate_s
        interval_s, self.last_s = now_s - self.last_s, now_s
        self.longest_s = max(self.longest_s, interval_s)
        self._look_at_rate(name, interval_s)
        return now_s - self.first_s

    def _look_at_rate(self, name: str, interval_s: float) -> None:
        self._intervals.append((name, interval_s))
        if len(self._intervals) < WINDOW:
            return
        now_s = median(interval for _, interval in self._intervals)
        if self._usual_s and max(now_s / self._usual_s, self._usual_s / now_s) > OTHER_RATE:
            nearer = (who for who, one in self._intervals if abs(one - now_s) < abs(one - self._usual_s))
            self._skips.add(
                "frame rate changes", f"{next(nearer, name)} from {1 / self._usual_s:.1f} to {1 / now_s:.1f} frames/s"
            )
            self._intervals.clear()
        elif self._usual_s:
            return
        self._usual_s = now_s
