"""ONNX Runtime answers as torch does, is used where it pays, and its exported steps are kept and mended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import jaxtyping
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hybrid.cli import app
from hybrid.core.config import PRESETS, SCORE
from hybrid.core.errors import ConfigError, InputError, RunError
from hybrid.model.network import Network
from hybrid.predict import onnx as step_file
from hybrid.predict.detector import Detector
from hybrid.predict.io.video import Source, SourceFrame
from hybrid.predict.onnx import OnnxDetector, exported
from hybrid.predict.runtime import cache, choice
from hybrid.predict.runtime.int8 import quantised
from hybrid.predict.tiles import View
from hybrid.weights.checkpoint import save_detector
from tests.hybrid.variants import build

pytest.importorskip("onnxruntime", reason='pip install ".[onnx]"')
WHOLE = View(tile_px=None, scales=(1.0,), limit=20)
HEIGHT, WIDTH = 32, 48


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache's folder. The checks of shapes are off, which the exporter would export too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.PLACE, str(folder))
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        yield folder / "onnx"


def frames(count: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 255, (count, *size, 3)).astype(np.uint8))


@pytest.fixture(scope="module")
def photos() -> Network:
    return build("light tower")


@pytest.fixture(scope="module")
def content(photos: Network, kept: Path) -> bytes:
    """The exported step of `photos`; it is in the cache too, as from an earlier use."""
    step = exported(photos, HEIGHT, WIDTH)
    assert cache.keep(cache.kept_file(cache.network_id(photos), HEIGHT, WIDTH), step)
    return step


def agree(found, wanted) -> None:
    assert len(wanted) > 0
    assert (found.names, found.track_ids.tolist()) == (wanted.names, wanted.track_ids.tolist())
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy_px, wanted.boxes_xyxy_px, rtol=0, atol=1e-3)


def detectors(network: Network) -> tuple[Detector, Detector]:
    found, wanted = (
        Detector(network, WHOLE, score=1e-3, runtime=runtime) for runtime in ("onnx", "torch")
    )  # empty slots have less
    return found, wanted


def test_photos_are_answered_as_in_torch(photos: Network, content: bytes) -> None:
    found, wanted = detectors(photos)
    given = frames(2)
    for one, other in zip(found.predict(given), wanted.predict(given), strict=True):
        agree(one, other)
    assert found.engine._steps  # it was not torch


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("-video")])
def test_every_preset_is_exported_and_a_stream_goes_on_in_torch_after_a_gap_in_time(name: str) -> None:
    """A preset for photos is a part of its preset for video."""
    assert {one.removesuffix("-video") for one in PRESETS} == {one for one in PRESETS if not one.endswith("-video")}
    small = {"width": 16, "heads": 2, "queries": 6, "tracks": 2, "decoder_layers": 1, "head_convs": 1}
    torch.manual_seed(0)
    network = Network(replace(PRESETS[name](("bolt", "nut")), weights="none", belt_order="x", **small)).eval()
    found, wanted = detectors(network)
    times = [0.0, 0.1, 0.2, 0.3, 0.4, 0.8, 0.9]
    given = [SourceFrame(f"f{k}", image, time) for k, (image, time) in enumerate(zip(frames(7), times, strict=True))]
    for one, other in zip(list(found.stream(given)), wanted.stream(given), strict=True):
        agree(one, other)
    assert {(HEIGHT, WIDTH)} == set(found.engine._steps) == set(found.engine._spent)  # both ran


def test_a_step_is_exported_once_kept_and_mended(
    photos: Network, content: bytes, kept: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[bool] = []
    monkeypatch.setattr(choice, "exported", lambda *_: made.append(True) or content)
    file, image = cache.kept_file(cache.network_id(photos), HEIGHT, WIDTH), frames(1)[0]
    assert file.parent == kept
    file.unlink(missing_ok=True)
    wanted = Detector(photos, WHOLE, score=0.0, runtime="onnx").predict(image)
    assert len(made) == 1
    again = Detector(photos, WHOLE, score=0.0)  # auto
    agree(again.predict(image), wanted)
    assert (len(made), again.engine.told) == (1, ["ONNX Runtime runs the network"])
    file.write_bytes(content[:1000])
    agree(Detector(photos, WHOLE, score=0.0, runtime="onnx").predict(image), wanted)
    assert (len(made), file.read_bytes()) == (2, content)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(cache.PLACE, str(tmp_path / "file"))
    homeless = Detector(photos, WHOLE, score=0.0, runtime="onnx")
    agree(homeless.predict(image), wanted)
    assert "cannot be written to" in homeless.engine.told[0]


def test_another_network_has_another_name(photos: Network) -> None:
    names = {cache.network_id(photos)}
    with torch.no_grad():
        parameter = next(photos.parameters())
        before = parameter.flatten()[0].item()
        parameter.flatten()[0] = before + 1
        names.add(cache.network_id(photos))
        parameter.flatten()[0] = before
    names.add(cache.network_id(Network(replace(photos.config, queries=7))))
    assert len(names) == 3
    assert cache.network_id(photos) in names


def test_the_longest_unused_steps_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 25)
    for k in range(2):
        assert cache.keep(tmp_path / f"{k}.onnx", b"x" * 10)
        os.utime(tmp_path / f"{k}.onnx", (k + 1, k + 1))
    cache.touch(tmp_path / "0.onnx")
    assert cache.keep(tmp_path / "2.onnx", b"x" * 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.onnx", "2.onnx"]


def test_it_is_exported_once_that_pays(photos: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cache.PLACE, str(tmp_path))
    asked: list[tuple[int, int]] = []

    def refused(_: Network, height: int, width: int) -> bytes:
        asked.append((height, width))
        raise RuntimeError("not now")

    monkeypatch.setattr(choice, "exported", refused)
    monkeypatch.setattr(choice, "WORTH_S", 1e6)
    given = [SourceFrame("f", frames(1)[0])]
    detector = Detector(photos, WHOLE, score=0.0)
    for _ in range(3):
        list(detector.stream(Source("few", [given], total=choice.MANY - 1)))
    assert asked == []
    for many in ({"total": choice.MANY}, {"frames_per_s": 30.0}):
        asked.clear()
        list(Detector(photos, WHOLE).stream(Source("many, or a camera", [given], **many)))
        assert asked == [(HEIGHT, WIDTH)]
    asked.clear()
    detector.engine._spent[HEIGHT, WIDTH] += 1e6
    detector.predict(frames(1)[0])
    assert asked == [(HEIGHT, WIDTH)]
    assert "torch runs the network, which cannot be exported" in detector.engine.told[0]
    detector.predict(frames(1)[0])
    assert len(asked) == 1
    with pytest.raises(ConfigError, match=r"runtime 'onnx': this network cannot be exported: .*not now"):
        Detector(photos, WHOLE, runtime="onnx").predict(frames(1)[0])


def test_what_cannot_be_had_is_told(photos: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="runtime: there is no 'tvm'; choose from"):
        Detector(photos, runtime="tvm")
    with pytest.raises(ConfigError, match="runtime 'onnx': bf16 runs in torch"):
        Detector(photos, runtime="onnx", precision="bf16")
    monkeypatch.setattr(choice, "cpu_has_bf16", lambda: False)
    assert "this CPU has no bf16 arithmetic" in Detector(photos, precision="bf16").engine.told[0]
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    assert "onnx and onnxruntime not installed: pip install" in Detector(photos).engine.told[0]
    with pytest.raises(ConfigError, match="not installed: pip install"):
        Detector(photos, runtime="onnx")


def test_an_exported_file_is_a_detector(photos: Network, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "step.onnx"
    file.write_bytes(content)
    detector, image = Detector.load(file, score=1e-3), frames(1)[0]
    agree(detector.predict(image), Detector(photos, WHOLE, score=1e-3, runtime="torch").predict(image))
    with pytest.raises(InputError, match=r"an image of shape \(48, 32, 3\) came; this file takes \(32, 48, 3\)"):
        detector.predict(np.zeros((48, 32, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "a.png"), image)
    line = ["predict", "--checkpoint", str(file), "--source", str(tmp_path / "a.png")]
    done = CliRunner().invoke(app, line)
    assert (done.exit_code, f"score >= {SCORE:.2f} (of the file)" in done.output) == (0, True), done.output
    for more, told in (
        (["--tiles"], "--tiles does not go with an .onnx file"),
        (["--runtime", "torch"], "an .onnx file runs on the CPU, in ONNX Runtime"),
    ):
        refused = CliRunner().invoke(app, [*line, *more])
        assert (refused.exit_code, told in refused.output) == (2, True), refused.output
    file.write_bytes(b"no")
    with pytest.raises(RunError, match="holds no detector's step"):
        Detector.load(file)
    file.unlink()
    refused = CliRunner().invoke(app, line)
    assert (refused.exit_code, "no such file; `hybrid export` writes one" in refused.output) == (2, True)


def test_eight_bits_are_near_float32_and_keep_what_the_file_says(
    photos: Network, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnx import load_from_string

    monkeypatch.setattr(step_file, "exported", lambda *_: content)  # it takes seconds
    for k, image in enumerate(frames(5)):
        cv2.imwrite(str(tmp_path / f"{k}.png"), image)
    save_detector(tmp_path / "net.safetensors", photos)
    whole, out = tmp_path / "whole.onnx", tmp_path / "small.onnx"
    whole.write_bytes(content)
    line = ["export", "--checkpoint", str(tmp_path / "net.safetensors"), "--out", str(out)]
    line += ["--height", str(HEIGHT), "--width", str(WIDTH)]
    done = CliRunner().invoke(app, [*line, "--int8", "--calibrate", str(tmp_path)])
    assert (done.exit_code, "in 8 bits, calibrated on 5 pictures" in done.output) == (0, True), done.output
    nodes = load_from_string(out.read_bytes()).graph.node
    from_8_bits = {name for node in nodes if node.op_type == "DequantizeLinear" for name in node.output}
    rounded = [node.name for node in nodes if node.op_type == "Conv" and node.input[1] in from_8_bits]
    exact = [node.name for node in nodes if node.op_type == "Conv" and node.input[1] not in from_8_bits]
    assert any("backbone" in name for name in exact)  # up to its first map
    assert not any("laterals" in name or "decoder" in name for name in exact)
    assert any("backbone" in name for name in rounded)
    small, plain = (Detector.load(path).engine.step for path in (out, whole))
    assert (small.categories, small.score) == (plain.categories, plain.score)
    rough, wanted = (np.sort(step.step(frames(1)[0])[0]["scores"].max(1)) for step in (small, plain))
    apart = np.abs(rough - wanted).max()
    assert 0 < apart < 0.1
    (tmp_path / "few").mkdir()
    (tmp_path / "few/broken.png").write_bytes(b"no")
    for more, told in (
        (["--int8"], "--int8 and --calibrate FOLDER go together"),
        (["--int8", "--calibrate", str(tmp_path / "none")], "none: there is no such folder"),
        (["--int8", "--calibrate", str(tmp_path / "few")], "0 pictures can be read for the calibration; 4 or more"),
    ):
        refused = CliRunner().invoke(app, [*line, "--overwrite", *more])
        assert (refused.exit_code, told in refused.output) == (2, True), refused.output


@pytest.mark.slow
def test_a_video_preset_in_8_bits_carries_its_state_and_stays_near_float32(tmp_path: Path) -> None:
    small = {"width": 16, "heads": 2, "queries": 6, "tracks": 2, "decoder_layers": 1, "head_convs": 1}
    torch.manual_seed(0)
    config = replace(PRESETS["tiny-video"](("bolt", "nut")), weights="none", quiet_start=False, **small)
    content = exported(Network(config).eval(), HEIGHT, WIDTH)
    pictures = [tmp_path / f"{k}.png" for k in range(5)]
    for path, image in zip(pictures, frames(5), strict=True):
        cv2.imwrite(str(path), image[..., ::-1])
    eight, used = quantised(content, pictures)
    assert used == 5
    assert len(eight) < len(content)
    steps, states = [OnnxDetector(eight), OnnxDetector(content)], [None, None]
    for image in frames(4):
        stepped = [step.step(image, state) for step, state in zip(steps, states, strict=True)]
        answers, states = zip(*stepped, strict=True)
        apart = np.abs(np.sort(answers[0]["scores"].max(1)) - np.sort(answers[1]["scores"].max(1))).max()
        assert 0 < apart < 0.1
        assert [one.keys() for one in states] == [steps[1].start().keys()] * 2
    assert any(np.abs(value).max() > 0 for value in states[0].values())


def test_bf16_is_near_float32(photos: Network) -> None:
    image = frames(1, (64, 64))[0]
    rough = Detector(photos, WHOLE, score=0.0, precision="bf16").predict(image)
    exact = Detector(photos, WHOLE, score=0.0, runtime="torch").predict(image)
    assert 0 < np.abs(np.sort(rough.scores)[-3:] - np.sort(exact.scores)[-3:]).max() < 0.1


def test_weights_of_a_run_start_with_the_runtime_that_was_asked_for(photos: Network, tmp_path: Path) -> None:
    save_detector(tmp_path / "net.safetensors", photos)
    assert Detector.load(tmp_path / "net.safetensors", runtime="torch").engine._usable is False
