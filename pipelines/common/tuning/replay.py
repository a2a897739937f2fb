"""Replay: fine-tuning mixes in the simulated data that its checkpoint learned from, so that it does not forget them.

The record of a run names its data set, the set's hash, the clips that were trained on and those that were held out. A
fine-tuned run leads to the run that it started from. The clips that were held out stay so: on some of them the run
measures what it has kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hybrid.core.config import BoxesOf
from hybrid.data.clips import ClipSource
from pipelines.common.data import REAL, data_hash, hold_out, names, note, read_all, selected, target_kind
from pipelines.common.paths import data_at
from pipelines.common.record import read_experiment
from pipelines.common.tuning.begun import Begun
from simgen.dataset.store.locations import Location, location
from simgen.spec.errors import SimgenError

SHARE = 0.5  # of the samples
NONE = "none"  # --sim none: no replay
HELD_OUT = 0.1  # of the scenes of --sim, where the checkpoint did not learn from them
FEWEST_SCENES = 10  # of which some are held out
KEPT_FRAMES = 24  # of held-out scenes, at most, to measure on what a run has kept


@dataclass(frozen=True)
class SimData:
    """A simulated data set, and which of its clips a run may draw from."""

    at: Location
    sha256: str
    trained_on: tuple[str, ...] | None = None  # None: all clips
    held_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Recorded:
    """What the record of a run says about its simulated data."""

    data: str
    sha256: str | None
    trained_on: tuple[str, ...] | None
    held_out: tuple[str, ...] = ()


def learned_from(run: Path) -> tuple[SimData | None, str]:
    """The simulated data that a run learned from, if they are there and unchanged; otherwise None, and why.

    A run of photos leads to the run that it started from, and so on.
    """
    recorded = _recorded(run)
    if recorded is None:
        return None, f"no record says what simulated data {run} learned from"
    try:
        at = location(recorded.data)
        sha256 = data_hash(at)
    except (OSError, SimgenError):
        return None, f"{run} learned from {recorded.data}, which is not there any more"
    if recorded.sha256 not in (None, sha256):
        return None, f"{run} learned from {recorded.data}, which has changed since"
    return SimData(at, sha256, recorded.trained_on, recorded.held_out), ""


def _recorded(run: Path) -> _Recorded | None:
    mixed_in: _Recorded | None = None  # of the runs on the way: what remains if the way ends
    seen: set[Path] = set()
    while run.is_dir() and run.resolve() not in seen:
        seen.add(run.resolve())
        one = read_experiment(run)
        if one is None:
            break
        if one.kind == "simulated":
            return _Recorded(one.data, one.data_sha256, one.trained_on, one.held_out)
        if mixed_in is None and one.mixed_in is not None:
            mixed_in = _Recorded(one.mixed_in, one.mixed_in_sha256, one.mixed_in_trained_on)
        if one.init is None:
            break
        run = one.init.folder
    return mixed_in


@dataclass(frozen=True)
class Mixture:
    """The simulated part of a fine-tuning."""

    data: SimData | None = None  # what is mixed in; None: nothing
    source: ClipSource | None = None  # its clips, with the detector's categories
    kept: ClipSource | None = None  # scenes of the checkpoint's own data that neither run trains on

    @property
    def photos(self) -> ClipSource | None:
        """The clips, where `--sim` names photos."""
        return self.source if self.data is not None and target_kind(self.data.at) == REAL else None


def mixture(
    option: str | None, init: Path | None, begun: Begun | None, categories: Sequence[str], boxes: BoxesOf
) -> Mixture:
    """What to mix in, and the scenes to measure on what the run keeps.

    Args:
        option: `--sim`: a folder or URL, or `none`; None: the data that the checkpoint learned from. A note says what
            is mixed in, or why nothing is.
        init: the checkpoint; None: from scratch.
        begun: the run that was begun in the folder: without `--sim` it goes on with what it has.
        categories: of the detector.
        boxes: what its boxes enclose.

    Raises:
        DataError: `--sim` is no data set, or holds no box of `categories`.
    """
    learned, why = learned_from(init) if init else (None, "")
    data = _chosen(option, learned, why, begun)
    if data is None and learned is None:
        return Mixture()
    own = read_all(learned.at, boxes=boxes) if learned else None
    scenes = _kept_scenes(own, learned) if own and learned else None
    if data is None:
        return Mixture(kept=scenes)
    same = learned is not None and learned.sha256 == data.sha256
    simulated = own if own and same else read_all(data.at, boxes=boxes)
    if not same and not _begun_whole(begun):
        data = _without_some(data, simulated)
        scenes = scenes or _kept_scenes(simulated, data)
    if option is None and not any(simulated.counts().get(name) for name in categories):
        note(f"{data.at}: shows none of {list(categories)}, so it is not mixed in")
        return Mixture(kept=scenes)
    source = selected(_drawn(simulated, data), data.at, categories, "the detector", own_only=True)
    all_of_it = same and data.trained_on is None  # a run of an earlier version: it draws from the held-out scenes too
    return Mixture(data, source, None if all_of_it else scenes)


def _begun_whole(begun: Begun | None) -> bool:
    """Whether a run was begun that draws from all of its simulated clips, as those of earlier versions do."""
    return begun is not None and begun.experiment.mixed_in_trained_on is None


def _without_some(data: SimData, simulated: ClipSource) -> SimData:
    """The data without the scenes that are held out: on them the run measures, and the gap report too."""
    if len(simulated) < FEWEST_SCENES or target_kind(data.at) == REAL:
        return data
    training, held_out = hold_out(simulated, HELD_OUT, seed=0)
    return replace(data, trained_on=names(training), held_out=names(held_out))


def share_of(option: float | None, begun: Begun | None) -> float:
    """The share of simulated samples: that of `--sim-share`, of the begun run, or SHARE."""
    if option is not None:
        return option
    return SHARE if begun is None or begun.sim_share is None else begun.sim_share


def _chosen(option: str | None, learned: SimData | None, why: str, begun: Begun | None) -> SimData | None:
    """The data of `--sim`, or by default those that the checkpoint learned from, or that the begun run has."""
    before = begun.experiment if begun else None
    if option == NONE or (option is None and before is not None and before.mixed_in is None):
        return None
    if option is None and before is None:
        if learned is not None:
            note(f"{learned.at}, which the checkpoint learned from, is mixed in; --sim {NONE} goes without")
        elif why:
            note(f"{why}: no simulated samples are mixed in, and what simulation taught may be lost. "
                 f"Pass --sim DIR with that data set, or --method wise-ft, which keeps a part, or --sim {NONE} to go "
                 "without")  # fmt: skip
        return learned
    at = data_at(option or str(before and before.mixed_in), "--sim")
    sha256 = data_hash(at)
    if learned is not None and learned.sha256 == sha256 and not _begun_whole(begun):
        return replace(learned, at=at)
    return SimData(at, sha256)


def _drawn(source: ClipSource, data: SimData) -> ClipSource:
    return source if data.trained_on is None else _named(source, data.trained_on)


def _kept_scenes(source: ClipSource, learned: SimData) -> ClipSource | None:
    """As many held-out clips as have KEPT_FRAMES frames together, but one at least; None: none was held out."""
    scenes = _named(source, learned.held_out)
    if not len(scenes):
        return None
    longest = max(len(clip.frames) for clip in scenes.clips)
    return scenes.take(min(len(scenes), max(1, KEPT_FRAMES // longest)))


def _named(source: ClipSource, names: tuple[str, ...]) -> ClipSource:
    wanted = set(names)
    return replace(source, clips=tuple(clip for clip in source.clips if clip.name in wanted))
