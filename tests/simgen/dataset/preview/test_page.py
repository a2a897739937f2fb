"""The page of scenes: the picture is the camera's own, the labels are numbers, names are text."""

import base64
import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from simgen.dataset.format.reader import DataSet
from simgen.dataset.preview import pictures
from simgen.dataset.preview.outlines import outline, outlines
from simgen.dataset.preview.page import html, page
from simgen.dataset.statistics.draws import Source
from simgen.presets.read import stored_config
from simgen.scene.sampling.sample import sample
from simgen.spec.errors import ShardError


def content_of(text):
    return json.loads(re.search(r'id="content">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture(scope="module")
def shown(occluded_data_set):
    data = DataSet(occluded_data_set)
    source = Source(stored_config(data.manifest.request.config), data.manifest.request.seed, sample)
    return page(data, source, scenes=2, frames=3, title="a belt")


def test_pictures_are_the_cameras_files_and_labels_are_those_stored(shown, occluded_data_set):
    data, content = DataSet(occluded_data_set), content_of(shown)
    assert [scene["index"] for scene in content["scenes"]] == [0, 3]
    for scene in content["scenes"]:
        clip = data.clip(scene["index"])
        assert [frame["frame"] for frame in scene["frames"]] == [0, 2, 4]
        for frame in scene["frames"]:
            kind, _, data64 = frame["picture"].partition(",")
            assert kind == "data:image/jpeg;base64"
            assert base64.b64decode(data64) == clip.jpeg(frame["frame"])
            labels = {part.track_id: part for part in clip.labels().frames[frame["frame"]].parts}
            in_view = [part for part in labels.values() if part.amodal_box_xyxy_px]
            assert [part["id"] for part in frame["parts"]] == [part.track_id for part in in_view]
            for part in frame["parts"]:
                box = labels[part["id"]].box_xyxy_px
                assert part["box"] == (None if box is None else list(box))
                assert bool(part["outline"]) == (box is not None)


def test_every_knob_that_varies_is_shown_with_its_place(shown, occluded_data_set):
    content = content_of(shown)
    for scene in content["scenes"]:
        rows = {path: (text, limits, places) for path, text, limits, places in scene["knobs"]}
        focal = DataSet(occluded_data_set).clip(scene["index"]).spec().camera.focal_px
        text, limits, places = rows["camera.focal_px"]
        assert (text, limits) == (f"{focal:.4g}", "240 to 260")
        assert places == [pytest.approx((focal - 240) / 20, abs=1e-3)]


def test_a_scene_that_was_changed_shows_no_knobs(occluded_data_set, tmp_path):
    shutil.copytree(occluded_data_set, tmp_path / "data")
    path = tmp_path / "data" / "shard-00000.tar"
    path.write_bytes(re.sub(rb'"gamma":\d', b'"gamma":9', path.read_bytes(), count=1))
    data = DataSet(tmp_path / "data")
    source = Source(stored_config(data.manifest.request.config), data.manifest.request.seed, sample)
    knobs = [scene["knobs"] for scene in content_of(page(data, source, scenes=2, frames=1))["scenes"]]
    assert [bool(rows) for rows in knobs] == [False, True]


def area(path):
    """The area inside an outline: its rings turn one way outside and the other way round holes."""
    total = 0.0
    for ring in filter(None, path.split("M")):
        x, y = np.array([point.split() for point in ring.removesuffix("Z").split("L")], float).T
        total += (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    return abs(total)


def test_an_outline_runs_round_the_pixels_and_their_holes():
    y, x = np.mgrid[:60, :80]
    ring = (np.hypot(x - 40, y - 30) < 25) & (np.hypot(x - 40, y - 30) > 10)
    assert area(outline(ring)) == pytest.approx(ring.sum(), rel=0.035)
    square = np.ones((4, 6), bool)
    corners = {tuple(map(float, point.split())) for point in outline(square, 10, 20)[1:-1].split("L")}
    low, high = np.min(list(corners), axis=0), np.max(list(corners), axis=0)
    assert np.allclose(low, (10, 20), atol=0.3)
    assert np.allclose(high, (16, 24), atol=0.3)
    ids = np.where(ring, 2, -1).astype(np.int32)
    assert list(outlines(ids, [0, 2])) == [2]


def test_pictures_that_do_not_fit_are_made_smaller_and_the_scale_is_told(occluded_data_set):
    image = np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    text, scale = pictures.Room(60_000).fitted(jpeg)
    assert text.startswith("data:image/webp;base64,")
    assert len(base64.b64decode(text.partition(",")[2])) <= 60_000
    assert 0.2 <= scale < 1
    assert pictures.Room.of(1000).bytes_each * 1000 <= pictures.PAGE_BYTES


def test_names_from_outside_are_data_and_the_page_asks_for_nothing(shown):
    hostile = "</script><img src=x onerror=alert(1)>\u202e"
    text = html({**content_of(shown), "preset": hostile}, hostile)
    assert content_of(text)["preset"] == hostile
    assert "<img src=x" not in text
    assert text.count("</script>") == 2
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert set(re.findall(r"https?://[\w./]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text


def test_a_damaged_picture_is_an_error_that_names_it(occluded_data_set, tmp_path):
    shutil.copytree(occluded_data_set, tmp_path / "data")
    member = DataSet(tmp_path / "data")[0].members["f000.jpg"]
    with (tmp_path / "data" / "shard-00000.tar").open("r+b") as file:
        file.seek(member.offset)
        file.write(b"\0" * member.size)
    with pytest.raises(ShardError, match=r"'f000.jpg' of clip 0 is damaged"):
        page(DataSet(tmp_path / "data"), None, scenes=1, frames=1)


@pytest.mark.slow
def test_a_browser_draws_a_box_for_each_part_and_reports_no_error(shown, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium on this machine")
    told = "<script>onerror = text => document.title = `error: ${text}`;</script>"
    (tmp_path / "page.html").write_text(shown.replace("<main>", f"{told}<main>"))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{tmp_path}/page.html"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    parts = content_of(shown)["scenes"][0]["frames"][0]["parts"]
    assert "<title>a belt</title>" in dom
    assert dom.count("<rect ") == sum(part["box"] is not None for part in parts) > 0
    assert dom.count("<path ") == sum(bool(part["outline"]) for part in parts)
