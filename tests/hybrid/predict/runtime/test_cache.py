"""Exported steps in the cache: where it is, what goes; and what 8 bits leave out. No export is made."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.core.errors import ConfigError
from hybrid.model.network import Network
from hybrid.predict.runtime import cache
from hybrid.predict.runtime.choice import MANY, WORTH_S, Runtime, pays
from hybrid.predict.runtime.int8 import PICTURES, _images, before_first_map
from tests.hybrid.variants import build


def test_the_cache_is_where_the_user_or_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (cache.PLACE, "LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    below = Path(cache.DISTRIBUTION, "onnx")
    for system, place in (("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")):
        monkeypatch.setattr(cache.sys, "platform", system)
        assert cache.cache_folder() == tmp_path / place / below
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache.cache_folder() == Path("/local") / below
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.cache_folder() == Path("/xdg") / below
    monkeypatch.setenv(cache.PLACE, "~/own")
    assert cache.cache_folder() == tmp_path / "own/onnx"
    assert cache.kept_file("ab", 32, 48) == tmp_path / "own/onnx/ab-32x48.onnx"  # height x width


@settings(max_examples=25)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_what_is_kept_fits_and_the_newest_stays(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    folder = tmp_path_factory.mktemp("cache") / "new"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "MOST_BYTES", 20)
        for k, size in enumerate(sizes):
            assert cache.keep(folder / f"{k}.onnx", b"x" * size)
            os.utime(folder / f"{k}.onnx", (k + 1, k + 1))
            left = {path.name: path.stat().st_size for path in folder.iterdir()}
            assert sum(left.values()) <= 20
            assert left[f"{k}.onnx"] == size
    together = np.cumsum(sizes[::-1])
    assert len(left) >= int((together <= 20).sum())  # none goes that could have stayed


def test_other_files_of_the_folder_stay_and_a_missing_one_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 1)
    (tmp_path / "notes.txt").write_text("of the user")
    assert cache.keep(tmp_path / "a.onnx", b"12345")  # larger than all that is allowed: it is needed now
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "notes.txt"]
    cache.touch(tmp_path / "gone.onnx")
    assert not (tmp_path / "gone.onnx").exists()
    assert not cache.keep(tmp_path / "notes.txt" / "a.onnx", b"1")


@given(st.booleans(), st.floats(0, 2 * WORTH_S))
def test_an_export_pays_before_many_frames_or_after_its_own_time(many: bool, spent_s: float) -> None:
    assert pays(many, spent_s) == (many or spent_s >= WORTH_S)
    assert pays(True, 0.0)
    assert not pays(False, 0.0)


@pytest.fixture(scope="module")
def network() -> Network:
    return build("light tower")


@pytest.mark.parametrize(
    ("total", "moving", "many"),
    [(None, True, True), (None, False, False), (MANY, False, True), (MANY - 1, False, False), (MANY - 1, True, False)],
)
def test_a_camera_or_many_pictures_are_many_and_a_short_video_is_not(
    network: Network, total: int | None, moving: bool, many: bool
) -> None:
    runtime = Runtime(network)
    runtime.expect(total, moving)
    assert runtime._many is many


def test_a_runtime_that_cannot_be_had_is_refused_in_words(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, words in (
        ({"runtime": "tensorrt"}, r"runtime: there is no 'tensorrt'; choose from \['auto', 'torch', 'onnx'\]"),
        ({"precision": "fp16"}, r"precision: there is no 'fp16'; choose from \['float32', 'bf16'\]"),
        ({"runtime": "onnx", "precision": "bf16"}, "runtime 'onnx': bf16 runs in torch"),
    ):
        with pytest.raises(ConfigError, match=words):
            Runtime(network, **options)
    monkeypatch.setattr("hybrid.predict.runtime.choice.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="runtime 'onnx': onnx and onnxruntime not installed: pip install"):
        Runtime(network, "onnx")
    (told,) = Runtime(network).told
    assert told.startswith("torch runs the network; ONNX Runtime would take less than half the time, onnx and")
    assert Runtime(network, "torch").told == []


def node(name: str, inputs: str, outputs: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, input=list(inputs), output=list(outputs))


def test_what_makes_the_first_map_stays_in_float32_and_nothing_else() -> None:
    nodes = [
        node("/stem", "i", "a"), node("/side", "i", "x"), node("/stage0", "a", "b"), node("/skip", "a", "c"),
        node("/add", "bc", "d"), node("/stage1", "d", "e"), node("/laterals.0/conv", "d", "f"),
        node("/laterals.1/conv", "e", "g"), node("/head", "fg", "h"),
    ]  # fmt: skip
    assert before_first_map(nodes) == ["/add", "/skip", "/stage0", "/stem"]
    assert before_first_map(nodes[:6]) == before_first_map([]) == []  # an exporter that gives other names


def test_pictures_for_the_calibration_are_spread_over_the_folder(tmp_path: Path) -> None:
    paths = []
    for k in range(5):
        paths.append(tmp_path / f"{k}.png")
        cv2.imwrite(str(paths[-1]), np.full((6, 8, 3), k, np.uint8))
    paths[1].write_bytes(b"no picture")
    assert [int(image.max()) for image in _images(paths, (6, 8))] == [0, 2, 3, 4]
    assert [image.shape for image in _images(paths[:1], (12, 10))] == [(12, 10, 3)]
    many = [paths[k * 5 // (2 * PICTURES)] for k in range(2 * PICTURES)]
    taken = [int(image.max()) for image in _images(many, (6, 8))]
    assert len(taken) <= PICTURES
    assert (taken[0], taken[-1]) == (0, 4)
    assert list(_images([], (6, 8))) == []
