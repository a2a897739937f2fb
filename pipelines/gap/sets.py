"""The data sets of a report: what the runs are measured on, never what one of them was trained on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from hybrid.core.config import BoxesOf
from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource, FrameRecord
from hybrid.data.shared import digests
from pipelines.common.data import (
    MANIFEST,
    REAL,
    STAND_IN,
    data_hash,
    data_sets,
    is_yolo,
    note,
    read,
    read_all,
    read_pictures,
    selected,
    split_to_measure,
    target_kind,
    with_categories,
    with_regions,
)
from pipelines.common.record import DataKind
from pipelines.gap.finished import FinishedRun
from simgen.dataset.store.locations import Location, location

NO_LABELS = (
    "The photos have no labels: AP, recall, kinds of errors, false alarms and the gap are left out. What stands is how "
    "the photos look beside simulation"
)


@dataclass(frozen=True)
class ReportInputs:
    """Where the data of a report are, as the command line gives them."""

    sim: Location
    target: Location  # --real: photos, or a stand-in for them
    look: Location | None = None  # photos beside the test: to look at, and to choose on
    sim_clips: int = 40  # simulated clips to measure on; 0: all
    stand_in: bool = False  # call the target a stand-in, whatever it is
    categories: tuple[str, ...] = ()  # to measure; empty: all that the target labels
    rename: tuple[tuple[str, str], ...] = ()  # of the photos' categories: (theirs, the runs')


@dataclass(frozen=True)
class ReportSets:
    """The data sets of a report, read. All have the same categories in the same order."""

    sim: ClipSource
    target: ClipSource
    sim_images: ClipSource  # whose images are compared with those of `target_images`
    target_images: ClipSource
    word: DataKind  # what the target is called: real or stand-in
    note: str  # which simulated clips `sim` holds
    target_note: str = ""  # which clips of the target were left out

    @property
    def labelled(self) -> bool:
        """Whether the target has labels, so that detections can be judged."""
        return any(len(frame.labels) for frame in self.target.frames)


def read_sets(inputs: ReportInputs, runs: Sequence[FinishedRun]) -> ReportSets:
    """Read the data sets, without the simulated clips that one of the runs was trained on.

    Images are compared inside boxes, so their boxes are of the visible parts, also where the runs predict whole ones.

    Raises:
        DataError: a set cannot be read, a run was trained on the target or on all simulated clips, or the runs' boxes
            differ in meaning.
    """
    if is_pictures(inputs.target):
        return _without_labels(inputs, runs)
    split, boxes = split_to_measure(inputs.target), _boxes(runs)
    labelled = renamed(read_all(inputs.target, split, boxes), inputs.rename, inputs.target)
    chosen = selected(labelled, inputs.target, inputs.categories or None, "--categories")
    everything = known_to(borne(chosen), inputs.target, runs)
    refuse_unknown(everything, runs)
    refuse_trained_on(everything, inputs.target, runs, split)
    target, target_note = without_photos_of(everything, inputs.target, runs)
    rendered = not_blamed_for_others(read_all(inputs.sim, boxes=boxes), target.categories)
    all_sim = selected(rendered, inputs.sim, target.categories, inputs.target)
    sim, sim_note = without_trained_on(all_sim, inputs.sim, runs)
    if 0 < inputs.sim_clips < len(sim):
        sim, sim_note = sim.take(inputs.sim_clips), f"{sim_note}; {inputs.sim_clips} of them measured"
    visible = boxes == "visible"
    sim_images = all_sim if visible else read(inputs.sim, target.categories, named_by=inputs.target)
    target_images = target if inputs.look is None else read_pool(inputs.look, inputs, target.categories)
    word = STAND_IN if inputs.stand_in else target_kind(inputs.target)
    return ReportSets(sim, target, sim_images, target_images, word, sim_note, target_note)


def is_pictures(data: Location) -> bool:
    """Whether it is a folder of pictures without labels: no YOLO folder, and no data set."""
    if not isinstance(data, Path) or not data.is_dir() or is_yolo(data):
        return False
    return not (data_sets(data)[0] / MANIFEST).exists()


def _without_labels(inputs: ReportInputs, runs: Sequence[FinishedRun]) -> ReportSets:
    """The sets where the photos to measure on have no labels: only how they look can be compared."""
    all_sim = read_all(inputs.sim, boxes=_boxes(runs))
    known = [name for name in all_sim.categories if all(name in run.categories for run in runs)]
    if not known:
        raise DataError(f"{inputs.sim}: labels {list(all_sim.categories)}, none of which all runs know")
    all_sim = selected(all_sim, inputs.sim, known, "--runs")
    sim, sim_note = without_trained_on(all_sim, inputs.sim, runs)
    if 0 < inputs.sim_clips < len(sim):
        sim, sim_note = sim.take(inputs.sim_clips), f"{sim_note}; {inputs.sim_clips} of them measured"
    assert isinstance(inputs.target, Path), "pictures are in a folder"
    target = read_pictures(inputs.target, known)
    target_images = target if inputs.look is None else read_pool(inputs.look, inputs, known)
    return ReportSets(sim, target, all_sim, target_images, REAL, sim_note, NO_LABELS)


def read_pool(data: Location, inputs: ReportInputs, categories: Sequence[str]) -> ClipSource:
    """The photos beside the test photos: labelled ones, or a folder of pictures without labels.

    Raises:
        DataError: nothing there can be used.
    """
    if is_pictures(data):
        assert isinstance(data, Path), "pictures are in a folder"
        return read_pictures(data, categories)
    pool = renamed(read_all(data), inputs.rename, data, strict=False)
    return selected(pool, data, categories, inputs.target)


def renamed(source: ClipSource, names: Sequence[tuple[str, str]], data: Location, strict: bool = True) -> ClipSource:
    """`source` with other names for its categories; two that get the same name become one.

    Raises:
        DataError: `strict`, and it has no category of such a name.
    """
    for old, _ in names:
        if strict and old not in source.categories:
            raise DataError(f"--rename {old}: {data} has no such category; it has {list(source.categories)}")
    new = tuple(dict(names).get(name, name) for name in source.categories)
    if new == source.categories:
        return source
    kept = tuple(dict.fromkeys(new))
    label = np.array([kept.index(name) for name in new], np.int64)
    clips = [replace(clip, frames=tuple(_numbered(frame, label) for frame in clip.frames)) for clip in source.clips]
    return replace(source, categories=kept, clips=tuple(clips))


def _numbered(frame: FrameRecord, label: Int64[np.ndarray, " c"]) -> FrameRecord:
    """The frame with new numbers of its labels; regions to ignore of every category stay so."""
    regions = np.append(label, -1)[frame.ignore_labels]
    return replace(frame, labels=label[frame.labels], ignore_labels=regions)


def not_blamed_for_others(source: ClipSource, categories: Sequence[str]) -> ClipSource:
    """`source` with a region to ignore where each box of another category lies.

    These boxes are not compared. What a detector finds there is neither right nor a false alarm on the background.
    """
    others = [k for k, name in enumerate(source.categories) if name not in categories]
    if not others:
        return source
    clips = [replace(one, frames=tuple(_ignoring(frame, others) for frame in one.frames)) for one in source.clips]
    return replace(source, clips=tuple(clips))


def _ignoring(frame: FrameRecord, others: Sequence[int]) -> FrameRecord:
    """The frame with a region to ignore, of every category, for each box of one of these."""
    boxes = frame.boxes_xyxy_px[np.isin(frame.labels, others)]
    return with_regions(frame, boxes, np.full(len(boxes), -1, np.int64))


def known_to(source: ClipSource, data: Location, runs: Sequence[FinishedRun]) -> ClipSource:
    """`source` without the categories that no run knows. A note counts them, and suggests how to spell them.

    Raises:
        DataError: no run knows any of them.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.categories))
    foreign = [name for name in source.categories if name not in known]
    if not foreign or not runs:
        return source
    hint = _spelling(foreign, known)
    if len(foreign) == len(source.categories):
        raise DataError(f"{data}: labels {foreign}, which no run was trained on (they know {known}){hint}")
    counts = source.counts()
    listed = ", ".join(f"{counts[name]} of {name!r}" for name in foreign)
    note(f"{data}: boxes left out, since no run was trained on such: {listed}{hint}")
    return with_categories(source, [name for name in source.categories if name in known])


