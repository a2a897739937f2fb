"""Lines and regions of a picture, and whether a way crosses them.

A coordinate from 0 to 1 is a share of the picture's width or height; a whole number from 2 on is in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hybrid.core.errors import ConfigError
from hybrid.predict.counting.passages import Number, Point

DIRECTIONS = {"both": (1, -1), "forward": (1,), "backward": (-1,)}
Size = tuple[int, int]  # height and width in pixels


@dataclass(frozen=True)
class CountLine:
    """A line from one point to another. A part counts where its centre crosses it.

    `direction`: both, forward or backward. Forward is from the left of the line to its right, for one who looks from
    its start to its end: left to right over `vertical`, downwards over `horizontal`.

    Raises:
        ConfigError: a coordinate or the direction is impossible, or the points are one.
    """

    start_xy: Point
    end_xy: Point
    name: str = "line"
    direction: str = "both"

    def __post_init__(self) -> None:
        _check_points(self.name, (self.start_xy, self.end_xy))
        if self.start_xy == self.end_xy:
            raise ConfigError(f"{self.name}: a line needs two points that differ, got {self.start_xy} twice")
        if self.direction not in DIRECTIONS:
            raise ConfigError(f"{self.name}: no direction {self.direction!r}; there are {', '.join(DIRECTIONS)}")

    @classmethod
    def vertical(cls, x: Number, name: str = "line", direction: str = "both") -> CountLine:
        """The line over the whole height of the picture at x."""
        return cls((x, 1.0), (x, 0.0), name, direction)

    @classmethod
    def horizontal(cls, y: Number, name: str = "line", direction: str = "both") -> CountLine:
        """The line over the whole width of the picture at y."""
        return cls((0.0, y), (1.0, y), name, direction)

    def points_px(self, size_hw_px: Size) -> tuple[Point, ...]:
        """Its ends in a picture of this size."""
        return tuple(_in_pixels(point, size_hw_px) for point in (self.start_xy, self.end_xy))

    def passed(self, before_xy_px: Point, after_xy_px: Point, size_hw_px: Size) -> int:
        """1 where the straight way crosses the line forward, -1 backward, 0 where it does not.

        What is on the line counts as beyond it. Where a way crosses outside the picture, the nearest point of the
        picture decides.
        """
        start, end = self.points_px(size_hw_px)
        from_left, to_left = _left_of(start, end, before_xy_px), _left_of(start, end, after_xy_px)
        if (from_left > 0) == (to_left > 0):
            return 0
        share = from_left / (from_left - to_left)
        height, width = size_hw_px
        x, y = (a + share * (b - a) for a, b in zip(before_xy_px, after_xy_px, strict=True))
        x, y = min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))
        along_x, along_y = end[0] - start[0], end[1] - start[1]
        place = ((x - start[0]) * along_x + (y - start[1]) * along_y) / (along_x**2 + along_y**2)
        if not -1e-9 <= place <= 1 + 1e-9:
            return 0
        return 1 if from_left > 0 else -1

    def is_outside(self, size_hw_px: Size) -> bool:
        """Whether no part of it is inside the picture; its edge is not."""
        return _is_outside(self.points_px(size_hw_px), size_hw_px)

    @property
    def counts_as(self) -> tuple[int, ...]:
        return DIRECTIONS[self.direction]


@dataclass(frozen=True)
class Region:
    """A polygon. A part counts where its centre enters it, also where it is through it before the next frame.

    Raises:
        ConfigError: a coordinate is impossible, or there are fewer than three points.
    """

    points_xy: tuple[Point, ...]
    name: str = "region"

    def __post_init__(self) -> None:
        if len(self.points_xy) < 3:
            raise ConfigError(f"{self.name}: a region needs three points or more, got {len(self.points_xy)}")
        _check_points(self.name, self.points_xy)

    @classmethod
    def rectangle(cls, x0: Number, y0: Number, x1: Number, y1: Number, name: str = "region") -> Region:
        """The region between two corners."""
        return cls(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), name)

    def points_px(self, size_hw_px: Size) -> tuple[Point, ...]:
        """Its corners in a picture of this size."""
        return tuple(_in_pixels(point, size_hw_px) for point in self.points_xy)

    def holds(self, points_xy_px: Iterable[Point], size_hw_px: Size) -> list[bool]:
        """Whether each point is inside.

        >>> Region.rectangle(0.5, 0, 1, 1).holds([(60, 10), (40, 10)], (48, 100))
        [True, False]
        """
        corners = self.points_px(size_hw_px)
        return [_inside(corners, point) for point in points_xy_px]

    def passed(self, before_xy_px: Point, after_xy_px: Point, size_hw_px: Size) -> int:
        """1 where the straight way enters the region, -1 where it leaves it, else 0."""
        corners = self.points_px(size_hw_px)
        if _inside(corners, before_xy_px):
            return 0 if _inside(corners, after_xy_px) else -1
        edges = pairwise((*corners, corners[0]))
        crosses = _inside(corners, after_xy_px) or any(_meet(*edge, before_xy_px, after_xy_px) for edge in edges)
        return int(crosses)

    def is_outside(self, size_hw_px: Size) -> bool:
        """Whether no part of it is inside the picture."""
        return _is_outside(self.points_px(size_hw_px), size_hw_px)

    @property
    def counts_as(self) -> tuple[int, ...]:
        return (1,)


Place = CountLine | Region


def crossings(track: Iterable[tuple[int, Number, Number]], place: Place, size_hw_px: Size) -> int | None:
    """The frame in which a track counts; None: it does not.

    Args:
        track: (frame, x, y) of its centre in pixels where it is seen, in order.
        place: a line or a region.
        size_hw_px: of the picture, for coordinates that are shares of it.

    >>> crossings([(0, 60.0, 9.0), (1, 69.0, 9.0), (4, 81.0, 9.0)], CountLine.vertical(0.7), (48, 100))
    4
    """
    net = 0
    for (_, *before), (frame, *after) in pairwise(track):
        net += place.passed((before[0], before[1]), (after[0], after[1]), size_hw_px)
        if net in place.counts_as:
            return frame
    return None


# ------------------------------------------------------------------------------------------------ internals


def _check_points(name: str, points: Sequence[Point]) -> None:
    for value in (value for point in points for value in point):
        if not (0 <= value <= 1 or (value > 1 and math.isfinite(value) and value == int(value))):
            raise ConfigError(
                f"{name}: {value:g} is no coordinate: a share of the picture is from 0 to 1, pixels are whole numbers"
            )


def _is_outside(points: Sequence[Point], size_hw_px: Size) -> bool:
    """Whether all points are beyond one edge of the picture, or on it. A slanted line by a corner may seem inside."""
    height, width = size_hw_px
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return max(xs) <= 0 or min(xs) >= width or max(ys) <= 0 or min(ys) >= height


def _in_pixels(point: Point, size_hw_px: Size) -> Point:
    height, width = size_hw_px
    x, y = point
    return (x * width if x <= 1 else x, y * height if y <= 1 else y)


def _left_of(start: Point, end: Point, point: Point) -> Number:
    """Above 0 where the point is left of the line, for one who looks from its start to its end. The y axis is down."""
    return (end[1] - start[1]) * (point[0] - start[0]) - (end[0] - start[0]) * (point[1] - start[1])


def _meet(start: Point, end: Point, before: Point, after: Point) -> bool:
    """Whether two straight ways cross."""
    apart = (_left_of(start, end, before) > 0) != (_left_of(start, end, after) > 0)
    return apart and (_left_of(before, after, start) > 0) != (_left_of(before, after, end) > 0)


def _inside(corners: Sequence[Point], point: Point) -> bool:
    """Whether a ray to the right of the point crosses the polygon's edge an odd number of times."""
    x, y = point
    inside = False
    for (x0, y0), (x1, y1) in pairwise((*corners, corners[0])):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside
