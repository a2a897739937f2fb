"""Parts or grounds: which of the two costs the detector on photos. It stays, and looks at four kinds of pictures.

The photos' parts and simulated parts are pasted on the photos' grounds and on simulated ones, all in the same way, so
that pasting costs all four alike. Nothing else differs on the photos' side, so both exchanges are causal for this
detector. They say what a difference costs today, which is the most that another simulation can win by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64

from hybrid.core.progress import Together
from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource
from hybrid.data.pixels import DecodedImages
from pipelines.gap.effects.pasting import NONE, Composer, Parts, Pictures, chosen, log_sides, parts_of
from pipelines.gap.finished import FinishedRun
from pipelines.gap.measure import content_hash, detect_made
from pipelines.gap.schema.effects import Cell, Exchange, From, Pasted
from pipelines.gap.schema.figure import Figure, not_measured
from pipelines.gap.sections.why import evenly
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.interval import LEAST_SESSIONS, difference_figure, holm, share_figure, unpaired_figure
from pipelines.gap.stats.resampled import DRAWS, Resampled, resampled

SEED = 0
VERSION = 1  # of the rules by which parts are chosen and pasted: detections of other versions are made again
MOST_PHOTOS, MOST_SCENES = 60, 30  # scenes are independent, photos of a session are not
HELD_BYTES = 2**28  # of decoded pictures
WITHIN = 2.0  # points of AP50 that pasting alone may cost or win
POINTS = "points of AP50"
Kind = tuple[From, From]  # where the parts, and where the grounds are from
KINDS: tuple[Kind, ...] = (
    ("photos", "photos"), ("simulation", "photos"), ("photos", "simulation"), ("simulation", "simulation"),
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """Some frames of a source, each as a clip of its own."""

    source: ClipSource
    pictures: Pictures
    parts: Parts
    places: tuple[int, ...]  # of the frames in the source that they are from

    @staticmethod
    def of(source: ClipSource, units: Int64[np.ndarray, " frames"], frames: Sequence[int], most: int) -> Side:
        """These frames of a source, `most` of them from all over it at the most."""
        some = [frames[k] for k in evenly(len(frames), most)]
        kept = [source.frames[k] for k in some]
        clips = tuple(Clip(f"{k} {frame.name}", (frame,)) for k, frame in enumerate(kept))
        numbers = np.unique(units[some], return_inverse=True)[1].reshape(-1).astype(np.int64)
        pictures = Pictures(kept, numbers)
        return Side(replace(source, clips=clips), pictures, parts_of(pictures), tuple(some))

    @staticmethod
    def of_scenes(source: ClipSource) -> Side:
        """The middle frame of each simulated scene."""
        lengths = [len(clip.frames) for clip in source.clips]
        middle = [end - length + length // 2 for end, length in zip(accumulate(lengths), lengths, strict=True)]
        return Side.of(source, np.repeat(np.arange(len(lengths)), lengths), middle, MOST_SCENES)

    @property
    def units(self) -> int:
        return len(np.unique(self.pictures.units))


Sides = Mapping[From, Side]


def crossed(
    run: FinishedRun, photos: ClipSource, sessions: PhotoSessions, plain: Sequence[Detections], scenes: ClipSource,
    cache: Path, show: Together | None = None,
) -> Pasted:  # fmt: skip
    """Look at the four kinds of pictures, and compare.

    Args:
        run: whose detector stays.
        photos: that it never saw, with boxes.
        sessions: of the photos.
        plain: its detections in the photos as they are.
        scenes: simulated ones that it never saw, with the same categories.
        cache: the folder of detections that were made before.
        show: the display of what is done.
    """
    sides: Sides = {
        "photos": Side.of(photos, sessions.of_frame, range(len(photos.frames)), MOST_PHOTOS),
        "simulation": Side.of_scenes(scenes),
    }
    composers, missing = composed(sides)
    titles = {kind: f"{run.folder.name}, parts of {kind[0]} on grounds of {kind[1]}" for kind in composers}
    if show is not None:
        for kind, title in titles.items():
            show.expect(title, len(sides[kind[1]].pictures.frames))
    found = {
        kind: detect_made(run, sides[kind[1]].source, cache, _key(one), one.picture, titles[kind], show)
        for kind, one in composers.items()
    }
    return section(sides, composers, found, [plain[k] for k in sides["photos"].places], missing)


def composed(sides: Sides) -> tuple[dict[Kind, Composer], str]:
    """What makes each of the four kinds of pictures; or none, and why."""
    decoded, made = DecodedImages(HELD_BYTES), dict[Kind, Composer]()
    for parts, grounds in KINDS:
        source, ground = sides[parts], sides[grounds]
        rows = chosen(ground.pictures, source.parts, parts == grounds, SEED)
        for row, frame in zip(rows, ground.pictures.frames, strict=True):
            lacking = sorted({source.source.categories[int(frame.labels[j])] for j in np.flatnonzero(row == NONE)})
            if lacking:
                unit = "session of photos" if parts == "photos" else "simulated scene"
                return {}, f"No {unit} but the picture's own shows {', '.join(lacking)}, to be pasted."
        made[parts, grounds] = Composer(ground.pictures, source.pictures, source.parts, rows, decoded)
    return made, ""


def _key(one: Composer) -> str:
    """All that the pictures depend on, but for the grounds' content."""
    units = f"{one.sources.units.tolist()} on {one.grounds.units.tolist()}"
    return f"pasted {VERSION} {SEED} {content_hash(one.sources.frames)} {units}"


