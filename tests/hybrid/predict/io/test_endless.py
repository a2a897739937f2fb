"""A stream without an end: nothing grows with the number of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.soak.endless import marks

FRAMES, EVERY = 1200, 200


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of the process is read from /proc")
def test_memory_and_time_a_frame_do_not_grow_with_the_frames(tmp_path: Path) -> None:
    """One object that is kept of each frame would be 1 block a frame. `tests/soak/endless.py` takes more frames."""
    found = list(marks(FRAMES, EVERY, tmp_path))
    assert [one.frames for one in found] == list(range(EVERY, FRAMES + 1, EVERY))
    assert found[-1].counted > 50, "parts were followed"
    warm = found[2:]
    frames = [one.frames for one in warm]
    assert np.polyfit(frames, [one.blocks for one in warm], 1)[0] < 0.3
    assert warm[-1].memory_mb - warm[0].memory_mb < 8
    assert max(one.followed for one in warm) < 20
    times_ms = [one.frame_ms for one in warm]
    assert np.median(times_ms[-2:]) < 1.5 * np.median(times_ms[:2])
