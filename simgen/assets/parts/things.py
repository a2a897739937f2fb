"""Foreign things, for decoys: cables, swarf, tape, labels, cartons, spanners, gloves.

Each has FORMS shapes, which its seed draws: so a data set needs a name, a form and a size to build one again. The
models are closed solids, a metre long along their longest extent. Print is a colour at each vertex.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache, reduce

import manifold3d
import numpy as np
from jaxtyping import Float32, Float64

from simgen.assets.parts.families.solids import Solid, disc, mesh_of, polygon, principal_part
from simgen.assets.parts.mesh import Hull
from simgen.assets.parts.model import PartModel

FORMS = 8  # shapes of each kind
UNIT_MM = 1000.0
Rng = np.random.Generator
Row = tuple[Solid, tuple[Hull, ...]]
Print = Callable[[Float64[np.ndarray, "v 3"], Rng], Float32[np.ndarray, "v 3"]]


def thing_model(kind: str, form: int, longest_m: float) -> PartModel:
    """The model of a thing.

    Args:
        kind: a row of THINGS.
        form: which of its shapes, 0 to FORMS - 1.
        longest_m: its longest extent.

    Raises:
        KeyError: there is no such thing.
    """
    return _unit_model(kind, form).scaled(longest_m)


@cache
def _unit_model(kind: str, form: int) -> PartModel:
    rng = np.random.default_rng([len(kind), *kind.encode(), form])
    solid, hulls = THINGS[kind](rng)
    longest_mm = max(high - low for low, high in zip(solid.bounding_box()[:3], solid.bounding_box()[3:], strict=True))
    scale = UNIT_MM / longest_mm
    mesh = mesh_of(solid.scale((scale, scale, scale)))
    model = principal_part(mesh, tuple(Hull(one.points_m * scale) for one in hulls), rests_by_hull=True)
    if kind not in PRINTED:
        return model
    return replace(model, colours=PRINTED[kind](model.vertices_m, rng))


def _chain(sections: list[Solid]) -> Row:
    """The union of the convex hulls of each two successive sections, and these hulls."""
    links = [manifold3d.Manifold.batch_hull(list(pair)) for pair in itertools.pairwise(sections)]
    hulls = tuple(Hull(mesh_of(link).vertices_m) for link in links)
    return manifold3d.Manifold.batch_boolean(links, manifold3d.OpType.Add), hulls


def _path(rng: Rng, count: int, bend_rad: float) -> Float64[np.ndarray, "n 2"]:
    """A smooth path of so many points in a plane, with steps of 10 mm, whose direction changes steadily."""
    turns = np.convolve(rng.normal(0.0, bend_rad, count + 4), np.full(5, 0.45), mode="valid")
    angles = np.cumsum(turns)
    return np.cumsum(10.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1), axis=0)


def _cable(rng: Rng) -> Row:
    radius_mm = rng.uniform(2.0, 5.0)
    ball = manifold3d.Manifold.sphere(radius_mm, 14)
    return _chain([ball.translate((x, y, radius_mm)) for x, y in _path(rng, 14, 0.5)])


def _swarf(rng: Rng) -> Row:
    """A curled chip: a thin ribbon along a helix."""
    radius_mm, rise_mm, count = rng.uniform(6, 14), rng.uniform(2.0, 4.5), int(rng.integers(16, 30))
    ribbon = manifold3d.Manifold.cube((1.0, 0.6, rng.uniform(2.5, 5.0)), True)
    angles = np.degrees(0.55) * np.arange(count)
    grows = 1 + rng.uniform(0, 0.04) * np.arange(count)
    moved = [
        ribbon.translate((0, radius_mm * grow, rise_mm * k)).rotate((0, 0, angle))
        for k, (angle, grow) in enumerate(zip(angles, grows, strict=True))
    ]
    solid, hulls = _chain(moved)
    return solid, hulls[::2] if len(hulls) > 14 else hulls


def _tape(rng: Rng) -> Row:
    """A torn strip of tape, lying in waves."""
    width_mm = rng.uniform(12, 25)
    strip = manifold3d.Manifold.cube((0.5, width_mm, 0.6), True)
    heights = rng.uniform(0, 5, 9)
    return _chain([strip.translate((9.0 * k, 0, height)) for k, height in enumerate(heights)])


def _roll(rng: Rng) -> Row:
    """A roll of tape."""
    outer_mm, width_mm = rng.uniform(60, 110), rng.uniform(12, 50)
    outline = disc(outer_mm, segments=40) - disc(outer_mm * rng.uniform(0.55, 0.75), segments=40)
    return _one(outline.extrude(width_mm))


def _label(rng: Rng) -> Row:
    """A printed label or a small card."""
    size_mm = (rng.uniform(30, 90), rng.uniform(18, 55), 0.8)
    return _one(manifold3d.Manifold.cube(size_mm).refine_to_length(3.5))


def _carton(rng: Rng) -> Row:
    size_mm = tuple(rng.uniform(30, 110, 3) * [1.0, 0.8, 0.6])
    return _one(manifold3d.Manifold.cube(size_mm).refine_to_length(max(size_mm) / 18))


def _spanner(rng: Rng) -> Row:
    """An open-ended spanner."""
    jaw_mm, length_mm = rng.uniform(8, 19), rng.uniform(90, 180)
    shank = polygon(np.array([[0, -0.4], [1, -0.3], [1, 0.3], [0, 0.4]]) * [length_mm, jaw_mm])
    outline = shank
    for x_mm, side, flats_mm in ((0.0, -1, jaw_mm), (length_mm, 1, 0.85 * jaw_mm)):
        head, mouth = disc(2.1 * flats_mm, x_mm, segments=32), np.array([[0.2, -0.5], [2, -0.5], [2, 0.5], [0.2, 0.5]])
        cut = polygon((mouth * [side, 1] * flats_mm)[::side]).rotate(15).translate((x_mm, 0))
        outline = (outline + head) - cut
    solid = outline.extrude(rng.uniform(4, 8))
    return solid, (*_boxes(solid, 6),)


def _glove(rng: Rng) -> Row:
    """A glove that lies flat: a palm, a cuff and five fingers."""
    ball = manifold3d.Manifold.sphere(9.0, 12).scale((1, 1, 0.7))
    palm = manifold3d.Manifold.batch_hull(
        [ball.translate((x, y, 0)) for x, y in ((0, -28), (0, 28), (70, -32), (70, 32))]
    )
    fingers = []
    for y_mm, length_mm in zip((-30.0, -10.0, 10.0, 30.0), (55, 70, 75, 62), strict=True):
        bend_mm = rng.uniform(-14, 14)
        fingers.append(_hull_of(ball, [(68.0, y_mm), (68.0 + length_mm, y_mm + bend_mm)]))
    fingers.append(_hull_of(ball, [(20.0, -26.0), (55 + rng.uniform(-10, 15), -70.0)]))
    pieces = [palm, *fingers]
    solid = reduce(lambda a, b: a + b, pieces)
    return solid, tuple(_points(piece) for piece in pieces)


def _hull_of(ball: Solid, centres_mm: list[tuple[float, float]]) -> Solid:
    return manifold3d.Manifold.batch_hull([ball.translate((x, y, 0)) for x, y in centres_mm])


def _points(solid: Solid) -> Hull:
    return Hull(mesh_of(solid.hull()).vertices_m)


def _one(solid: Solid) -> Row:
    """A solid whose collision shape is its convex hull."""
    return solid, (_points(solid),)


def _boxes(solid: Solid, count: int) -> list[Hull]:
    """The convex hulls of slices across x."""
    low, high = solid.bounding_box()[0], solid.bounding_box()[3]
    edges = np.linspace(low, high, count + 1)
    size = 2 * (high - low)
    slices = [
        solid ^ manifold3d.Manifold.cube((b - a, size, size)).translate((a, -size / 2, -size / 2))
        for a, b in itertools.pairwise(edges)
    ]
    return [_points(one) for one in slices if not one.is_empty()]


def _bars(positions_m: Float64[np.ndarray, "v 3"], rng: Rng) -> Float32[np.ndarray, "v 3"]:
    """Dark bars and lines of text on light paper."""
    paper, ink = rng.uniform(0.55, 0.9), rng.uniform(0.01, 0.12)
    x, y = positions_m[:, 0], positions_m[:, 1]
    cells = rng.uniform(size=(24, 10)) < 0.45
    inside = cells[(24 * (x - x.min()) / np.ptp(x)).astype(int) % 24, (10 * (y - y.min()) / np.ptp(y)).astype(int) % 10]
    return np.repeat(np.where(inside, ink, paper)[:, None], 3, axis=1).astype(np.float32)


def _fields(positions_m: Float64[np.ndarray, "v 3"], rng: Rng) -> Float32[np.ndarray, "v 3"]:
    """Fields of three colours, as printed packaging has."""
    colours = rng.uniform(0.02, 0.8, (3, 3))
    share = (positions_m - positions_m.min(0)) / np.ptp(positions_m, axis=0)
    field = np.zeros(len(share), int)
    for k in (1, 2):
        axis, start, width = int(rng.integers(3)), rng.uniform(0, 0.7), rng.uniform(0.1, 0.4)
        field[(share[:, axis] > start) & (share[:, axis] < start + width)] = k
    return colours[field].astype(np.float32)


THINGS: dict[str, Callable[[Rng], Row]] = {
    "cable": _cable,
    "carton": _carton,
    "glove": _glove,
    "label": _label,
    "roll": _roll,
    "spanner": _spanner,
    "swarf": _swarf,
    "tape": _tape,
}
PRINTED: dict[str, Print] = {"carton": _fields, "label": _bars}