def section(
    sides: Sides, composers: Mapping[Kind, Composer], found: Mapping[Kind, Sequence[Detections]],
    plain: Sequence[Detections], missing: str = "",
) -> Pasted:  # fmt: skip
    """The figures: of the detections in each kind of pictures, and in the photos as they are."""
    photos, scenes = sides["photos"], sides["simulation"]
    draws = DRAWS if photos.units >= LEAST_SESSIONS else 0

    def drawn(detections: Sequence[Detections], side: Side) -> Resampled:
        return resampled(detections, side.pictures.frames, side.pictures.units, draws)

    as_they_are = drawn(plain, photos)
    of_kind = {kind: drawn(one, sides[kind[1]]) for kind, one in found.items()}
    if not all(np.isfinite(one.ap50[0]) for one in (as_they_are, *of_kind.values())):
        missing = missing or "A side shows no labelled part."
    if missing:
        return _nothing(as_they_are, photos, missing)
    both = of_kind["photos", "photos"]
    pasting = _paired(both, as_they_are, photos)
    ground = of_kind["photos", "simulation"].ap50[None]
    exchanges = holm({
        "parts": _paired(of_kind["simulation", "photos"], both, photos),
        "grounds": unpaired_figure(ground, both.ap50[None], scenes.units, photos.units, POINTS),
    })  # fmt: skip
    if abs(pasting.value or 0.0) > WITHIN:
        why = (
            f"Pasting the photos' own parts on the photos' own grounds alone changes AP50 by {pasting.value:+.1f} "
            f"points: more than {WITHIN:g}, so nothing is said of an exchange."
        )
        exchanges = {name: not_measured(why, POINTS) for name in exchanges}
    return Pasted(
        plain=_ap50(as_they_are, photos), pasting=pasting,
        cells=tuple(
            Cell(parts=kind[0], grounds=kind[1], ap50=_ap50(one, sides[kind[1]])) for kind, one in of_kind.items()
        ),
        exchanges=_exchanges(exchanges), note=_note(sides, composers),
    )  # fmt: skip


def _nothing(as_they_are: Resampled, photos: Side, why: str) -> Pasted:
    none = not_measured(why, POINTS)
    plain = _ap50(as_they_are, photos) if np.isfinite(as_they_are.ap50[0]) else not_measured(why, "AP50")
    exchanges = _exchanges({"parts": none, "grounds": none})
    return Pasted(plain=plain, pasting=none, cells=(), note="", exchanges=exchanges)


def _exchanges(effects: Mapping[str, Figure]) -> tuple[Exchange, ...]:
    names: tuple[Literal["parts", "grounds"], ...] = ("parts", "grounds")
    return tuple(Exchange(name=name, effect=effects[name], so=_so(effects[name], name)) for name in names)


def _ap50(one: Resampled, side: Side) -> Figure:
    return share_figure([float(one.ap50[0])], one.ap50[None, 1:], side.units, "AP50", len(side.pictures.frames))


def _paired(first: Resampled, second: Resampled, side: Side) -> Figure:
    values = first.ap50 - second.ap50
    return difference_figure([float(values[0])], values[None, 1:], side.units, POINTS, len(side.pictures.frames))


def _so(effect: Figure, what: str) -> str:
    if effect.value is None or effect.p_holm is None:
        return "not known"
    if effect.p_holm >= 0.05:
        return "makes no difference that can be told"
    if effect.value > 0:
        more = "the parts" if what == "parts" else "what lies under and around the parts"
        return f"the photos' {what} cost AP today: vary {more} more in simulation"
    return f"the detector does worse with simulated {what}: the photos' {what} cost nothing"


def _note(sides: Sides, composers: Mapping[Kind, Composer]) -> str:
    factors = {
        kind: np.concatenate([_factors(one) for (parts, _), one in composers.items() if parts == kind])
        for kind in sides
    }
    scaled = " and ".join(f"{np.mean(np.exp(one) <= 1.25):.0%} of those of {kind}" for kind, one in factors.items())
    return (
        f"{len(sides['photos'].places)} photos of --look and {len(sides['simulation'].places)} simulated pictures. "
        "Over each labelled box lies a part of its category and about its size, of another session or scene, scaled "
        f"to the box, under the same soft mask for all. Scaled by less than a quarter on both sides: {scaled}."
    )


def _factors(composer: Composer) -> np.ndarray:
    """How far each part is scaled: the larger of the two sides' logarithms."""
    rows = [
        np.abs(composer.parts.log_sides[row] - log_sides(frame.boxes_xyxy_px)).max(1)
        for frame, row in zip(composer.grounds.frames, composer.rows, strict=True)
    ]
    return np.concatenate([np.zeros(0), *rows])
