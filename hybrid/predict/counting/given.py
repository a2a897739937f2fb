"""Lines and regions as a user gives them: in the words of an option, or in a YAML file.

lines:
  exit: 0.7                                       # as the option takes it
  entry: {x: 0.2, direction: forward}             # or y; left to right, or downwards
  lane: {points: [[0.1, 0.2], [0.9, 0.8]], direction: backward}
regions:
  tray: [0.2, 0.3, 0.6, 0.9]                      # two corners
  table: {points: [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hybrid.core.errors import ConfigError
from hybrid.predict.counting.passages import Point
from hybrid.predict.counting.places import DIRECTIONS, CountLine, Place, Region
from simgen.spec.text.printable import printable
from simgen.spec.text.yaml_text import read_tree

NUMBER = re.compile(r"[+-]?(\d{1,9}(\.\d{0,9})?|\.\d{1,9})")
MOST_PLACES = 100
MOST_POINTS = 1000
LONGEST_NAME = 60
LINE_FORMS = "a number such as 0.7 (x), y:0.7, two points such as 0.1,0.2,0.9,0.8, each with :forward or :backward if"
LINE_FORMS += " only one direction counts, or a .yaml file"


def given_places(lines: Sequence[str], regions: Sequence[str] = ()) -> list[Place]:
    """The places of the options --count-line and --count-region.

    Args:
        lines: a number is an x, `y:0.7` a y, and four numbers are two points. `:forward` or `:backward` may follow. A
            file that ends in .yaml or .yml holds named lines and regions.
        regions: four numbers are two corners, six or more are points; or such a file.

    Raises:
        ConfigError: a text is none of these, or too many came. Names it, in a file with the line.

    >>> [place.name for place in given_places(["0.7", "y:0.5:forward"], ["0.1,0.2,0.5,0.9"])]
    ['line', 'line 2', 'region']
    """
    places: list[Place] = []
    for texts, option, read in ((lines, "--count-line", _line), (regions, "--count-region", _region)):
        number = 0
        for text in texts:
            if text.lower().endswith((".yaml", ".yml")):
                places += places_in(Path(text))
                continue
            number += 1
            name = option.removeprefix("--count-") + (f" {number}" if number > 1 else "")
            places.append(_named(f"{option} {printable(text)}", read, name, text))
    _check_number(len(places), "the options")
    return places


def given_area(text: str) -> Region:
    """The area of the option --area: two corners, or three or more points.

    Raises:
        ConfigError: the text is neither.

    >>> given_area("0.1,0.2,0.5,0.9").points_xy[0]
    (0.1, 0.2)
    """
    region = _named(f"--area {printable(text)}", _region, "area", text)
    assert isinstance(region, Region)
    return region


def places_in(path: Path) -> list[Place]:
    """The lines and regions of a YAML file, see the module.

    Raises:
        ConfigError: it cannot be read, or holds something else. Names the line.
    """
    tree = read_tree(path)
    if not tree.values or set(tree.values) - {"lines", "regions"}:
        came = ", ".join(map(printable, map(str, tree.values))) or "nothing"
        raise ConfigError(f"{tree.where(())}: needs 'lines:' or 'regions:' with a name for each, got {came:.100}")
    places: list[Place] = []
    for group, read in (("lines", _line), ("regions", _region)):
        named = tree.values.get(group, {})
        if not isinstance(named, dict):
            raise ConfigError(f"{tree.where((group,))}: {group} needs a name for each, such as 'exit: 0.7'")
        for name, value in named.items():
            places.append(_named(tree.where((group, name)), read, printable(str(name)), value))
    _check_number(len(places), str(path))
    return places


# ------------------------------------------------------------------------------------------------ internals


def _check_number(count: int, where: str) -> None:
    if count > MOST_PLACES:
        raise ConfigError(f"{where}: {count} lines and regions; at most {MOST_PLACES} are counted at")


def _named(where: str, read: Callable[[str, Any], Place], name: str, value: Any) -> Place:
    try:
        if not 0 < len(name) <= LONGEST_NAME:
            raise ConfigError(f"a name has 1 to {LONGEST_NAME} letters, got {len(name)}")
        return read(name, value)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _line(name: str, value: Any) -> CountLine:
    direction = "both"
    if isinstance(value, dict):
        _check_keys(value, {"x", "y", "points", "direction"})
        direction = value.get("direction", "both")
        if not isinstance(direction, str):
            raise ConfigError(f"no direction {direction!r:.40}; there are {', '.join(DIRECTIONS)}")
        given = [key for key in ("x", "y", "points") if key in value]
        if len(given) != 1:
            raise ConfigError("a line has one of x, y and points")
        axis, numbers = given[0], _numbers(value[given[0]])
    else:
        text = str(value)
        head, colon, last = text.rpartition(":")
        if colon and last in DIRECTIONS:
            text, direction = head, last
        axis, _, rest = text.rpartition(":")
        numbers = _numbers(rest if isinstance(value, str) else value)
        axis = axis or ("x" if len(numbers) == 1 else "points")
    if axis in ("x", "y") and len(numbers) == 1:
        return (CountLine.vertical if axis == "x" else CountLine.horizontal)(numbers[0], name, direction)
    if axis != "points" or len(numbers) != 4:
        raise ConfigError(f"is no line; it needs {LINE_FORMS}")
    return CountLine((numbers[0], numbers[1]), (numbers[2], numbers[3]), name, direction)


def _region(name: str, value: Any) -> Region:
    if isinstance(value, dict):
        _check_keys(value, {"points"})
        value = value.get("points")
    numbers = _numbers(value)
    if len(numbers) == 4:
        x0, y0, x1, y1 = numbers
        return Region.rectangle(x0, y0, x1, y1, name)
    if not 6 <= len(numbers) <= 2 * MOST_POINTS or len(numbers) % 2:
        raise ConfigError("is no region; it needs two corners such as 0.2,0.3,0.6,0.9, or three or more points")
    points: list[Point] = list(zip(numbers[::2], numbers[1::2], strict=True))
    return Region(tuple(points), name)


def _check_keys(value: dict[str, Any], known: set[str]) -> None:
    if others := sorted(set(map(str, value)) - known):
        raise ConfigError(f"no key {printable(others[0])!r}; there are {', '.join(sorted(known))}")


def _numbers(value: Any) -> list[float]:
    """The numbers of a text with commas, of a number, or of a list of numbers or points; none where it is another."""
    if isinstance(value, str):
        pieces = [piece.strip() for piece in value.split(",")]
        return [float(piece) for piece in pieces] if all(map(NUMBER.fullmatch, pieces)) else []
    if isinstance(value, list):
        parts = [_numbers(one) for one in value]
        return [number for part in parts for number in part] if all(parts) else []
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**9
    return [float(value)] if is_number else []
