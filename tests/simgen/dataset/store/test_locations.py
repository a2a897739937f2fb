"""What holds of a folder holds of a URL: here a store in memory; tests/simgen/test_s3.py has a real server."""

import pickle
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from simgen.cli.common import app
from simgen.dataset.check import check
from simgen.dataset.format.archive import scan_shard
from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store import locations
from simgen.dataset.store.files import write_atomically
from simgen.dataset.store.locations import RemotePath, location, sizes
from simgen.generation import run as generate
from simgen.generation.budget import Budget
from simgen.generation.join import join
from simgen.generation.run import PARTIAL, Kept
from simgen.spec.errors import BudgetSpent, GenerateError, ShardError
from tests.simgen import clips
from tests.simgen.generation.test_generate import contents, in_this_process, plan, run

pytest.importorskip("fsspec.registry", reason="URLs need fsspec")


@pytest.fixture
def url():
    return location(f"memory://{uuid.uuid4().hex}/data")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    run(out, engine=in_this_process)
    return out


def remote_contents(folder):
    return {name: (folder / name).read_bytes() for name in sizes(folder)}


def test_a_url_is_reported_from_a_folder(tmp_path):
    assert location("out/belt") == location(location("out/belt"))
    assert location(f"file://{tmp_path}") == tmp_path
    assert str(location("memory://a/b/")) == "memory://a/b"
    there = location("memory://a/b") / "c.tar"
    assert (there.name, there.parent, there.with_name("d")) == (
        "c.tar",
        location("memory://a/b"),
        location("memory://a/b/d"),
    )
    assert pickle.loads(pickle.dumps(there)) == there


@pytest.mark.parametrize(
    ("text", "message"), [("nosuch://a/b", "Protocol not known: nosuch"), ("s3x://a", "not known")]
)
def test_a_url_of_no_known_kind_is_reported(text, message):
    with pytest.raises(OSError, match=message) as caught:
        location(text)
    assert caught.value.filename == text


STRANGE = {
    "s3://": "names no folder",
    "memory:///": "names no folder",
    "file://": "names no folder",
    "a\0b": "names no folder",
    "://x": "is no URL such as s3://bucket/folder",
    "S3://b/x": "is no URL such as s3://bucket/folder",
    "http:/x": "is no URL such as s3://bucket/folder; for a folder of that name add ./",
    "s3:///key": "needs the name of a bucket after s3://",
    "gs://[": "needs the name of a bucket after gs://",
    "reference://x": "TypeError: ReferenceFileSystem",
    "file:///nowhere/at/all": "/nowhere/at/all: no ",
    "http://[": "no manifest.json",
}


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("command", ["check", "preview", "replay", "index", "export"])
def test_a_strange_url_is_a_line_and_makes_no_folder(tmp_path, monkeypatch, command, text):
    monkeypatch.chdir(tmp_path)
    rest = {"replay": ["0"], "export": ["--out", "x"]}.get(command, [])
    result = CliRunner().invoke(app, [command, text, *rest])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
    assert isinstance(result.exception, SystemExit)
    assert STRANGE[text] in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_may_have_such_a_name_where_it_is_meant(tmp_path):
    assert location("./http:/x") == Path("./http:/x")
    assert location("file:///tmp/x") == Path("/tmp/x")
    assert location("a:b/c") == Path("a:b/c")


@pytest.mark.parametrize(
    ("text", "package", "asked"), [("s3://a/b", "s3fs", "sim2line[s3]"), ("gs://a/b", "gcsfs", "sim2line[gs]")]
)
def test_a_package_that_is_not_installed_is_reported(monkeypatch, text, package, asked):
    known = sys.modules["fsspec.registry"]._registry  # fsspec.registry is a view of it
    monkeypatch.delitem(known, text.partition(":")[0], raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OSError, match="needs a package that is not installed: pip install") as caught:
        location(text)
    assert asked in str(caught.value)


def test_a_data_set_at_a_url_is_the_bytes_of_one_in_a_folder(url, whole):
    run(url, engine=in_this_process)
    assert remote_contents(url) == contents(whole)
    here, there = DataSet(whole), DataSet(url)
    assert len(here) == len(there) == 7
    for a, b in zip(here, there, strict=True):
        assert (a.index, a.members, a.meta()) == (b.index, b.members, b.meta())
        assert np.array_equal(a.ids(1), b.ids(1))
        assert a.jpeg(0) == b.jpeg(0)
    assert pickle.loads(pickle.dumps(there)).clip(5).labels() == here.clip(5).labels()
    assert check(url).lines == [line.replace(str(whole), str(url)) for line in check(whole).lines]


def test_nothing_is_there_under_its_name_before_it_is_whole(url):
    def chunks():
        for _ in range(3):
            assert sizes(url) == {}
            yield bytes(1000)

    assert write_atomically(url / "a.tar", chunks())[1] == 3000
    assert sizes(url) == {"a.tar": 3000}


