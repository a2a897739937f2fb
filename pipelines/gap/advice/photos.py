"""The photos of a folder that are to be labelled next, chosen with a run's detector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hybrid.core.progress import Together
from hybrid.data.clips import ClipSource
from hybrid.data.pixels import decode
from hybrid.data.shared import digests
from hybrid.weights.checkpoint import load
from pipelines.common.data import note, read_pictures
from pipelines.gap.advice.labelling import (
    AGAINST_RANDOM,
    MOST_PHOTOS,
    Chosen,
    Labelling,
    choose,
    disagreements,
    mirror,
    pictures_of,
)
from pipelines.gap.features.extract import of_pictures
from pipelines.gap.finished import FinishedRun
from pipelines.gap.measure import detect_changed, device, measure
from pipelines.gap.pictures import to_uri
from pipelines.gap.schema.sections import Picture, ToLabel
from pipelines.gap.stats.grouping import PhotoSessions, group
from simgen.spec.text.printable import printable

THUMBNAIL_PX = 260


def next_photos(
    folder: Path,
    run: FinishedRun,
    labelled: ClipSource | None,
    pattern: str | None,
    cache: Path,
    photos: bool,
    show: Together | None = None,
) -> Labelling:
    """Choose from the photos of a folder; those that are labelled already do not count.

    Args:
        folder: of photos.
        run: whose detector is asked.
        labelled: photos that have labels; None: there are none.
        pattern: of the sessions; see `pipelines.gap.stats.grouping.group`.
        cache: the folder in which detections are kept.
        photos: whether pictures of photos may be shown.
        show: the display that this is a piece of; None: its own.

    Raises:
        DataError: the folder holds no photo, or the pattern does not fit a name.
    """
    source = _some(_without(read_pictures(folder, run.categories), labelled))
    if not len(source):
        return Labelling(note=f"All photos of {printable(folder.name)} are labelled.")
    sessions = group(source, pattern)
    plain = measure(run, source, cache, f"{run.folder.name} on --unlabelled", show).detections
    turned = detect_changed(run, source, cache, "mirrored", mirror, f"{run.folder.name}, photos mirrored", show)
    widths = [frame.width_px for frame in source.frames]
    network = load(run.folder, device=device())
    features = of_pictures(network, pictures_of(source))
    known = features[:0] if labelled is None else of_pictures(network, pictures_of(labelled))
    found = choose(features, known, disagreements(plain, turned, widths, run.score), sessions.of_frame)
    rows = tuple(_row(one, source, sessions, labelled is not None) for one in found)
    uris = [to_uri(decode(source.frames[one.index]), THUMBNAIL_PX, 75) if photos else None for one in found]
    shown = {
        row.picture: Picture(caption=row.photo, kind="photo", of="real", uri=uri)
        for row, uri in zip(rows, uris, strict=True)
        if row.picture is not None
    }
    return Labelling(rows, _note(source, sessions, labelled), shown)


def _without(source: ClipSource, labelled: ClipSource | None) -> ClipSource:
    """The photos that are not among the labelled ones, under whatever name."""
    if labelled is None:
        return source
    known = {digest for frame in labelled.frames for digest in digests(frame)}
    kept = tuple(clip for clip in source.clips if not known & set(digests(clip.frames[0])))
    if len(kept) < len(source):
        note(f"{source.name}: photos that are labelled already: {len(source) - len(kept)}; they are not chosen")
    return replace(source, clips=kept)


def _some(source: ClipSource) -> ClipSource:
    """At most `MOST_PHOTOS`, from all over the folder; a note tells how many were not looked at."""
    if len(source) <= MOST_PHOTOS:
        return source
    note(f"{source.name}: of {len(source)} photos, {MOST_PHOTOS} from all over the folder are looked at")
    return replace(source, clips=tuple(source.clips[k * len(source) // MOST_PHOTOS] for k in range(MOST_PHOTOS)))


def _row(one: Chosen, source: ClipSource, sessions: PhotoSessions, compared: bool) -> ToLabel:
    against = "labelled photos" if compared else "the others"
    size = int((sessions.of_frame == one.session).sum())
    because = (
        f"{one.distance:.1f} times as far from {against} as usual; mirrored, {one.disagreement:.0%} of the detections "
        f"change; its session has {size} photo{'' if size == 1 else 's'}"
    )
    return ToLabel(photo=source.frames[one.index].name, because=because, picture=f"label-{one.index}")


def _note(source: ClipSource, sessions: PhotoSessions, labelled: ClipSource | None) -> str:
    words = [f"Chosen from {sessions.in_words()}: one of each session first."]
    words.append("" if labelled is not None else "Without --look nothing is known of photos that have labels.")
    return " ".join(one for one in [*words, AGAINST_RANDOM] if one)
