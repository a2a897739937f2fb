"""The exported step against the detector, in ONNX Runtime, over a clip; and what a detector may cost."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.config import PRESETS
from hybrid.core.errors import RunError
from hybrid.model.network import Network
from hybrid.model.objects.queries import ANCHOR_PX
from hybrid.predict.detector import Detector
from hybrid.predict.io.video import SourceFrame
from hybrid.predict.tiles import View
from hybrid.weights.checkpoint import save_detector
from tests.hybrid.variants import full

SMALL = full(("bolt", "nut"), width=16, heads=2, queries=8, decoder_layers=1,
    memory_frames=2, tracks=3, embedding=4,
    quiet_start=False, clip_classes=("ok", "bad"), inputs=("rgb", "depth"),
)  # fmt: skip
MEMORY_LIMIT_MB = 700  # beyond what importing torch takes; measured: 350


def small_detector() -> Network:
    torch.manual_seed(0)
    detector = Network(SMALL).eval()
    with torch.no_grad():
        for p in detector.decoder.parameters():
            p += 0.1 * torch.randn_like(p)
    return detector


@pytest.mark.slow
def test_the_exported_step_agrees_over_a_clip(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason='export needs pip install ".[onnx]"')
    pytest.importorskip("onnxruntime", reason='pip install ".[onnx]"')
    from hybrid.predict.onnx import OnnxDetector

    detector, weights, file = small_detector(), tmp_path / "small.safetensors", tmp_path / "step.onnx"
    save_detector(weights, detector)
    # in a process of its own: here every function is wrapped in checks, which the exporter would export
    line = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "hybrid",
        "export",
        "--checkpoint",
        str(tmp_path / "small.safetensors"),
    ]
    line += ["--out", str(file), "--height", "32", "--width", "48"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert f"{file}: " in done.stdout
    runner = OnnxDetector(file)
    assert runner.size_hw_px == (32, 48)
    assert (runner.categories, runner.score) == (("bolt", "nut"), 0.3)
    frames = np.random.default_rng(0).integers(0, 255, (4, 32, 48, 3)).astype(np.uint8)
    depths = [None, *np.random.default_rng(1).uniform(0.3, 0.5, (3, 32, 48)).astype(np.float32)]
    depths[3][:8], depths[3][8:16] = 0, np.inf
    state, carried, apart = None, None, 0.0
    with torch.inference_mode():
        for frame, depth_m in zip(frames, depths, strict=True):
            images = torch.from_numpy(frame).permute(2, 0, 1)[None, None].float() / 255
            without, _ = detector(images, state)
            output, state = detector(
                images, state, depth_m=None if depth_m is None else torch.from_numpy(depth_m)[None, None]
            )
            apart = max(apart, (without.logits - output.logits).abs().max().item())
            answers, carried = runner.step(frame, carried, depth_m)
            np.testing.assert_allclose(answers["scores"], output.logits[0, 0].sigmoid(), atol=1e-3)
            corner = torch.tensor([48.0, 32, 48, 32])
            boxes = output.boxes_xyxy_px[0, 0].clamp(min=0).minimum(corner)
            there = answers["scores"].max(1) > 1e-3  # an empty slot has neither box nor embedding
            assert there.sum() >= len(there) - detector.config.tracks
            np.testing.assert_allclose(answers["boxes_xyxy_px"][there], boxes.numpy()[there], atol=1e-2)
            np.testing.assert_array_equal(answers["track_ids"], output.tracks.ids[0, 0])
            slots = output.tracks.redetected.shape[2]
            np.testing.assert_array_equal(answers["unseen"][:slots], ~output.tracks.redetected[0, 0].numpy())
            assert not answers["unseen"][slots:].any()
            np.testing.assert_allclose(answers["embeddings"][there], output.embeddings[0, 0].numpy()[there], atol=1e-3)
            np.testing.assert_allclose(answers["clip_scores"], output.clip_logits[0, 0].softmax(0), atol=1e-3)
    assert apart > 0.1  # depth says something
    whole = Detector(detector, View(tile_px=None, scales=(1.0,)), score=1e-3)
    rows, carried = zip(frames, depths, strict=True), None
    given = [SourceFrame(f"f{k}", frame, None, depth_m) for k, (frame, depth_m) in enumerate(rows)]
    for frame, wanted in zip(given, whole.stream(given), strict=True):
        answers, carried = runner.step(frame.image, carried, frame.depth_m)
        detections = runner.detections(answers, score=1e-3)  # an empty slot has a score, but no box
        assert len(wanted) > 0
        assert [name for name, _, _ in detections] == wanted.names
        np.testing.assert_allclose([score for _, score, _ in detections], wanted.scores, atol=1e-3)
        np.testing.assert_allclose([box for _, _, box in detections], wanted.boxes_xyxy_px, atol=1e-2)
    assert "answers as `hybrid predict --whole` does" in done.stdout
    best = runner.detections(answers, score=0.0)
    assert [row[1] for row in best] == sorted((row[1] for row in best), reverse=True)
    with pytest.raises(ValueError, match=r"\(48, 32, 3\) came; this file takes \(32, 48, 3\)"):
        runner.step(np.zeros((48, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"depth of shape \(48, 32\) came; this file takes \(32, 48\)"):
        runner.step(frames[0], None, np.ones((48, 32), np.float32))
    (tmp_path / "no.onnx").write_bytes(b"no")
    with pytest.raises(RunError, match="holds no detector's step"):
        OnnxDetector(tmp_path / "no.onnx")


@torch.inference_mode()
@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "order"), [(name, "x" if "video" in name else "off") for name in PRESETS], ids=list(PRESETS)
)
def test_every_preset_can_be_exported(preset: str, order: str, tmp_path: Path) -> None:
    """Also with a recurrence over the objects of a frame, whose sort ONNX once lacked."""
    pytest.importorskip("onnxscript", reason='export needs pip install ".[onnx]"')
    from hybrid.predict.onnx import OnnxDetector

    torch.manual_seed(0)
    config = replace(PRESETS[preset](("bolt", "nut")), weights="none", belt_order=order, quiet_start=False)
    detector = Network(config, pretrained=False).eval()
    save_detector(tmp_path / "net.safetensors", detector)
    line = ["-m", "hybrid", "export", "--checkpoint", str(tmp_path / "net.safetensors")]
    line += ["--out", str(tmp_path / "step.onnx"), "--height", "64", "--width", "96"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *line], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 0, done.stderr
    runner, state, carried = OnnxDetector(tmp_path / "step.onnx"), None, None
    for frame in np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3)).astype(np.uint8):
        images = torch.from_numpy(frame).permute(2, 0, 1)[None, None].float() / 255
        with torch.inference_mode():
            output, state = detector(images, state)
        answers, carried = runner.step(frame, carried, None)
        np.testing.assert_allclose(answers["scores"], output.logits[0, 0].sigmoid(), atol=1e-3)


def test_a_memory_with_empty_places_is_a_shorter_memory() -> None:
    """What ONNX's fixed sizes rest on, and streams that begin at different times."""
    detector = small_detector()
    images = torch.rand(1, 4, 3, 32, 48)
    state = replace(detector(images[:, :1])[1], memory=None, hidden=(), tracks=None, clip=None)
    tokens = detector(images[:, :1])[1].memory.shape[2:]
    padded = replace(state, memory=torch.full((1, 2, *tokens), 7.0), remembered=torch.zeros(1, dtype=torch.int64))
    plain = None
    for k in range(4):
        one, plain = detector(images[:, k : k + 1], plain)
        other, padded = detector(images[:, k : k + 1], padded)
        torch.testing.assert_close(other.logits, one.logits, rtol=0, atol=1e-5)
        assert padded.remembered.tolist() == [min(k + 1, 2)]
    torch.testing.assert_close(padded.memory, plain.memory)


