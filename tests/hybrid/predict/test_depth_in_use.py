"""Depth beside pictures in use: the pixels that it lies under, who gets it, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hybrid import Detector
from hybrid.cli import app
from hybrid.core.errors import DataError
from hybrid.data.pixels import decode, decode_depth_m
from hybrid.data.shards import read_shards
from hybrid.model.network import Network
from hybrid.predict.io.sources import DepthFolder, open_source
from hybrid.predict.io.video import SourceFrame
from hybrid.predict.stream import predict_source, stream
from hybrid.predict.tiles import View, cut, cut_depth, layout
from hybrid.weights.checkpoint import save_detector
from hybrid.weights.record import RUN
from tests.hybrid.photos import CATEGORIES
from tests.hybrid.variants import full

WHOLE = View(tile_px=None, scales=(1.0,), limit=20)
HEIGHT, WIDTH = 48, 64


def network(**changes: object) -> Network:
    torch.manual_seed(0)
    made = Network(
        full(
            CATEGORIES,
            width=16,
            heads=2,
            queries=12,
            head_convs=1,
            inputs=("rgb", "depth"),
            **changes,
        )
    )
    with torch.no_grad():
        for p in [*made.decoder.parameters(), *made.depth.parameters()]:
            p += 0.1 * torch.randn_like(p)
    return made.eval()


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(network(), WHOLE, 0.0)


def pictures(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, HEIGHT, WIDTH, 3)).astype(np.uint8)


def depths(count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.3, 0.6, (count, HEIGHT, WIDTH)).astype(np.float32)


def test_depth_lies_under_its_own_pixels_in_every_tile_and_scale() -> None:
    across = np.tile(np.arange(WIDTH), (HEIGHT, 1)) + 1
    ramp = np.repeat(across[..., None], 3, 2).astype(np.uint8)
    view = View(tile_px=40, overlap_px=10, scales=(1.0, 0.5, 1.5))
    tiles = layout(WIDTH, HEIGHT, view)
    pairs = list(zip(cut(ramp, tiles), cut_depth(across.astype(np.float32), tiles), tiles, strict=True))
    assert len(pairs) > 6
    for image, depth_m, tile in pairs:
        assert image.shape[1:] == depth_m.shape
        inside = (slice(0, tile.height), slice(0, tile.width))
        apart = (image[0].float() - depth_m)[inside].abs()
        assert apart.max() <= (0 if tile.scale_xy == (1.0, 1.0) else 1)
        beyond = depth_m.clone()
        beyond[inside] = 0
        assert (beyond == 0).all()
        assert (depth_m[inside] > 0).all()


def test_a_clip_and_its_depth_are_answered_as_the_network_answers_them(detector: Detector) -> None:
    images, depth_m = pictures(), depths()
    with torch.inference_mode():
        batch = torch.from_numpy(images).permute(0, 3, 1, 2)[None].float() / 255
        output, _ = detector.network(batch, depth_m=torch.from_numpy(depth_m)[None])
    expected = output.logits[0].sigmoid().flatten(1).max(1).values
    results = detector.predict(images, depth_m)
    np.testing.assert_allclose([one.scores.max() for one in results], expected, atol=1e-5)
    without = detector.predict(images)
    assert max(abs(a.scores.max() - b.scores.max()) for a, b in zip(results, without, strict=True)) > 1e-3
    unknown = detector.predict(images, np.zeros_like(depth_m))
    np.testing.assert_allclose([one.scores.max() for one in unknown], [one.scores.max() for one in without], atol=1e-6)
    single = detector.predict(images[0], depth_m[0])
    np.testing.assert_allclose(single.scores, results[0].scores, atol=1e-6)


def test_streams_with_and_without_depth_do_not_disturb_each_other(detector: Detector) -> None:
    seen = [SourceFrame("", image, None, depth_m) for image, depth_m in zip(pictures(), depths(), strict=True)]
    blind = [replace(frame, depth_m=None) for frame in seen]
    together = list(detector.streams([seen, blind]))
    for place, frames in enumerate((seen, blind)):
        for row, alone in zip(together, detector.stream(frames), strict=True):
            np.testing.assert_allclose(row[place].scores, alone.scores, atol=1e-5)


def test_measuring_gives_a_detector_of_depth_the_frames_own(tiny_data_set: Path) -> None:
    source = read_shards(tiny_data_set)
    one = replace(source, clips=source.clips[:1])
    frames = one.clips[0].frames
    made = Network(replace(network().config, categories=source.categories)).eval()
    with torch.no_grad():
        for p in made.depth.parameters():
            p += 0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
    detections = predict_source(made, one, WHOLE)
    given = list(stream(made, map(decode, frames), WHOLE, map(decode_depth_m, frames)))
    blind = list(stream(made, map(decode, frames), WHOLE))
    for a, b in zip(detections, given, strict=True):
        torch.testing.assert_close(a.scores, b.scores)
    assert any(
        len(a.scores) != len(b.scores) or (a.scores != b.scores).any() for a, b in zip(detections, blind, strict=True)
    )


def folders(path: Path, unit_m: float) -> tuple[Path, Path]:
    """Pictures, and depth of all but the last of them."""
    for name in ("rgb", "depth"):
        (path / name).mkdir()
    for k, (image, depth_m) in enumerate(zip(pictures(), depths(), strict=True)):
        cv2.imwrite(str(path / f"rgb/{k}.png"), image[..., ::-1])
        if k < 2:
            cv2.imwrite(str(path / f"depth/{k}.png"), np.rint(depth_m / unit_m).astype(np.uint16))
    return path / "rgb", path / "depth"


def test_the_command_reads_a_depth_cameras_pictures(detector: Detector, tmp_path: Path) -> None:
    rgb, depth = folders(tmp_path, 0.0001)
    (tmp_path / "run").mkdir()
    save_detector(tmp_path / "run/ema.safetensors", detector.network)
    (tmp_path / "run" / RUN).write_text(json.dumps({"train": {"tile_px": 96}}))
    line = ["predict", "--checkpoint", str(tmp_path / "run"), "--source", str(rgb), "--depth", str(depth)]
    line += ["--depth-unit", "0.0001", "--whole", "--score", "0.0", "--out", str(tmp_path / "found")]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert "image used without depth: depth file missing: 1, such as 2.png" in done.stderr
    told = [json.loads(row) for row in (tmp_path / "found/detections.jsonl").read_text().splitlines()]
    wanted = [detector.predict(pictures()[k], depths()[k] if k < 2 else None).scores.max() for k in range(3)]
    np.testing.assert_allclose([row["detections"][0]["score"] for row in told], wanted, atol=2e-3)


def test_depth_that_does_not_fit_is_refused(detector: Detector, tmp_path: Path) -> None:
    image, depth_m = pictures(1)[0], depths(1)[0]
    with pytest.raises(ValueError, match=r"depth of float32 \(24, 64\) came with a frame of \(48, 64\)"):
        detector.predict(image, depth_m[:24].copy())
    with pytest.raises(ValueError, match="depth of 2 frames came with 3 images"):
        detector.predict(pictures(), depths(2))
    with pytest.raises(ValueError, match=r"depth is given; this detector's inputs are \['rgb'\]"):
        Detector(Network(full(CATEGORIES, width=16, heads=2)), WHOLE).predict(image, depth_m)
    with pytest.raises(DataError, match="is no folder of depth pictures"):
        DepthFolder(tmp_path / "none")
    with pytest.raises(DataError, match=r"a depth unit of 1000\.0 m"):
        DepthFolder(tmp_path, 1000.0)
    with pytest.raises(DataError, match="depth pictures go with pictures"):
        open_source([image], depth=DepthFolder(tmp_path))
    cv2.imwrite(str(tmp_path / "grey.png"), image)
    assert DepthFolder(tmp_path).of(tmp_path / "grey.jpg") == "depth file is not of one channel of 16 bits"
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert DepthFolder(tmp_path).of(tmp_path / "broken.jpg") == "depth file cannot be decoded"
