"""`simgen camera fit` finds the parameters of simulated cameras again, from photographs of scenes it does not know."""

import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from simgen.camera.sensor import decode, develop, expose
from simgen.cli.common import app
from simgen.presets.fit_camera import edges, jpeg, noise
from simgen.presets.fit_camera.fit import fit_camera
from simgen.presets.fit_camera.measures import FIGURES, compare_folders, measure
from simgen.presets.fit_camera.photos import Photo, read_pictures
from simgen.presets.read import load_config
from simgen.spec.errors import CameraError
from tests.simgen.cameras import HEIGHT, PLAIN, WIDTH, field, light, photograph

SCENES = [light(seed) for seed in range(3)]


def fitted(folder, sensor, scenes=SCENES, suffix=".jpg"):
    return fit_camera(read_pictures(photograph(folder / "photos", scenes, sensor, suffix), 24))


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    """A folder of three photographs, to read only."""
    return photograph(tmp_path_factory.mktemp("shot"), SCENES, PLAIN)


def camera_fit(*arguments, status=0):
    result = CliRunner().invoke(app, ["camera", "fit", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.stdout, result.stderr


# --- compression ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [False, True])
def test_jpeg_quality_is_read_exactly_at_every_quality(grey):
    image = SCENES[0][..., :1] if grey else SCENES[0]
    pixels = np.ascontiguousarray(np.uint8(255 * image[:64, :80]))
    for quality in range(1, 101):
        ok, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert ok
        assert jpeg.read_header(data.tobytes()) == jpeg.Header(80, 64, jpeg.Compression(quality, exact=True))


def test_a_table_that_is_not_libjpegs_gets_the_nearest_quality():
    table = jpeg.table_of(80).copy()
    table[5] += 2
    assert jpeg.quality_of(table) == (80, False)


@pytest.mark.parametrize("cut", [0, 1, 3, 20, 60, 150])
def test_a_truncated_jpeg_is_refused(cut):
    data = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    with pytest.raises(ValueError, match="JPEG"):
        jpeg.read_header(data[:cut])


# --- blur and sharpening ----------------------------------------------------------------------------------------------


def test_blur_is_found_within_a_fifth_and_rises_with_the_truth():
    truths = [0.6, 0.9, 1.4, 2.2]
    estimates = []
    for sigma in truths:
        sensor = replace(PLAIN, blur_sigma_px=sigma, full_well_e=20000.0)
        each = [edges.sharpness(noise.luma(decode(expose(scene, sensor, 0)))) for scene in SCENES]
        estimates.append(float(np.median([sharp.blur_sigma_px for sharp in each])))
        assert np.median([sharp.sharpen for sharp in each]) <= (0.3 if sigma < 1.5 else 0.5)  # 1.5 px is the mask's own
    assert estimates == pytest.approx(truths, rel=0.2)
    assert estimates == sorted(estimates)


@pytest.mark.parametrize("truth", [0.5, 1.2])
def test_sharpening_and_blur_are_estimated_separately(truth):
    shown = develop(SCENES[0], replace(PLAIN, blur_sigma_px=0.9, sharpen=truth), 0)
    estimate = edges.sharpness(noise.luma(shown))
    assert estimate.sharpen == pytest.approx(truth, abs=0.2)
    assert estimate.blur_sigma_px == pytest.approx(0.9, rel=0.2)


def test_a_picture_without_edges_has_no_sharpness():
    assert edges.sharpness(noise.luma(develop(field(0.3), replace(PLAIN, full_well_e=5000.0), 0))) is None


# --- noise ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("full_well_e", "read_noise_e", "quality"), [(500.0, 3.0, 95), (2000.0, 5.0, 95), (1500.0, 5.0, 80)])  # fmt: skip  # noqa: E501
def test_noise_is_found_through_development_and_jpeg(tmp_path, full_well_e, read_noise_e, quality):
    """The deviation within 15 % from dark to bright, and so the system gain, 1 / full well, within 30 %.

    The gain as the mean of four cameras that differ in their noise alone: compression and smoothing take noise away, so
    that cameras of 500 electrons read 560 to 654.
    """
    sensor = replace(PLAIN, full_well_e=full_well_e, read_noise_e=read_noise_e, jpeg_quality=quality)
    fit, *others = (fitted(tmp_path / str(k), replace(sensor, seed=sensor.seed + k)) for k in range(4))
    levels = np.array([0.1, 0.3, 0.6])
    truth = np.sqrt(levels / full_well_e + (read_noise_e / full_well_e) ** 2)
    assert fit.model.deviation(levels) == pytest.approx(truth, rel=0.15)
    assert not fit.model.hidden
    mean = np.mean([one.model.full_well_e for one in (fit, *others)])
    assert mean == pytest.approx(full_well_e, rel=0.3)


@pytest.mark.parametrize("read_noise_e", [3.0, 40.0])
def test_flat_fields_separate_read_noise_from_shot_noise(tmp_path, shot, read_noise_e):
    quiet = replace(PLAIN, full_well_e=3000.0, blur_sigma_px=0.0, read_noise_e=read_noise_e)
    flats = photograph(tmp_path, [field(level) for level in (0.05, 0.1, 0.2, 0.4, 0.6)], quiet, ".png")
    model = fit_camera(read_pictures(shot, 9), read_pictures(flats, 9)).model
    assert model.full_well_e == pytest.approx(3000, rel=0.25)
    assert 0.75 * read_noise_e - 12 < model.read_noise_e < 1.25 * read_noise_e + 8  # a few electrons cannot be seen


def test_noise_that_jpeg_hides_is_a_bound_and_says_so(tmp_path):
    fit = fitted(tmp_path, replace(PLAIN, full_well_e=1e6, jpeg_quality=50))
    assert fit.model.hidden
    assert "the most noise that JPEG of quality 50 would hide" in fit.ranges["full_well_e"].how
    assert fit.ranges["full_well_e"].low < 1e6


# --- flat fields ------------------------------------------------------------------------------------------------------


def test_flat_fields_give_vignetting_and_the_fixed_pattern(tmp_path):
    sensor = replace(PLAIN, vignetting=0.3, prnu=0.02, full_well_e=20000.0, blur_sigma_px=0.0)
    photos = photograph(tmp_path / "photos", SCENES, sensor, ".png")
    flats = photograph(tmp_path / "flats", [field(0.5)] * 4, sensor, ".png")
    fit = fit_camera(read_pictures(photos, 9), read_pictures(flats, 9))
    assert fit.ranges["vignetting"].low <= 0.3 + 0.02
    assert fit.ranges["vignetting"].high >= 0.3 - 0.02
    assert fit.ranges["vignetting"].high - fit.ranges["vignetting"].low < 0.08
    assert fit.ranges["prnu"].low < 0.02 < fit.ranges["prnu"].high
    without = fit_camera(read_pictures(photos, 9))
    assert "needs flat fields" in without.not_estimated["vignetting"]
    assert "prnu" in without.not_estimated


def test_flat_fields_that_are_not_flat_are_refused(shot):
    photos = read_pictures(shot, 9)
    with pytest.raises(CameraError, match=r"000\.jpg: not a flat field: it has edges"):
        fit_camera(photos, photos)
    small = Photo("small.png", np.full((64, 64, 3), 90, np.uint8), None)
    with pytest.raises(CameraError, match=rf"small.png: a flat field of 64 x 64 pixels, the photos have {WIDTH}"):
        fit_camera(photos, [small])


# --- light ------------------------------------------------------------------------------------------------------------


def test_white_balance_and_exposure_follow_the_camera():
    def shown(**changed):
        return measure(Photo("a", develop(SCENES[0], replace(PLAIN, **changed), 0), None)).figures

    cast = shown(white_balance=(1.15, 1.0, 0.85))
    assert (cast["red"], cast["blue"]) == pytest.approx((1.15, 0.85), rel=0.03)
    bright, dark = (shown(exposure=exposure)["bright"] ** edges.GAMMA for exposure in (1.0, 0.5))
    assert dark == pytest.approx(bright / 2, rel=0.05)


# --- the preset, the page, the command --------------------------------------------------------------------------------


def test_the_preset_that_is_written_can_be_rendered_from_and_inherited_from(tmp_path):
    folder = photograph(tmp_path / "photos", SCENES, replace(PLAIN, full_well_e=1000.0))
    out = tmp_path / "sensor.yaml"
    stdout, _ = camera_fit(folder, "--out", out, "--base", "tiny")
    assert "sensor.jpeg_quality: 95 to 95: from the files' quantization tables\n" in stdout
    assert "not estimated: prnu" in stdout
    config, base = load_config(str(out)), load_config("tiny")
    assert (config.sensor.jpeg_quality.low, config.sensor.jpeg_quality.high) == (95, 95)
    assert config.sensor.denoise.high == 0
    assert config.sensor.gamma == base.sensor.gamma
    assert config.model_copy(update={"sensor": base.sensor}) == base
    (tmp_path / "line.yaml").write_text("base: sensor.yaml\ncamera: {width_px: 128}\n")
    assert load_config(str(tmp_path / "line.yaml")).sensor == config.sensor
    camera_fit(folder, "--out", tmp_path / "again.yaml", "--base", tmp_path / "line.yaml")
    assert load_config(str(tmp_path / "again.yaml")).camera.width_px == 128


def test_the_page_shows_photographs_and_simulated_pictures_and_runs_nothing(tmp_path):
    real = photograph(tmp_path / "photos", SCENES, replace(PLAIN, exposure=0.5))
    before = photograph(tmp_path / "<before>", SCENES, PLAIN)
    page = tmp_path / "fit.html"
    camera_fit(real, "--out", tmp_path / "s.yaml", "--page", page, "--beside", before, "--beside", real)
    text = page.read_text()
    assert text.count("<svg") == len(FIGURES) == 12
    assert "&lt;before&gt;" in text
    assert "<before>" not in text
    assert "<script" not in text
    by_name = {c.name: c for c in compare_folders(real, before)}
    assert by_name["brightness"].distance > 1
    assert by_name["quality"].distance == 0
    assert all(c.distance == 0 for c in compare_folders(real, real) if len(c.reference))


def test_every_figure_of_a_picture_is_a_number():
    result = measure(Photo("a", develop(SCENES[0], PLAIN, 0), None)).figures
    assert result.keys() == FIGURES.keys()
    assert np.isnan([v for name, v in result.items() if name == "quality"]).all()
    assert not np.isnan([v for name, v in result.items() if name != "quality"]).any()


def test_a_data_set_can_stand_in_a_folders_place(tiny_data_set):
    photos = read_pictures(tiny_data_set, 4)
    assert len(photos) == 4
    assert photos[0].image.shape == (96, 128, 3)


# --- what cannot be read ----------------------------------------------------------------------------------------------


def test_bad_folders_are_refused_in_one_line(shot, tmp_path):
    empty, few, mixed, inner, bad = (tmp_path / name for name in ("empty", "few", "mixed", "inner", "bad"))
    empty.mkdir()
    for folder in (few, mixed, bad, inner / "images"):
        shutil.copytree(shot, folder)
    (few / "000.jpg").unlink()
    for i in range(3):
        cv2.imwrite(str(mixed / f"zz{i}.png"), np.zeros((70, 90, 3), np.uint8))
    (bad / "001.jpg").write_bytes(b"hello")
    cases = {
        tmp_path / "none": "no such folder",
        empty: "needs at least 3 .jpg or .png files, there are 0",
        few: "needs at least 3 .jpg or .png files, there are 2",
        mixed: f"pictures of different sizes ({mixed / '002.jpg'} is {WIDTH} x {HEIGHT}, {mixed / 'zz2.png'} is 90 x",
        bad: f"needs at least 3 pictures, there are 2; left out: {bad / '001.jpg'}: cannot be read as a picture",
        inner: f"there are 0; there are some in {inner / 'images'}",
    }
    for folder, says in cases.items():
        stderr = camera_fit(folder, "--out", tmp_path / "x.yaml", status=2)[1]
        assert stderr.startswith(f"simgen: {folder}: ")
        assert says in stderr
        assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "x.yaml").exists()


def _png_header(width, height):
    """A PNG that ends where its pixels begin."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return start + struct.pack(">I", 100) + b"IDAT"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jpg", b"hello", "cannot be read as a picture: 5 bytes that are neither a JPEG nor a PNG"),
        ("a.png", b"", "0 bytes that are neither a JPEG nor a PNG"),
        ("a.jpg", b"\xff\xd8\xff\xdb\x00\x43", "6 bytes that are neither a JPEG nor a PNG with a whole header"),
        ("a.png", _png_header(30000, 30000), "Image size (900000000 pixels) exceeds limit"),
        ("a.png", _png_header(200, 200), "bytes that are no image"),
        ("a.png", _png_header(8, 200), "8 x 200 pixels; needs 64 a side"),
    ],
)
def test_a_file_that_is_no_picture_is_named(shot, tmp_path, name, data, says):
    shutil.copytree(shot, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CameraError, match=f"{name}: ") as error:
        read_pictures(tmp_path, 9)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--photos", "2"], "needs at least 3 photos, --photos allows 2"),
        (["--base", "tinny"], "no preset 'tinny'; did you mean 'tiny'?"),
        (["--beside", "x"], "--beside: needs --page FILE, which shows it"),
        (["--flat-fields", "nowhere"], "nowhere: no such folder"),
        (["--out", "."], "--out: . is a folder; give the name of a file"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(shot, tmp_path, arguments, says):
    stderr = camera_fit(shot, "--out", tmp_path / "x.yaml", *arguments, status=2)[1]
    assert says in stderr
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "x.yaml").exists()


def test_bad_photos_are_left_out_counted_and_named(shot, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "x.yaml"
    shutil.copytree(shot, photos)
    whole = camera_fit(shot, "--out", out)[0]
    (photos / "b\x1b[2J.jpg").write_bytes(b"hello")
    cv2.imwrite(str(photos / "turned.png"), np.zeros((WIDTH, HEIGHT, 3), np.uint8))
    stdout, stderr = camera_fit(photos, "--out", tmp_path / "y.yaml")
    assert (tmp_path / "y.yaml").read_text() == out.read_text()
    assert stdout.splitlines()[:-1] == whole.splitlines()[:-1]
    first, second = stderr.splitlines()
    assert first.startswith(f"simgen: note: left out: {photos}/b\\x1b[2J.jpg: cannot be read as a picture: 5 bytes")
    assert second.startswith(
        f"simgen: note: left out: {photos}/turned.png: {HEIGHT} x {WIDTH} pixels, most have {WIDTH}"
    )
    for i in range(8):
        (photos / f"z{i}.jpg").write_bytes(b"")
    last = camera_fit(photos, "--out", tmp_path / "y.yaml", "--overwrite")[1].splitlines()[-1]
    assert last == "simgen: note: left out: 5 more, 10 in all"


def test_nothing_is_written_over_without_being_told_and_nothing_else_is_left(shot, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    base, page = Path("base.yaml"), Path("fit.html")
    base.write_text("base: tiny\n")
    camera_fit(shot, "--out", "x.yaml", "--page", page, "--base", base)
    written = {path: path.read_bytes() for path in (Path("x.yaml"), page)}
    assert sorted(path.name for path in Path().iterdir()) == ["base.yaml", "fit.html", "x.yaml"]
    for arguments, says in (
        (["--out", "x.yaml"], "--out: x.yaml is there already; give another name, or --overwrite"),
        (["--out", "y.yaml", "--page", page], "--page: fit.html is there already"),
        (["--out", base, "--base", base, "--overwrite"], "--out: base.yaml is the --base; give another name"),
    ):
        assert says in camera_fit(shot, *arguments, status=2)[1]
    assert {path: path.read_bytes() for path in written} == written
    assert not Path("y.yaml").exists()
    camera_fit(shot, "--out", "x.yaml", "--overwrite", "--base", base)
    assert load_config("x.yaml").camera == load_config("tiny").camera


def test_a_fit_stays_within_the_bounds_of_its_knobs():
    """Black pictures show no exposure at all."""
    black = [Photo(f"{i}", np.zeros((96, 128, 3), np.uint8), None) for i in range(3)]
    assert fit_camera(black).ranges["exposure"].low == 0.001


def test_real_photographs_give_a_preset(real_data, tmp_path):
    pool: Path = real_data / "bolts_washers" / "pool" / "images"
    fit = fit_camera(read_pictures(pool, 3))
    (tmp_path / "s.yaml").write_text(fit.to_yaml("bolts_on_table"))
    sensor = load_config(str(tmp_path / "s.yaml")).sensor
    assert sensor.jpeg_quality.low == 75
    assert 0.2 < sensor.blur_sigma_px.low <= sensor.blur_sigma_px.high < 1.0
