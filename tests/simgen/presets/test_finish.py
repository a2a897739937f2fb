"""`simgen finish fit` finds the finishes of photographed parts: of pictures of parts whose finish it does not know."""

import json
import math
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from simgen.camera.sensor import decode
from simgen.cli.common import app
from simgen.cli.fit import _folder_for_scenes
from simgen.dataset.format.reader import DataSet
from simgen.presets.fit_finish.fit import FEWEST, LEAST_PARTS, LEAST_SHARE, _misfit, fit_finishes, fitted_weights, probe
from simgen.presets.fit_finish.looks import FEATURES, GAMMA, look
from simgen.presets.fit_finish.read import photographed, simulated
from simgen.presets.read import load_config
from simgen.scene.sampling.sample import sample
from simgen.spec.colour import hsv_from_linear, linear_from_hsv
from simgen.spec.errors import ConfigError, FinishError, ShardError
from tests.simgen.dataset.check.test_check_hostile import bomb, sealed, with_picture
from tests.simgen.generation.test_generate import in_this_process
from tests.simgen.generation.test_generate import run as render

SIZE = 60
DISC = np.hypot(*np.mgrid[-30:30, -30:30]) < 12
NO_PARTS = np.zeros((SIZE, SIZE), bool)


def picture(part_rgb, ground_rgb, exposure=1.0):
    linear = np.where(DISC[..., None], np.asarray(part_rgb), np.asarray(ground_rgb)) * exposure
    return np.uint8(np.round(255 * linear ** (1 / GAMMA)))


def looked_at(image, parts=NO_PARTS):
    result = look(image, DISC, parts | DISC, "washer")
    assert result is not None
    return dict(zip(FEATURES, result.features, strict=True)), result.ground


# --- looks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exposure", [1.0, 0.4])
def test_a_flat_part_looks_as_its_colours_say_at_any_exposure(exposure):
    numbers, ground = looked_at(picture((0.3, 0.4, 0.6), (0.8, 0.8, 0.8), exposure))
    light = 0.2126 * 0.3 + 0.7152 * 0.4 + 0.0722 * 0.6
    assert numbers["brightness"] == pytest.approx(math.log(light / 0.8), abs=0.03)
    assert numbers["red"] == pytest.approx(math.log(0.3 / 0.4), abs=0.03)
    assert numbers["blue"] == pytest.approx(math.log(0.6 / 0.4), abs=0.03)
    assert [numbers[name] for name in ("spread", "highlights", "shadows")] == pytest.approx([0, 0, 0], abs=1e-6)
    assert ground == pytest.approx([0, 0], abs=0.02)


def test_highlights_and_shadows_are_separate_features():
    image = picture((0.3, 0.3, 0.3), (0.8, 0.8, 0.8))
    image[20:23, 24:36] = 255
    numbers, _ = looked_at(image)
    assert numbers["highlights"] > 0.8
    assert numbers["shadows"] == pytest.approx(0, abs=0.02)


def test_other_parts_are_no_ground():
    image = picture((0.3, 0.3, 0.3), (0.8, 0.8, 0.8))
    other = np.zeros_like(DISC)
    other[:, :24] = True
    image[other & ~DISC] = 0
    numbers, _ = looked_at(image, other)
    assert numbers["brightness"] == pytest.approx(math.log(0.3 / 0.8), abs=0.03)
    assert look(image, DISC, np.ones_like(DISC), "washer") is None


def test_a_part_of_too_few_pixels_is_left_out():
    speck = np.hypot(*np.mgrid[-30:30, -30:30]) < 4
    assert look(picture((0.3, 0.3, 0.3), (0.8, 0.8, 0.8)), speck, speck, "washer") is None