def test_what_fails_on_its_way_leaves_nothing_behind_and_the_old_in_its_place(url, monkeypatch):
    def broken():
        yield bytes(1000)
        raise RuntimeError("no more")

    write_atomically(url / "a.tar", [b"old"])
    with pytest.raises(RuntimeError, match="no more"):
        write_atomically(url / "a.tar", broken())
    store, _ = locations._store(url.url)
    monkeypatch.setattr(locations, "PAUSE_S", 0.0)
    calls = []

    def mv(source, target):
        calls.append(source)
        raise ConnectionError("the network is down")

    monkeypatch.setattr(store, "mv", mv)
    with pytest.raises(OSError, match="the network is down"):
        write_atomically(url / "a.tar", [b"new"])
    assert len(calls) == locations.ATTEMPTS
    assert remote_contents(url) == {"a.tar": b"old"}


def test_a_network_that_fails_once_costs_nothing(url, monkeypatch):
    store, _ = locations._store(url.url)
    mv, calls = store.mv, []

    def flaky(source, target):
        calls.append(source)
        if len(calls) == 1:
            raise ConnectionError
        mv(source, target)

    monkeypatch.setattr(locations, "PAUSE_S", 0.0)
    monkeypatch.setattr(store, "mv", flaky)
    write_atomically(url / "a.tar", [b"new"])
    assert remote_contents(url) == {"a.tar": b"new"}


def test_a_store_that_loses_bytes_is_reported(url, monkeypatch):
    store, _ = locations._store(url.url)
    info = store.info
    monkeypatch.setattr(store, "info", lambda path: {**info(path), "size": 2})
    monkeypatch.setattr(locations, "PAUSE_S", 0.0)
    with pytest.raises(OSError, match="3 bytes were sent and 2 are there"):
        write_atomically(url / "a.tar", [b"new"])


def test_a_stopped_run_goes_on_to_the_same_bytes(url, whole):
    sent = []

    def stop(plan, folder, shards, workers):
        yield from in_this_process(plan, folder, list(shards)[:3], workers)
        sent.append(sizes(url))
        raise KeyboardInterrupt

    with pytest.raises(GenerateError, match="the same command with --resume goes on"):
        run(url, engine=stop)
    assert sorted(sent[0]) == [PARTIAL, "shard-00000.tar", "shard-00001.tar", "shard-00002.tar"]
    write_atomically(url / "shard-00001.tar", [b"cut"])
    (url / "shard-00002.tar").unlink()
    write_atomically(url / ".shard-00003.tar.17.tmp", [b"of a killed worker"])
    events = []
    run(url, resume=True, on_event=events.append, engine=in_this_process)
    assert [e.entry.name for e in events if isinstance(e, Kept)] == ["shard-00000.tar"]
    assert remote_contents(url) == contents(whole)


def test_the_manifest_comes_last_and_the_journal_goes(url, monkeypatch):
    order = []
    write = RemotePath._send

    def noted(self, spool):
        order.append(self.name)
        write(self, spool)

    monkeypatch.setattr(RemotePath, "_send", noted)
    run(url, engine=in_this_process)
    assert order == [PARTIAL, *(f"shard-0000{k}.tar" for k in range(4)), PARTIAL, MANIFEST]
    assert PARTIAL not in sizes(url)


def test_what_is_there_is_never_written_over(url):
    write_atomically(url / "thesis.doc", [b"years of work"])
    with pytest.raises(GenerateError, match=r"holds other files \(thesis.doc\)"):
        run(url, engine=in_this_process)
    (url / "thesis.doc").unlink()
    run(url, engine=in_this_process)
    with pytest.raises(GenerateError, match="holds this data set already, finished; --resume accepts it"):
        run(url, engine=in_this_process)
    with pytest.raises(GenerateError, match="seed is 5 there, 6 was requested"):
        run(url, seed=6, engine=in_this_process)


def test_a_budget_holds_at_a_url(url, whole):
    shard = float((whole / "shard-00000.tar").stat().st_size)
    asked = {"engine": in_this_process, "resume": True}
    with pytest.raises(BudgetSpent, match="2 of 4 shards are there"):
        generate.run_plan(plan(), clips.CATEGORIES, url, budget=Budget(bytes=2.5 * shard), **asked)
    generate.run_plan(plan(), clips.CATEGORIES, url, **asked)
    assert remote_contents(url) == contents(whole)


def test_slices_join_from_folders_and_urls_to_either(url, whole, tmp_path):
    parts = [tmp_path / "a", url.with_name("b")]
    for part, shards in zip(parts, (range(3), range(3, 4)), strict=True):
        generate.run_plan(plan(), clips.CATEGORIES, part, engine=in_this_process, only=shards)
    join(url, parts)
    join(tmp_path / "joined", parts)
    assert remote_contents(url) == contents(tmp_path / "joined") == contents(whole)


