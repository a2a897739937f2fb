"""A few kills of the long soak (tests/soak/kill.py), on the real command."""

from pathlib import Path

import pytest

from tests.soak.kill import broken, soak, sums


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").is_file(), reason="the soak reads /proc, which Linux alone has")
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(tmp_path):
    assert soak(tmp_path, kills=2, scenes=20, workers=2, preset="tiny", seed=1, pause_s=0.3) == []
    shard = tmp_path / "killed/shard-00000.tar"
    whole = sums(tmp_path / "killed")
    shard.write_bytes(shard.read_bytes()[:-3000])
    assert sums(tmp_path / "killed") != whole
    assert len(list(broken(tmp_path / "killed"))) == 1, "a shard that is cut short is seen"
