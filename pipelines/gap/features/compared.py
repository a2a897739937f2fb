"""Real and simulated parts in the detector's features: distance, the parts that no simulated one resembles, a map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from hybrid.data.clips import ClipSource
from hybrid.data.pixels import decode
from hybrid.model.network import Network
from pipelines.gap.features.distance import Features as Values
from pipelines.gap.features.distance import Neighbours, distance, neighbours, reduced
from pipelines.gap.features.extract import Parts, cut_out, of_parts, parts_of
from pipelines.gap.pictures import to_uri
from pipelines.gap.schema.figure import Figure, lacking, too_few
from pipelines.gap.schema.sections import Features, MapPoint, Picture
from pipelines.gap.sessions import session_weights
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import share_figure

LEAST_SESSIONS, LEAST_PARTS = 6, 50  # of a category; parts on each side
MOST_PARTS = 300  # of a category on each side
DRAWS = 500
PAIRS, OF_SESSION = 6, 2  # pictures of a category that resemble simulation least; of them from one session
POINTS, THUMBNAILS = 100, 8  # on the map, of a category and side
THUMBNAIL_PX, PAIR_PX = 48, 144
UNIT = "MMD squared"
Of = Literal["real", "stand-in"]


@dataclass(frozen=True)
class Side:
    """Frames with the session or the scene of each."""

    source: ClipSource
    units: PhotoSessions


@dataclass(frozen=True)
class Compared:
    """What the features say, and the pictures of it."""

    rows: tuple[Features, ...] = ()
    points: tuple[MapPoint, ...] = ()
    pictures: dict[str, Picture] = field(default_factory=dict)


@dataclass(frozen=True)
class _Category:
    """The parts of a category on both sides, and where they lie."""

    name: str
    real: Parts
    simulated: Parts
    at: tuple[Values, Values]  # the features of both, reduced
    near: Neighbours


def compared(network: Network, sim: Side, real: Side, word: Of, photos: bool) -> Compared:
    """Each category that has enough parts on both sides. Without `photos`, pictures of real parts are left out.

    The categories of both sources are the same, in the same order.
    """
    rows, points, pictures = list[Features](), list[MapPoint](), dict[str, Picture]()
    for label, name in enumerate(real.source.categories):
        sides = [parts_of(side.source.frames, side.units.of_frame.tolist(), label, MOST_PARTS) for side in (real, sim)]
        if missing := _missing(*sides):
            few = too_few(missing, UNIT)
            rows.append(Features(group=name, distance=few, floor=few, unlike=too_few(missing, "share")))
            continue
        at = reduced(of_parts(network, sides[0]), of_parts(network, sides[1]))
        one = _Category(name, sides[0], sides[1], at, neighbours(at[0], sides[0].units, at[1]))
        rows.append(_row(one))
        shown = dict(_pairs(one, word, photos))
        own, thumbnails = _on_map(one, word, photos)
        pictures |= shown | thumbnails
        points += own
    return Compared(tuple(rows), tuple(points), pictures)


def _missing(real: Parts, simulated: Parts) -> str:
    have = (
        (_units(real), LEAST_SESSIONS, "sessions"), (_units(simulated), LEAST_SESSIONS, "scenes"),
        (len(real), LEAST_PARTS, "parts on photos"), (len(simulated), LEAST_PARTS, "simulated parts"),
    )  # fmt: skip
    return lacking(have)


def _units(parts: Parts) -> int:
    return int(parts.units.max()) + 1 if len(parts) else 0


def _row(one: _Category) -> Features:
    found = distance(one.at[0], one.real.units, one.at[1], one.simulated.units)
    count, sessions = len(one.real), _units(one.real)
    weights = session_weights(one.real.units, DRAWS)
    drawn = weights @ one.near.unlike / np.maximum(weights.sum(1), 1)
    return Features(
        group=one.name,
        distance=Figure(
            status="measured", value=found.value, unit=UNIT, n=count, n_units=sessions, p=found.p,
            method="unbiased, Gaussian kernel of the median distance; p: whole sessions and scenes permuted",
        ),
        floor=Figure(
            status="measured", value=found.floor, unit=UNIT, n=count, n_units=sessions,
            method="95th percentile between two halves of the real sessions",
        ),
        unlike=replace(
            share_figure([float(one.near.unlike.mean())], drawn[None], sessions, "share", count), seeds=None, note=""
        ),
    )  # fmt: skip


def _pairs(one: _Category, word: Of, photos: bool) -> Iterator[tuple[str, Picture]]:
    """The real parts that resemble simulation least, each with the simulated one that is nearest."""
    taken = dict[int, int]()
    for k in np.argsort(-one.near.novelty).tolist():
        session = int(one.real.units[k])
        if taken.get(session, 0) >= OF_SESSION or sum(taken.values()) >= PAIRS:
            continue
        taken[session] = taken.get(session, 0) + 1
        key, other = f"pair-{one.name}-{k}", int(one.near.nearest[k])
        unlike = "no simulated part resembles it" if one.near.unlike[k] else "nearest simulated part beside it"
        yield f"{key}-sim", Picture(
            caption=f"simulated: {one.simulated.frames[other].name}", kind="pair", of="simulated",
            uri=_uri(one.simulated, other, PAIR_PX),
        )  # fmt: skip
        yield key, Picture(
            caption=f"{one.name}, {one.real.frames[k].name}: {unlike} (novelty {one.near.novelty[k]:.1f})",
            kind="pair", of=word, uri=_uri(one.real, k, PAIR_PX) if photos else None, pair=f"{key}-sim",
        )  # fmt: skip


def _on_map(one: _Category, word: Of, photos: bool) -> tuple[list[MapPoint], dict[str, Picture]]:
    """Points by the first two components, from 0 to 1; some have a thumbnail."""
    both = np.concatenate([values[:, :2] for values in one.at])
    low, wide = both.min(0), np.maximum(both.max(0) - both.min(0), 1e-9)
    points, pictures = list[MapPoint](), dict[str, Picture]()
    sides: tuple[tuple[Literal["simulated", "real", "stand-in"], Parts, Values], ...] = (
        ("simulated", one.simulated, one.at[1]), (word, one.real, one.at[0]),
    )  # fmt: skip
    for of, parts, values in sides:
        places = (values[:, :2] - low) / wide
        some = sorted({k * len(parts) // POINTS for k in range(POINTS)})
        spread = _spread_out(places[some], THUMBNAILS)
        for n, k in enumerate(some):
            key = f"map-{one.name}-{of}-{k}" if n in spread else None
            points.append(MapPoint(x=float(places[k, 0]), y=float(places[k, 1]), of=of, group=one.name, picture=key))
            if key is not None:
                uri = _uri(parts, k, THUMBNAIL_PX) if photos or of == "simulated" else None
                pictures[key] = Picture(
                    caption=f"{one.name}, {of}: {parts.frames[k].name}", kind="photo", of=of, uri=uri
                )
    return points, pictures


def _spread_out(places: Values, count: int) -> set[int]:
    """Points that are far from each other: the farthest from those before (T. Gonzalez, 1985)."""
    chosen = [0]
    while len(chosen) < min(count, len(places)):
        away = np.linalg.norm(places[:, None] - places[chosen][None], axis=2).min(1)
        chosen.append(int(away.argmax()))
    return set(chosen)


def _uri(parts: Parts, k: int, side_px: int) -> str:
    frame = parts.frames[k]
    return to_uri(cut_out(decode(frame), frame.boxes_xyxy_px[parts.boxes[k]].astype(float), side_px), quality=75)
