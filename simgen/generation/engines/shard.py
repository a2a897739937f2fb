"""Make one shard. Every engine uses these functions."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress

from simgen.dataset.format.archive import add_member, clip_members, shard_sink
from simgen.dataset.format.manifest import Quarantined, ShardEntry, shard_name
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.locations import Location
from simgen.generation.engines.contract import Plan, Report, SceneBegun, SceneLost, SceneMade, ShardFailed, ShardMade
from simgen.spec.contents import keep
from simgen.spec.errors import RendererLost, ShardError

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LP_NUM_THREADS")


def report_shard(plan: Plan, out: Location, number: int, skip: Mapping[int, str]) -> Iterator[Report]:
    """Make a shard, and report each scene. The last report is ShardMade, or ShardFailed if it cannot be written."""
    try:
        entry = yield from _write(plan, out, number, skip)
    except OSError as error:
        yield ShardFailed(f"cannot write {out / shard_name(number)}: {error.strerror}")
    else:
        yield ShardMade(entry)


def _write(plan: Plan, out: Location, number: int, skip: Mapping[int, str]) -> Generator[Report, None, ShardEntry]:
    """Write one shard, with one clip in memory at a time. Scenes that raise, and scenes in `skip`, are left out.

    Yields SceneBegun, SceneMade and SceneLost; returns the ShardEntry.

    Raises:
        OSError: the shard cannot be written; no part of it stays.
    """
    lost: list[Quarantined] = []
    frames: list[int] = []
    name = shard_name(number)
    earlier = None if plan.earlier is None else DataSet(plan.earlier)
    for content in plan.contents.values():
        keep(content)
    with shard_sink(out / name) as sink:
        for index in plan.request.scenes_of(number):
            yield SceneBegun(index)
            stored, count, reason = (None, 0, skip[index]) if index in skip else _made(plan, index, earlier)
            if stored is None:
                lost.append(Quarantined(index=index, reason=reason))
                yield SceneLost(index, reason)
                continue
            for member, data in stored:
                add_member(sink, member, data)
            frames.append(count)
            yield SceneMade(index, count)
    return ShardEntry(
        name=name,
        sha256=sink.sha256,
        bytes=sink.size,
        first_scene=plan.request.scenes_of(number).start,
        clips=len(frames),
        frames=sum(frames),
        quarantined=tuple(lost),
    )


def make_shard(
    plan: Plan,
    out: Location,
    number: int,
    skip: Mapping[int, str],
    on_report: Callable[[Report], None] = lambda report: None,
) -> ShardEntry:
    """Write one shard in this process. `on_report` gets SceneBegun, SceneMade and SceneLost.

    Raises:
        OSError: the shard cannot be written. No part of it stays.
    """
    reports = _write(plan, out, number, skip)
    while True:
        try:
            on_report(next(reports))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def _made(plan: Plan, index: int, earlier: DataSet | None) -> tuple[list[tuple[str, bytes]] | None, int, str]:
    """As `_make`, but a clip that an earlier run made is copied."""
    if earlier is not None:
        with suppress(ShardError):  # it has no such scene
            clip = earlier.clip(index)
            return [(f"{index:06d}.{name}", clip.read(name)) for name in clip.members], clip.frames, ""
    return _make(plan, index)


def _make(plan: Plan, index: int) -> tuple[list[tuple[str, bytes]] | None, int, str]:
    """The members of a scene and its number of frames; or None, 0 and the reason for the failure."""
    try:
        clip = plan.make(plan.config, plan.request.seed, index)
        return clip_members(clip), len(clip.jpegs), ""
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())
        if isinstance(error, MemoryError | OSError | RendererLost):
            text = f"its machine failed: {text}"  # `Quarantined.may_succeed`
        return None, 0, re.sub(r"0x[0-9a-f]+", "0x", text)[:500]  # addresses differ from run to run


def one_thread() -> None:
    """Limit the libraries of this process to one thread, as each worker has one core."""
    import cv2

    os.environ.update({name: "1" for name in ONE_THREAD})
    cv2.setNumThreads(1)