@given(st.floats(0, 359.9), st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_hue_saturation_and_value_come_back(hue, saturation, value):
    hsv = hsv_from_linear(linear_from_hsv(hue, saturation, value))
    assert (hsv[0] - hue + 180) % 360 - 180 == pytest.approx(0, abs=0.01)
    assert hsv[1:] == pytest.approx((saturation, value), abs=1e-5)


# --- weights ----------------------------------------------------------------------------------------------------------


def test_weights_that_go_by_the_finish_bring_the_looks_to_the_photographs():
    rng = np.random.default_rng(0)
    finish = rng.normal(size=(3000, 2))
    looks = finish @ np.array([[1.0, 0.5], [0.0, 1.0]]) + rng.normal(0, 0.3, (3000, 2))
    weights = fitted_weights(finish, looks, np.array([0.5, -0.3]))
    assert weights.sum() == pytest.approx(1)
    assert weights @ looks == pytest.approx([0.5, -0.3], abs=0.02)
    assert weights @ finish == pytest.approx([0.5, -0.55], abs=0.05)


def test_what_the_light_does_is_not_taken_for_finish():
    rng = np.random.default_rng(0)
    finish, light = rng.normal(size=(4000, 1)), rng.normal(size=4000)
    weights = fitted_weights(finish, np.stack([light, finish[:, 0]], axis=1), np.array([1.0, 0.4]))
    assert weights @ light == pytest.approx(0, abs=0.1)
    assert weights @ finish[:, 0] == pytest.approx(0.4, abs=0.02)


def test_weights_are_equal_where_nothing_is_to_be_moved():
    finish = np.random.default_rng(0).normal(size=(500, 2))
    assert fitted_weights(finish, finish, finish.mean(axis=0)) == pytest.approx(np.full(500, 1 / 500), rel=1e-3)


@pytest.mark.parametrize("parts", [60, 500])
def test_weights_never_rest_on_a_few_parts_whatever_is_asked(parts):
    finish = np.random.default_rng(0).normal(size=(parts, 2))
    weights = fitted_weights(finish, finish, np.array([9.0, -9.0]))
    assert 1 / (weights**2).sum() >= max(LEAST_SHARE * parts, LEAST_PARTS)
    assert (weights @ finish)[0] > 0.3
    assert (weights @ finish)[1] < -0.3


def test_the_misfits_gradient_is_its_own():
    rng = np.random.default_rng(0)
    finish, looks, aim, tilt = (
        rng.normal(size=(50, 4)),
        rng.normal(size=(50, 3)),
        rng.normal(size=3),
        rng.normal(size=4),
    )
    _, gradient = _misfit(tilt, finish, looks, aim, 0.7)
    steps = 1e-6 * np.eye(4)
    numeric = [(_misfit(tilt + s, finish, looks, aim, 0.7)[0] - _misfit(tilt - s, finish, looks, aim, 0.7)[0]) / 2e-6
               for s in steps]  # fmt: skip
    assert gradient == pytest.approx(numeric, abs=1e-6)


# --- a finish by the kind of part -------------------------------------------------------------------------------------

TWO = (
    "parts.kinds.hex_bolt.finishes.weights.dark=1",
    "parts.kinds.hex_screw.finishes.weights.dark=1",
    "parts.kinds.washer.finishes.weights.yellow_zinc=1",
    "texture.finishes.dark.weight=0",
)  # fmt: skip


def test_each_kind_of_part_has_its_own_finishes():
    config = load_config("bolts_on_table", TWO)
    hues = {"bolt": set(), "washer": set()}
    for i in range(3):
        for part in sample(config, 0, i).parts:
            hue, saturation, value = hsv_from_linear(part.material.rgb)
            hues[part.category].add((18 <= hue <= 50.1 and saturation >= 0.149, value <= 0.601))
    assert all(yellow for yellow, _ in hues["washer"])
    assert all(dark for _, dark in hues["bolt"])


def test_kinds_without_finishes_of_their_own_are_drawn_as_before():
    plain, other = load_config("bolts_on_table"), load_config("bolts_on_table", ["parts.kinds.washer.weight=0.6"])
    all_of_them = [f"parts.kinds.washer.finishes.weights.{n}={f.weight}" for n, f in plain.texture.finishes.items()]
    assert sample(load_config("bolts_on_table", all_of_them), 0, 1).parts == sample(other, 0, 1).parts


def test_an_unknown_finish_is_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match=r"no finish 'zink'; did you mean 'zinc'\?"):
        load_config("bolts_on_table", ["parts.kinds.washer.finishes.weights.zink=1"])


# --- reading ----------------------------------------------------------------------------------------------------------


def coco(folder, outlines, file_name="a.png", category="washer"):
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "a.png"), np.zeros((80, 90, 3), np.uint8))
    document = {
        "images": [{"id": 1, "file_name": file_name, "width": 90, "height": 80}],
        "categories": [{"id": 7, "name": category}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "segmentation": outline}
            for i, outline in enumerate(outlines)
        ],
    }
    (folder / "a.json").write_text(json.dumps(document))
    return folder / "a.json"