@torch.inference_mode()
def test_bfloat16_scores_and_boxes_are_near_float32s() -> None:
    """Of the dense proposals, whose order is fixed: 0.03 in a score, 3 % of a point's first box in an edge."""
    detector = small_detector()
    images = torch.rand(1, 2, 3, 64, 64)
    exact, _ = detector(images)
    with torch.autocast("cpu", torch.bfloat16):
        rough, _ = detector(images)
    scores = rough.proposals.logits.float().sigmoid(), exact.proposals.logits.sigmoid()
    torch.testing.assert_close(*scores, rtol=0, atol=0.03)
    side = torch.tensor([ANCHOR_PX[int(stride)] for stride in exact.proposals.strides_px])
    off = (rough.proposals.boxes_xyxy_px - exact.proposals.boxes_xyxy_px).abs().amax(-1)[0]
    assert (off / side).max() < 0.03


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_one_frame_on_the_cpu_needs_little_memory() -> None:
    """By VmHWM: ru_maxrss of a new process begins at the peak of the process that started it (here: of all tests)."""
    code = """
import torch
from dataclasses import replace
from pathlib import Path
from hybrid.core.config import base
from hybrid.model.network import Network
def peak_mb():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
torch.set_num_threads(1)
before = peak_mb()
detector = Network(replace(base(("a", "b", "c")), branches="cnn+rnn+transformer", tracks=50)).eval()
state = None
with torch.inference_mode():
    for _ in range(2):
        _, state = detector(torch.rand(1, 1, 3, 480, 640), state)
print(peak_mb() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert 100 < float(done.stdout) < MEMORY_LIMIT_MB  # the weights alone are over 100 MB
