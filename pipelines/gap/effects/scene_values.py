"""The values that were drawn for each simulated scene, as one number a scene and knob.

A scene is drawn again from the config of its data set. Where that gives the scene that is stored, its draws are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64

from hybrid.core.progress import Progress, Together, silent
from hybrid.data.clips import ClipSource
from pipelines.common.data import MANIFEST, data_sets
from simgen.dataset.contents import load_contents
from simgen.dataset.format.plain import from_plain
from simgen.dataset.format.reader import DataSet
from simgen.dataset.statistics.draws import KnobValue, Source, Value, is_fixed, ranges_of
from simgen.dataset.store.locations import Location
from simgen.presets.read import stored_config
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import SimgenError
from simgen.spec.knobs import Choice, LogUniform
from simgen.spec.scene import SceneSpec

TITLE = "values drawn for the scenes"
WORTH = 0.1  # of drawing a scene again, against looking at a picture
Columns = Mapping[str, Float[np.ndarray, " scenes"]]


@dataclass(frozen=True)
class SceneValues:
    """Of each scene the mean of what each knob gave for it; NaN where it was not asked."""

    columns: Columns
    sets: Int64[np.ndarray, " scenes"]  # the number of each scene's data set
    logarithmic: frozenset[str] = frozenset()  # drawn on a logarithmic scale
    left_out: tuple[str, ...] = ()
    missing: str = ""  # why no values are known; empty where they are


NO_VALUES = SceneValues({}, np.zeros(0, np.int64))


@dataclass
class _Found:
    rows: list[Mapping[str, float]] = field(default_factory=list)
    sets: list[int] = field(default_factory=list)
    logarithmic: set[str] = field(default_factory=set)
    strangers: list[str] = field(default_factory=list)


def scene_values(place: Location, source: ClipSource, show: Together | None = None) -> SceneValues:
    """What was drawn for the scenes of `source`, read from the data set, or the folder of data sets, at `place`."""
    places = data_sets(place)
    if not all((one / MANIFEST).exists() for one in places):
        return _none(source, "Needs --sim to be a data set of simgen, which holds what was drawn for each scene.")
    found = _Found()
    progress: Progress = silent
    if show is not None:
        show.expect(TITLE, len(source), WORTH)
        progress = show.piece(TITLE, len(source))
    try:
        opened = [_opened(one) for one in places]
        for done, clip in enumerate(source.clips, 1):
            number = next(k for k, one in enumerate(places) if len(places) == 1 or clip.name.startswith(f"{one.name}/"))
            _add(found, number, *opened[number], clip.name)
            progress(done, len(source), {})
    except SimgenError as error:
        return _none(source, f"What was drawn for the scenes cannot be read: {error}")
    keys = dict.fromkeys(key for row in found.rows for key in row)
    columns = {key: np.array([row.get(key, np.nan) for row in found.rows]) for key in keys}
    lines = () if not found.strangers else (
        f"{len(found.strangers)} scenes that their config does not draw any more, such as {found.strangers[0]}",
    )  # fmt: skip
    logarithmic = frozenset(found.logarithmic)
    return SceneValues(columns, np.array(found.sets, np.int64), logarithmic, lines)


def _none(source: ClipSource, why: str) -> SceneValues:
    return SceneValues({}, np.zeros(len(source), np.int64), missing=why)


def _opened(place: Location) -> tuple[DataSet, Source, Mapping[str, KnobValue]]:
    data = DataSet(place)
    config = stored_config(data.manifest.request.config)
    load_contents(data)
    varying = {key: knob for key, knob in ranges_of(config) if not is_fixed(knob)}
    return data, Source(config, data.manifest.request.seed, sample), varying


def _add(found: _Found, number: int, data: DataSet, source: Source, knobs: Mapping[str, KnobValue], name: str) -> None:
    """One scene; of one that its config does not draw, nothing is known."""
    spec = from_plain(SceneSpec, data.clip(int(name.rpartition("/")[2])).meta()["spec"])
    try:
        again = source.draws(spec.index, spec.attempt)
    except (KeyError, ValueError):
        again = None
    known = again is not None and again.spec.to_json() == spec.to_json()
    if not known:
        found.strangers.append(name)
    found.sets.append(number)
    found.rows.append({} if again is None or not known else _numbers(again.values, knobs))
    found.logarithmic |= {key for key, knob in knobs.items() if isinstance(knob, LogUniform)}


def _numbers(values: Mapping[str, Sequence[Value]], knobs: Mapping[str, KnobValue]) -> dict[str, float]:
    """The mean of each knob's values; of a choice, the share of each of its names."""
    row: dict[str, float] = {}
    for key, own in values.items():
        knob = knobs.get(key)
        if isinstance(knob, Choice):
            names = sorted(name for name, weight in knob.weights.items() if weight > 0)
            row |= {f"{key} = {name}": own.count(name) / len(own) for name in names[: 1 if len(names) == 2 else None]}
        elif knob is not None:
            row[key] = float(np.mean([float(value) for value in own]))
    return row