def _spelling(foreign: Sequence[str], known: Sequence[str]) -> str:
    """Which of the names may be other spellings of known ones."""
    folded = {name.casefold(): name for name in known}
    pairs = []
    for name in foreign:
        close = get_close_matches(name.casefold(), list(folded), 1)
        pairs += [f"{name}={folded[close[0]]}"] if close else []
    return f"; other spellings? --rename {shlex.join(pairs)}" if pairs else ""


def borne(source: ClipSource) -> ClipSource:
    """`source` without the categories that no box bears: nothing can be measured of them."""
    return with_categories(source, [name for name, count in source.counts().items() if count])


def _boxes(runs: Sequence[FinishedRun]) -> BoxesOf:
    """Whether the runs predict boxes of the visible part or of the whole object.

    Raises:
        DataError: they differ, so that no ground truth would be fair to all of them.
    """
    meanings = {run.model.boxes for run in runs}
    if len(meanings) > 1:
        listed = ", ".join(f"{run.folder.name}: {run.model.boxes}" for run in runs)
        raise DataError(f"boxes of these runs go round different things ({listed}): make a report for each kind")
    return meanings.pop() if meanings else "visible"


def with_labels_of(source: ClipSource, run: FinishedRun) -> ClipSource:
    """`source` with its labels numbered as the run's detector numbers them.

    Raises:
        DataError: the detector does not know one of the categories.
    """
    refuse_unknown(source, [run])
    return with_categories(source, run.categories)


