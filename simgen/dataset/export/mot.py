"""MOTChallenge sequences, in the folder layout of TrackEval (BENCHMARK simgen, SPLIT_TO_EVAL train).

    simgen-train/000041/img1/000004.jpg   scene 41, frame 3: frame numbers begin at 1
    simgen-train/000041/gt/gt.txt         frame, id, left, top, width, height, 1, class, visible share
    simgen-train/000041/gt/labels.txt     the names of the classes, one per line, from class 1
    simgen-train/000041/seqinfo.ini
    seqmaps/simgen-train.txt              the names of the sequences

Pixel coordinates begin at 1, so left and top are one more than in simgen. The id is that of the track, from 1.
"""

from __future__ import annotations

import configparser
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from simgen.dataset.export.common.records import FrameRecord, LabelRecord, inside, read_text, splits_in
from simgen.dataset.export.common.selection import PickedClip, Selection
from simgen.spec.errors import ExportError

MAIN = "seqmaps"
TOOL = "TrackEval, motmetrics"


def write(selection: Selection, folder: Path) -> dict[str, int]:
    """Write into `folder`, with one clip at a time in memory. Returns the number of each thing written."""
    (folder / MAIN).mkdir()
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        maps = {s: stack.enter_context((folder / MAIN / f"simgen-{s}.txt").open("w")) for s in selection.splits}
        for one in maps.values():
            one.write("name\n")
        for clip in selection:
            maps[clip.split].write(f"{clip.scene:06d}\n")
            counts["sequences"] += 1
            counts["images"] += len(clip.frames)
            counts["boxes"] += _write_clip(clip, folder / f"simgen-{clip.split}" / f"{clip.scene:06d}", selection)
    return dict(counts)


def _write_clip(clip: PickedClip, folder: Path, selection: Selection) -> int:
    for name in ("img1", "gt"):
        (folder / name).mkdir(parents=True)
    rows = []
    for t, parts in enumerate(clip.frames, start=1):
        (folder / "img1" / f"{t:06d}.jpg").write_bytes(clip.stored.jpeg(t - 1))
        for part in parts:
            x0, y0, x1, y1 = part.box_xyxy_px
            box = f"{x0 + 1:.2f},{y0 + 1:.2f},{x1 - x0:.2f},{y1 - y0:.2f}"
            share = part.label.visible_share
            rows.append(f"{t},{part.track_id + 1},{box},1,{part.category_id + 1},{share:.5f}\n")
    (folder / "gt" / "gt.txt").write_text("".join(rows))
    (folder / "gt" / "labels.txt").write_text("".join(f"{name}\n" for name in selection.categories))
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nimDir=img1\nframeRate={_rate(clip)}\nseqLength={len(clip.frames)}\n"
        f"imWidth={clip.labels.width_px}\nimHeight={clip.labels.height_px}\nimExt=.jpg\n"
    )
    return len(rows)


def _rate(clip: PickedClip) -> int:
    """Frames per second, as a whole number."""
    times = [frame.time_s for frame in clip.labels.frames]
    seconds = (times[-1] - times[0]) / max(1, len(times) - 1)
    return max(1, round(1 / seconds)) if seconds > 0 else 1


def read(folder: Path) -> Iterator[FrameRecord]:
    """Read an export.

    Raises:
        ExportError: it is damaged, or of another format.
    """
    for split, listing in splits_in(folder, MAIN + "/simgen-{}.txt"):
        for name in read_text(listing).split()[1:]:
            yield from _sequence(inside(folder / f"simgen-{split}", name), split)


def _sequence(folder: Path, split: str) -> Iterator[FrameRecord]:
    try:
        info = configparser.ConfigParser()
        info.read_string(read_text(folder / "seqinfo.ini"))
        section = info["Sequence"]
        length, size = int(section["seqLength"]), (int(section["imWidth"]), int(section["imHeight"]))
        images = inside(folder, section["imDir"])
        names = read_text(folder / "gt" / "labels.txt").splitlines()
        rows = [line.split(",") for line in read_text(folder / "gt" / "gt.txt").splitlines()]
        labels: defaultdict[int, list[LabelRecord]] = defaultdict(list)
        for frame, identity, left, top, width, height, _, category, _ in rows:
            x0, y0 = float(left) - 1, float(top) - 1
            labels[int(frame)].append(
                LabelRecord(
                    category=names[int(category) - 1],
                    box_xyxy_px=(x0, y0, x0 + float(width), y0 + float(height)),
                    track_id=int(identity) - 1,
                )
            )
        scene, ending = int(section["name"]), section["imExt"]
        if length > (pictures := sum(1 for _ in images.iterdir())):
            raise ValueError(f"seqLength is {length}, with {pictures} pictures in {images.name}")
    except (configparser.Error, KeyError, OSError, OverflowError, ValueError, IndexError) as error:
        raise ExportError(f"{folder}: not as MOTChallenge has it: {error!r}") from error
    for t in range(1, length + 1):
        yield FrameRecord(
            split=split,
            scene=scene,
            frame=t - 1,
            width_px=size[0],
            height_px=size[1],
            image=images / f"{t:06d}{ending}",
            labels=tuple(labels.pop(t, ())),
        )
    if labels:
        raise ExportError(f"{folder}: boxes in frames {sorted(labels)[:5]} of {length}")