SQUARE = [[20, 20, 60, 20, 60, 60, 20, 60]]
BAD = {
    "no outline": ([[], []], {}, "no annotation has an outline"),
    "a point": ([[[1, 2]]], {}, "annotation 0: its outline is invalid: needs x, y of three points"),
    "text": ([[["1", 2, 3, 4, 5, 6]]], {}, "needs numbers"),
    "far away": ([[[1e9, 2, 3, 4, 5, 6]]], {}, "needs numbers under"),
    "short runs": ([{"counts": [5], "size": [80, 90]}], {}, "are no run lengths of 90 x 80 pixels"),
    "no runs": ([{"size": [80, 90]}], {}, "its outline is invalid"),
    "gone": ([SQUARE], {"file_name": "b.png"}, "there is no 'b.png' beside it"),
    "outside": ([SQUARE], {"file_name": "../../etc/passwd"}, "lies outside of its folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_invalid_outlines_are_refused(tmp_path, name):
    outlines, more, message = BAD[name]
    with pytest.raises(FinishError, match=message):
        photographed(coco(tmp_path / "photos", outlines, **more))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "needs a list under 'images'"),
        ('{"images": [{}], "annotations": [], "categories": []}', r"images\[0\] has no 'id'"),
    ],
)
def test_a_file_that_is_no_coco_json_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FinishError, match=message):
        photographed(tmp_path / "a.json")
    with pytest.raises(FinishError, match="there is no such file"):
        photographed(tmp_path / "b.json")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(FinishError, match="is no plain file"):
        photographed(tmp_path / "pipe.json")


def test_what_is_bad_among_good_is_left_out_and_named(tmp_path):
    path = coco(tmp_path / "photos", [SQUARE, [[1, 2]], SQUARE])
    document = json.loads(path.read_text())
    document["images"] += [{"id": 2, "file_name": "gone.png"}, {"id": 3, "file_name": "bad.png"}]
    document["images"] += [{"id": 4, "file_name": "a\0.png"}, {"id": 5, "file_name": "x" * 5000}]
    document["annotations"] += [
        {"id": 9, "image_id": i, "category_id": 7, "bbox": [0, 0, 9, 9], "segmentation": SQUARE} for i in (2, 3, 4, 5)
    ]
    path.write_text(json.dumps(document))
    (tmp_path / "photos" / "bad.png").write_bytes(b"hello")
    reasons: list[str] = []
    assert len(photographed(path, reasons.append)) == 2
    texts = (
        "annotation 1: its outline",
        "no 'gone.png'",
        "bad.png: cannot be read",
        "is no file's name",
        "is no file's",
    )
    assert len(reasons) == len(texts)
    assert all(text in reason for text, reason in zip(texts, reasons, strict=True))


def test_run_lengths_and_polygons_say_the_same(tmp_path):
    mask = np.zeros((80, 90), np.uint8)
    cv2.fillPoly(mask, [np.array(SQUARE[0]).reshape(-1, 2)], 1)
    changes = np.flatnonzero(np.diff(mask.T.ravel(), prepend=0, append=0))
    runs = [int(n) for n in np.diff([0, *changes, mask.size])]
    result = photographed(coco(tmp_path / "photos", [SQUARE, {"counts": runs, "size": [80, 90]}]))
    assert len(result) == 2
    assert (result[0].features == result[1].features).all()


def test_too_few_parts_are_counted(tmp_path):
    real = photographed(coco(tmp_path / "photos", [SQUARE] * 3))
    with pytest.raises(FinishError, match=f"needs {FEWEST} parts .* washer: 3 photographed with outlines, 0 simulated"):
        fit_finishes(real, [])


# --- the whole line ---------------------------------------------------------------------------------------------------

CLOSE = (
    "parts.count.low=24", "parts.count.high=30", "clutter.count.low=0", "clutter.count.high=0",
    "clutter.occluders.high=0", "parts.spread.low=0.35", "parts.spread.high=0.4", "camera.width_px=320",
    "camera.height_px=240", "camera.distance_m.low=0.8", "camera.distance_m.high=0.8", "camera.aim.low=0",
    "camera.aim.high=0.1", "camera.focal_px.low=900", "camera.focal_px.high=900", "camera.elevation_deg.low=50",
    "parts.kinds.washer.diameter_mm.low=10", "stage.sheets.weights.none=9", "render.supersample=1",
    "timing.settle_s=0.2",
)  # fmt: skip
COPPER = (
    "texture.finishes.dark.colour={hue_deg: {low: 10, high: 30}, saturation: {low: 0.3, high: 0.4}, "
    "value: {low: 0.8, high: 0.9}}",
    "texture.finishes.dark.roughness={low: 0.3, high: 0.4}", "parts.kinds.washer.finishes.weights.dark=1",
)  # fmt: skip