def refuse_unknown(source: ClipSource, runs: Sequence[FinishedRun]) -> None:
    """Check that every run was trained on all categories of `source`.

    Raises:
        DataError: one was not.
    """
    for run in runs:
        missing = [name for name in source.categories if name not in run.categories]
        known = [name for name in source.categories if name in run.categories]
        if missing:
            remedy = f"; to measure the others alone: --categories {shlex.join(known)}" if known else ""
            raise DataError(
                f"{source.name}: labels {missing}, which {run.folder} was not trained on (it knows "
                f"{list(run.categories)}){remedy}"
            )


def refuse_trained_on(source: ClipSource, data: Location, runs: Sequence[FinishedRun], split: str = "train") -> None:
    """Check that no run was trained on a clip of `source`, which was read from `data`.

    Raises:
        DataError: one was.
    """
    for run in runs:
        clips = trained_on(run, source, data, split)
        if clips:
            raise DataError(f"{data}: {run.folder} trained on {len(clips)} of its clips: it cannot be measured there")


def without_photos_of(source: ClipSource, data: Location, runs: Sequence[FinishedRun]) -> tuple[ClipSource, str]:
    """The clips of `source` that show no photo that a run was trained on, under whatever name; a note on the others.

    Raises:
        DataError: none is left.
    """
    known = {digest for run in runs for one in run.lineage for digest in _recorded(one)}
    if not known:
        return source, ""
    copies = [clip for clip in source.clips if any(known & set(digests(frame)) for frame in clip.frames)]
    if not copies:
        return source, ""
    text = f"{len(copies)} of {len(source)} were trained on under another name and are left out"
    if len(copies) == len(source):
        raise DataError(f"{data}: all of its {len(source)} photos were trained on, under other names")
    note(f"{data}: {text}, such as {copies[0].name}")
    left_out = {clip.name for clip in copies}
    return replace(source, clips=tuple(clip for clip in source.clips if clip.name not in left_out)), text


def _recorded(run: FinishedRun) -> tuple[str, ...]:
    return () if run.experiment is None else run.experiment.photo_digests or ()


def without_trained_on(source: ClipSource, data: Location, runs: Sequence[FinishedRun]) -> tuple[ClipSource, str]:
    """The clips of a simulated set that no run was trained on, and a note that says which they are.

    Raises:
        DataError: none is left.
    """
    trained = set().union(*(trained_on(run, source, data) for run in runs))
    free = [clip.name for clip in source.clips if clip.name not in trained]
    if not free:
        raise DataError(f"{data}: every clip of it was trained on; give --sim another data set of the same preset")
    text = f"{len(free)} of {len(source)} scenes: those no run trained on" if trained else "no run trained on it"
    return source.only(free), text


def trained_on(run: FinishedRun, source: ClipSource, data: Location, split: str = "train") -> set[str]:
    """The names of the clips at `data` that the run, or a run that it started from, was trained on."""
    clips: set[str] = set()
    for experiment in (one.experiment for one in run.lineage if one.experiment is not None):
        if _is_at(experiment.data, experiment.data_sha256, data, split):
            clips |= set(experiment.trained_on)
        clips |= _of_set_in_folder(experiment.data, experiment.trained_on, data)
        if _is_at(experiment.mixed_in, experiment.mixed_in_sha256, data, split):
            drawn = experiment.mixed_in_trained_on
            clips |= {clip.name for clip in source.clips} if drawn is None else set(drawn)
        clips |= _of_set_in_folder(experiment.mixed_in or "", experiment.mixed_in_trained_on or (), data)
    return clips


def _of_set_in_folder(recorded: str, names: Sequence[str], data: Location) -> set[str]:
    """The clips at `data` that were trained on as a part of a folder of data sets, where their names begin with it."""
    if not isinstance(data, Path) or (Path(recorded) / data.name).resolve() != data.resolve():
        return set()
    prefix = f"{data.name}/"
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def _is_at(recorded: str | None, recorded_sha256: str | None, data: Location, split: str) -> bool:
    """Whether a record's data set is the one at `data`: by its hash, or in old records by its path."""
    if recorded_sha256:
        return recorded_sha256 == data_hash(data, split)
    return bool(recorded) and location(str(recorded)).resolve() == data.resolve()
