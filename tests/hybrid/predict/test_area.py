"""Parts are looked for in an area of the picture: what lies beside it is left out, hidden parts too."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hybrid import Detector
from hybrid.cli import app
from hybrid.core.config import tiny
from hybrid.core.errors import ConfigError, InputError
from hybrid.core.types import Detections
from hybrid.model.network import Network
from hybrid.predict import detector as module
from hybrid.predict.counting import Region
from hybrid.predict.counting.given import given_area
from hybrid.predict.io.drawing import AREA_COLOUR
from hybrid.predict.io.video import Source, SourceFrame
from hybrid.predict.stream import TileStates
from hybrid.predict.tiles import WHOLE
from hybrid.weights.checkpoint import save_detector

HEIGHT, WIDTH = 48, 100
LEFT = Region.rectangle(0, 0, 0.5, 1)


def network() -> Network:
    torch.manual_seed(0)
    return Network(tiny(("bolt",)))


def seen_at(monkeypatch: pytest.MonkeyPatch, x_px: list[float]) -> Source:
    """A video of one part of 10 px whose centre is at these x, and a network that finds it in each frame."""
    left = iter(x_px)

    def step(*_: object) -> list[tuple[Detections, TileStates]]:
        x = next(left)
        box = torch.tensor([[x - 5, 20, x + 5, 30]])
        return [(Detections(box, torch.tensor([0.9]), torch.tensor([0])), TileStates((HEIGHT, WIDTH), ()))]

    monkeypatch.setattr(module, "step", step)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frames = [SourceFrame(f"f{number}", image, number / 10, None, still=False) for number in range(len(x_px))]
    return Source("belt", [frames], frames_per_s=10.0)


def centres(results: list[module.Result]) -> list[float]:
    return [float(box[[0, 2]].mean()) for result in results for box in result.boxes_xyxy_px]


def test_a_part_is_told_until_its_centre_leaves_the_area(monkeypatch: pytest.MonkeyPatch) -> None:
    way = [20.0, 28.0, 36.0, 44.0, 52.0, 60.0, 68.0]
    everywhere = list(Detector(network(), WHOLE, 0.3).stream(seen_at(monkeypatch, way)))
    assert len(centres(everywhere)) == len(way)
    inside = list(Detector(network(), WHOLE, 0.3, area=LEFT).stream(seen_at(monkeypatch, way)))
    assert [len(result) for result in inside] == [1, 1, 1, 1, 0, 0, 0]  # nor is it told as hidden, beyond the edge


def test_stills_are_cut_to_a_polygon(monkeypatch: pytest.MonkeyPatch) -> None:
    triangle = Region(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    seen_at(monkeypatch, [40.0, 60.0])  # y is 25 of 48: the edge is at x = 47.9
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    results = Detector(network(), WHOLE, 0.3, area=triangle).predict([image, image])
    assert isinstance(results, list)
    assert centres(results) == [40.0]


def test_an_area_beside_the_picture_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    video = seen_at(monkeypatch, [20.0])
    with pytest.raises(InputError, match="f0: the area lies outside the picture of 100x48 px"):
        list(Detector(network(), WHOLE, 0.3, area=Region.rectangle(200, 10, 300, 40)).stream(video))


@pytest.mark.parametrize("text", ["0.5", "0.1,0.2,0.3", "table.yaml", "0.1,0.2,0.3,1.5"])
def test_what_is_no_area_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--area"):
        given_area(text)


def test_the_option_leaves_out_what_lies_beside_and_draws_the_edge(tmp_path: Path) -> None:
    save_detector(tmp_path / "ema.safetensors", network())
    picture = cv2.blur(np.random.default_rng(0).integers(0, 255, (96, 96, 3)).astype(np.uint8), (9, 9))
    cv2.imwrite(str(tmp_path / "part.png"), picture)
    words = ["predict", "--checkpoint", tmp_path / "ema.safetensors", "--source", tmp_path / "part.png", "--score", "0"]
    boxes = {}
    for name, more in (("all", ()), ("left", ("--area", "0,0,0.5,1"))):
        done = CliRunner().invoke(app, [*map(str, words), "--out", str(tmp_path / f"{name}.png"), *more])
        assert done.exit_code == 0, done.stderr
        (line,) = (tmp_path / f"{name}.jsonl").read_text().splitlines()
        boxes[name] = [tuple(one["box_xyxy_px"]) for one in json.loads(line)["detections"]]
    assert 0 < len(boxes["left"]) < len(boxes["all"])
    assert set(boxes["left"]) <= {box for box in boxes["all"] if box[0] + box[2] <= 96}
    drawn = cv2.imread(str(tmp_path / "left.png"))
    assert np.abs(drawn[5:90, 48].astype(int) - AREA_COLOUR).max(1).min() <= 30
