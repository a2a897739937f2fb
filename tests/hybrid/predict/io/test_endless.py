"""A stream without an end: nothing grows with the number of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.soak.endless import marks

FRAMES, EVERY = 2000, 400


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of the process is read from /proc")
def test_memory_and_time_a_frame_do_not_grow_with_the_frames(tmp_path: Path) -> None:
    """One object a frame that is kept would be 1 block a frame; 100,000 frames take no more than these."""
    found = list(marks(FRAMES, EVERY, tmp_path))
    assert [one.frames for one in found] == list(range(EVERY, FRAMES + 1, EVERY))
    assert found[-1].counted > 80, "parts were followed"
    warm = found[1:]
    frames = [one.frames for one in warm]
    assert np.polyfit(frames, [one.blocks for one in warm], 1)[0] < 0.1
    assert warm[-1].memory_mb - warm[0].memory_mb < 8
    assert max(one.followed for one in warm) < 20
    times_ms = [one.frame_ms for one in warm]
    assert np.median(times_ms[-2:]) < 1.5 * np.median(times_ms[:2])