def run(*arguments, status=0):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def copper(tmp_path_factory):
    """Pictures with outlines of scenes whose washers are of copper, a base that has none, and what came of them."""
    folder = tmp_path_factory.mktemp("finish")
    (folder / "base.yaml").write_text("base: bolts_on_table\n")
    base = yaml.safe_load((folder / "base.yaml").read_text())
    config = load_config("bolts_on_table", CLOSE)
    for group in ("parts", "clutter", "camera", "stage", "render", "timing"):
        base[group] = config.model_dump(mode="json", exclude_none=True)[group]
    (folder / "base.yaml").write_text(yaml.safe_dump(base))
    sets = [argument for value in (*COPPER, "timing.frames=1") for argument in ("--set", value)]
    run("render", "--preset", folder / "base.yaml", "--scenes", 5, "--seed", 5, "--out", folder / "real", *sets)
    run("export", folder / "real", "--format", "coco", "--out", folder / "photos")
    ask = ["finish", "fit", next((folder / "photos").rglob("*.json")), "--base", folder / "base.yaml", "--scenes", 12,
           "--renderer", "tiny", "--work", folder / "probe", "--out", folder / "parts.yaml"]  # fmt: skip
    return folder, ask, run(*ask)


@pytest.mark.slow
def test_copper_washers_are_found_to_be_of_copper_and_zinc_bolts_are_not(copper):
    folder, _, output = copper
    finishes = load_config(str(folder / "parts.yaml")).texture.finishes
    hue = finishes["fitted_washer"].colour.hue_deg
    assert abs(((hue.low + hue.high) / 2 - 20 + 180) % 360 - 180) < 45  # copper's is 10 to 30
    assert hue.high - hue.low < 110
    assert finishes["fitted_washer"].colour.saturation.high > 0.2
    assert "washer:" in output
    assert "brightness" in output
    if "fitted_bolt" in finishes:
        bolt = finishes["fitted_bolt"].colour
        assert bolt.saturation.low + bolt.saturation.high < sum((0.2, finishes["fitted_washer"].colour.saturation.high))


@pytest.mark.slow
def test_what_is_written_is_drawn_and_looks_more_like_the_photographs(copper):
    folder, _, _ = copper
    config = load_config(str(folder / "parts.yaml"))
    washers = [p.material for i in range(4) for p in sample(config, 0, i).parts if p.category == "washer"]
    reddish = np.mean([m.rgb[0] > 1.15 * m.rgb[2] for m in washers])
    before = [p.material for i in range(4) for p in sample(load_config("bolts_on_table"), 0, i).parts]
    assert reddish > 0.6 > 0.3 > np.mean([m.rgb[0] > 1.15 * m.rgb[2] for m in before])
    assert min(len(washers), len(before)) > 20


@pytest.mark.slow
def test_a_second_run_uses_the_scenes_of_the_first(copper):
    folder, ask, _ = copper
    written = (folder / "parts.yaml").read_bytes()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "probe").glob("*.tar")}
    assert "parts.yaml is there already; give another name, or --overwrite" in run(*ask, status=2)
    run(*ask, "--overwrite")
    assert (folder / "parts.yaml").read_bytes() == written
    assert {path: path.stat().st_mtime_ns for path in (folder / "probe").glob("*.tar")} == kept


@pytest.mark.slow
def test_errors_come_in_a_line_and_leave_what_was_written(copper, tmp_path):
    folder, ask, _ = copper
    out = tmp_path / "parts.yaml"
    out.write_text("mine")
    broken = tmp_path / "photos" / "a.json"
    shutil.copytree(folder / "photos", broken.parent, dirs_exist_ok=True)
    broken.write_text("{")
    output = run(*["finish", "fit", broken, *ask[3:-1], out, "--overwrite"], status=2)
    assert output.startswith("simgen: ")
    assert "cannot be read as JSON" in output
    assert out.read_text() == "mine"


def test_procedural_materials_are_refused():
    with pytest.raises(FinishError, match=r"matter\.parts: .* procedural materials"):
        probe(load_config("workshop"))


def test_scenes_are_kept_in_a_folder_that_was_named_and_nowhere_else(tmp_path):
    with _folder_for_scenes(None) as folder:
        assert Path(folder).is_dir()
        assert Path().resolve() not in Path(folder).resolve().parents
        (Path(folder) / "shard").write_text("x")
    assert not Path(folder).exists()
    with _folder_for_scenes(str(tmp_path)) as folder:
        assert folder == str(tmp_path)
    assert tmp_path.is_dir()


def test_a_first_frame_that_is_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    render(tmp_path, engine=in_this_process, scenes=2, shard_scenes=1)
    hostile = bomb(32_000, 32_000)
    sealed(tmp_path, with_picture(0, hostile))
    given = "simgen.presets.fit_finish.read.decode"
    monkeypatch.setattr(given, lambda data: decode(data) if data != hostile else pytest.fail("was decoded"))
    with pytest.raises(ShardError, match="its size is not 48 x 36, as the labels say"):
        simulated(DataSet(tmp_path))
