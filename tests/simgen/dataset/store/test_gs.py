"""Data sets on a Google Cloud Storage server, an emulator's on loopback: the same bytes, there when they are whole."""

import uuid

import pytest

from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store import locations
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import location, sizes
from simgen.spec.errors import GenerateError
from tests.simgen.generation.test_generate import contents, in_this_process, run
from tests.simgen.loopback import need, served

pytestmark = need("gcsfs", "gcp_storage_emulator")


@pytest.fixture(scope="module")
def bucket():
    """Within, `gs://` means this server."""
    words = ("start", "--in-memory", "--default-bucket", "bucket")
    with (
        served("gcp_storage_emulator", words, "--host", "--port", "/storage/v1/b/bucket", "GET") as address,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("STORAGE_EMULATOR_HOST", address)
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # it asks a service that no emulator has
        yield


@pytest.fixture
def url(bucket):
    return location(f"gs://bucket/{uuid.uuid4().hex}/data")


def test_a_data_set_is_the_same_there_as_in_a_folder_and_is_gone_on_from(tmp_path, url):
    def stop(plan, folder, shards, workers):
        yield from in_this_process(plan, folder, list(shards)[:2], workers)
        raise KeyboardInterrupt

    run(tmp_path, engine=in_this_process)
    with pytest.raises(GenerateError, match="the same command with --resume goes on"):
        run(url, engine=stop)
    assert MANIFEST not in sizes(url)
    events = []
    run(url, resume=True, on_event=events.append, engine=in_this_process)
    assert {name: (url / name).read_bytes() for name in sizes(url)} == contents(tmp_path)
    assert sorted(event.index for event in events if hasattr(event, "index")) == [4, 5, 6]
    assert [clip.labels() for clip in DataSet(url)] == [clip.labels() for clip in DataSet(tmp_path)]


@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")  # gcsfs to aiohttp
def test_a_large_file_goes_up_in_parts_and_is_there_at_the_last(url, monkeypatch):
    monkeypatch.setattr(locations, "SPOOL_BYTES", 2**20)
    data = bytes(range(256)) * 8192 * 3
    copy, calls = locations._copy, []

    def watched(source, target):
        copy(source, target)
        calls.append(sizes(url))

    monkeypatch.setattr(locations, "_copy", watched)
    write_atomically(url / "a.tar", [data])
    assert calls == [{}]
    assert sizes(url) == {"a.tar": len(data)}
    assert (url / "a.tar").read_bytes() == data
    (url / "a.tar").unlink()
    assert not (url / "a.tar").exists()
