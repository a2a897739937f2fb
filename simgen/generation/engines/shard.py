"""How a shard is made, whoever makes it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping

from simgen.dataset.format.archive import add_member, clip_members, shard_sink
from simgen.dataset.format.manifest import Quarantined, ShardEntry, shard_name
from simgen.dataset.store.locations import Location
from simgen.generation.engines.contract import Plan, Report, SceneBegun, SceneLost, SceneMade, ShardFailed, ShardMade

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LP_NUM_THREADS")


def report_shard(plan: Plan, out: Location, number: int, skip: Mapping[int, str]) -> Iterator[Report]:
    """Make a shard and tell of each scene; the last report is ShardMade, or ShardFailed where it cannot be written."""
    try:
        entry = yield from making(plan, out, number, skip)
    except OSError as error:
        yield ShardFailed(f"cannot write {out / shard_name(number)}: {error.strerror}")
    else:
        yield ShardMade(entry)


def making(plan: Plan, out: Location, number: int, skip: Mapping[int, str]) -> Generator[Report, None, ShardEntry]:
    """Write one shard, holding one clip in memory at a time. A scene that raises is left out, and those of `skip` are.

    Yields SceneBegun, SceneMade and SceneLost; returns the ShardEntry.

    Raises:
        OSError: the shard cannot be written; nothing of it is left behind.
    """
    lost: list[Quarantined] = []
    frames: list[int] = []
    name = shard_name(number)
    with shard_sink(out / name) as sink:
        for index in plan.request.scenes_of(number):
            yield SceneBegun(index)
            stored, count, reason = (None, 0, skip[index]) if index in skip else _try(plan, index)
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
    tell: Callable[[Report], None] = lambda report: None,
) -> ShardEntry:
    """Write one shard here and now, as `making` does."""
    reports = making(plan, out, number, skip)
    while True:
        try:
            tell(next(reports))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def _try(plan: Plan, index: int) -> tuple[list[tuple[str, bytes]] | None, int, str]:
    """A scene's members and its number of frames, or None and why there are none."""
    try:
        clip = plan.make(plan.config, plan.request.seed, index)
        return clip_members(clip), len(clip.jpegs), ""
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return None, 0, re.sub(r"0x[0-9a-f]+", "0x", text)[:500]  # addresses differ from run to run


def one_thread() -> None:
    """A worker has one core, whatever its libraries take a machine to be for."""
    import cv2

    os.environ.update({name: "1" for name in ONE_THREAD})
    cv2.setNumThreads(1)
