"""Data sets on a real S3 server: the same bytes, whole or not there, gone on from after a kill."""

import hashlib
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store import locations
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import location, sizes
from simgen.generation.run import PARTIAL, Kept
from simgen.spec.errors import GenerateError, ShardError
from tests.simgen import clips, s3
from tests.simgen.generation.test_generate import contents, in_this_process, run
from tests.simgen.loopback import need

pytestmark = need("s3fs", "moto")
ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def store():
    with s3.server():
        yield


@pytest.fixture
def url(store):
    return location(f"s3://{s3.BUCKET}/{uuid.uuid4().hex}/data")


def sums(folder):
    if isinstance(folder, Path):
        return {name: hashlib.sha256(data).hexdigest() for name, data in contents(folder).items()}
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sizes(folder)}


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes_and_shows_whole_shards_alone(tmp_path, url):
    scenes = 24
    run(tmp_path / "calm", scenes=scenes, engine=in_this_process)
    expected = sums(tmp_path / "calm")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from simgen.dataset.store.locations import location\n"
        "from tests.simgen import clips\nfrom tests.simgen.generation import test_generate as t\n"
        f"if __name__ == '__main__': t.run(location({url.url!r}), scenes={scenes}, make=clips.make_slowly)\n"
    )
    (tmp_path / "main.py").write_text(code)
    child = subprocess.Popen([sys.executable, tmp_path / "main.py"])
    deadline = time.monotonic() + 600
    while len(names := sizes(url)) < 4 and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert 4 <= len(names) < 12
    there = sums(url)
    assert MANIFEST not in there
    assert {name: digest for name, digest in there.items() if name != PARTIAL}.items() <= expected.items()
    events = []
    run(url, scenes=scenes, resume=True, on_event=events.append, workers=1)
    assert sums(url) == expected
    assert sums(tmp_path / "calm") == expected
    assert len(DataSet(url)) == scenes
    again = []
    run(url, scenes=scenes, resume=True, on_event=again.append, workers=1)
    assert again == [], "a finished data set is accepted as it is"


def test_an_interrupted_run_is_journalled_and_gone_on_from(url):
    def stop(plan, folder, shards, workers):
        yield from in_this_process(plan, folder, list(shards)[:3], workers)
        raise KeyboardInterrupt

    with pytest.raises(GenerateError, match="the same command with --resume goes on"):
        run(url, engine=stop)
    events = []
    run(url, resume=True, on_event=events.append, engine=in_this_process)
    assert sum(isinstance(event, Kept) for event in events) == 3


def test_a_large_shard_goes_up_in_parts_and_is_there_at_the_last(url, monkeypatch):
    monkeypatch.setattr(locations, "SPOOL_BYTES", 2**20)
    data = bytes(range(256)) * 8192 * 3
    write_atomically(url / "a.tar", [data])
    assert (url / "a.tar").read_bytes() == data

    copy, calls = locations._copy, []

    def broken(source, target):
        copy(source, target)
        calls.append(sizes(url))
        raise ConnectionError("the network is down")

    monkeypatch.setattr(locations, "_copy", broken)
    monkeypatch.setattr(locations, "PAUSE_S", 0.0)
    with pytest.raises(OSError, match="the network is down"):
        write_atomically(url / "b.tar", [data])
    assert calls == [{"a.tar": len(data)}] * locations.ATTEMPTS
    assert sizes(url) == {"a.tar": len(data)}


def test_errors_of_the_store_are_reported_with_the_url(store):
    nowhere = location("s3://no-such-bucket/data")
    with pytest.raises(GenerateError, match=r"cannot write s3://no-such-bucket/data/.*bucket does not exist"):
        run(nowhere, engine=in_this_process)
    with pytest.raises(ShardError, match=r"s3://no-such-bucket/data: no manifest.json"):
        DataSet(nowhere)


def test_a_data_set_is_read_where_it_lies(url, tmp_path):
    run(url, engine=in_this_process)
    run(tmp_path, engine=in_this_process)
    assert sums(url) == sums(tmp_path)
    clip = DataSet(url).clip(3)
    assert clip.labels() == DataSet(tmp_path).clip(3).labels()
    assert DataSet(url).categories == clips.CATEGORIES