def test_a_damaged_shard_at_a_url_is_reported(url):
    run(url, engine=in_this_process)
    shard = url / "shard-00001.tar"
    data = shard.read_bytes()
    write_atomically(shard, [data[:-2000]])
    with pytest.raises(ShardError, match=r"memory://.*shard-00001.tar: cut short at offset"):
        list(DataSet(url))
    write_atomically(shard, [data])
    assert len(list(DataSet(url))) == 7, "what was read before is not believed"
    shard.unlink()
    with pytest.raises(ShardError, match=r"shard-00001.tar: cannot be read"):
        scan_shard(shard)
    with pytest.raises(ShardError, match=r"memory://nothing/here: no manifest.json"):
        DataSet(location("memory://nothing/here"))


def test_reading_asks_for_blocks_not_for_members(url, monkeypatch):
    run(url, engine=in_this_process)
    store, _ = locations._store(url.url)
    cat_file, calls = store.cat_file, []
    monkeypatch.setattr(store, "cat_file", lambda *a, **k: calls.append(a) or cat_file(*a, **k))
    assert sum(len(clip.read(name)) for clip in DataSet(url) for name in clip.members) > 0
    assert len(calls) == 5, "the manifest and four small shards"


def test_a_server_that_sends_other_bytes_than_were_asked_for_is_reported(url, monkeypatch):
    write_atomically(url / "a", [bytes(100)])
    store, _ = locations._store(url.url)
    monkeypatch.setattr(store, "cat_file", lambda path, start, end: bytes(200))
    with pytest.raises(OSError, match="received 200 bytes, requested 100 from offset 0"):
        (url / "a").read_bytes()


@pytest.mark.parametrize("block", [1, 7, 512, 10**6])
def test_blocks_of_any_size_give_the_file(url, monkeypatch, block):
    data = np.random.default_rng(0).bytes(3000)
    write_atomically(url / "a", [data])
    monkeypatch.setattr(locations, "BLOCK_BYTES", block)
    locations._block.cache_clear()
    with (url / "a").open() as file:
        assert file.read() == data
        for start, count in ((0, 5), (2990, 100), (1023, 1025), (5000, 3)):
            file.seek(start)
            assert file.read(count) == data[start : start + count]
    locations._block.cache_clear()


def test_every_command_that_reads_takes_a_url(url, tiny_data_set, tmp_path, monkeypatch):
    from tests.simgen.cli.test_cli import simgen

    for path in tiny_data_set.iterdir():
        write_atomically(url / path.name, [path.read_bytes()])
    monkeypatch.chdir(tmp_path)
    there = str(url)
    assert simgen("check", there)[0].endswith(f"{there}: 6 clips, nothing wrong\n")
    assert "scene 2: identical" in simgen("replay", there, 2)[0]
    simgen("preview", there, "--clips", 1, "--frames", 1)
    assert (tmp_path / "data.png").stat().st_size > 0
    for source, out in ((there, "far"), (tiny_data_set, "near")):
        simgen("export", source, "--format", "parquet", "--out", tmp_path / out)
    far, near = ({p.name: p.read_bytes() for p in (tmp_path / out).iterdir()} for out in ("far", "near"))
    assert len(near) > 1
    assert far == near


def test_training_reads_the_same_clips_from_a_url(url, tiny_data_set):
    from hybrid.data.pixels import decode
    from hybrid.data.shards import read_shards

    for path in tiny_data_set.iterdir():
        write_atomically(url / path.name, [path.read_bytes()])
    near, far = read_shards(tiny_data_set), read_shards(url)
    assert far.counts() == near.counts()
    assert len(far.frames) == len(near.frames) > 0
    for a, b in zip(near.frames, far.frames, strict=True):
        assert np.array_equal(decode(a), decode(b))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "spark"), r"no engine 'spark'; there are ['local', 'ray']"),
        (("--address", "auto"), r"the engine local runs on this machine alone and has no address, got 'auto'"),
        (("--out", "nosuch://a/b"), "nosuch://a/b: Protocol not known: nosuch"),
    ],
)
def test_engines_and_urls_that_are_not_there_are_reported_in_a_line(options, message, tmp_path):
    from tests.simgen.cli.test_cli import simgen

    _, error = simgen("render", "--preset", "tiny", "--scenes", 1, "--out", tmp_path / "x", *options, status=2)
    assert error.splitlines() == [f"simgen: {message}"]
    assert not (tmp_path / "x").exists()


def test_the_password_of_a_url_stands_in_no_text_of_it_and_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    url = locations.RemotePath("s3://AKIA7:secret/+=@bucket/data")
    assert str(url / "x") == f"{url}/x" == "s3://***@bucket/data/x"
    assert "secret" not in repr(url)
    assert url.name == "data"

    def refuses(asked: str) -> None:
        raise ConnectionError(f"no answer from {asked}")

    monkeypatch.setattr(locations, "_store", refuses)
    with pytest.raises(OSError, match=r"no answer from s3://\*\*\*@bucket/data") as caught:
        url.stat()
    assert "secret" not in f"{caught.value} {caught.value.filename}"
