"""Surroundings, lamps and flicker as numbers: colour temperature, scale, files from outside, the mains' beat."""

import contextlib
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simgen.assets.light import card, flicker_gain, form_factor, on_level_card, softbox_radiance
from simgen.assets.surroundings import ENVIRONMENTS, ambient, digest, folder_files, picture
from simgen.assets.surroundings import files as environment_files
from simgen.assets.surroundings.model import HEIGHT, WIDTH, directions, level_irradiance
from simgen.generation.exposure import capture
from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.scene.config import LampKnobs
from simgen.scene.sampling.lamps import draw_lamps
from simgen.scene.sampling.sample import sample
from simgen.spec.colour import LUMINANCE, RGB_FROM_XYZ
from simgen.spec.errors import BadEnvironment, ConfigError
from simgen.spec.scene import EnvironmentSpec, FlickerSpec, LampSpec
from tests.simgen.scenes import part, scene, still

SPEC = EnvironmentSpec(
    name="office", temperature_k=4000.0, daylight_k=6500.0, rotation_rad=0.0, intensity=0.7, seed=2
)  # fmt: skip
ONE_COLOUR = {"bar_lights", "fluorescent_rows", "light_tent", "ring_light"}  # the others have windows
BOX = LampSpec(
    kind="softbox", position_m=(0.3, 0.1, 0.8), toward=(0.0, 0.0, -1.0), up=(0.0, 1.0, 0.0), size_m=(0.5, 0.3),
    half_angle_rad=0.5, rgb=(1.0, 0.8, 0.5),
)  # fmt: skip


def chromaticity(rgb):
    """u', v' of CIE 1976."""
    x, y, z = np.linalg.inv(RGB_FROM_XYZ) @ np.asarray(rgb, float)
    return np.array([4 * x, 9 * y]) / (x + 15 * y + 3 * z)


def planckian_uv(kelvin):
    """By Planck's law and the CIE 1931 observer, not by the fit that the environments use."""
    nm = np.arange(380, 781, 5.0)
    power = nm**-5 / np.expm1(1.4388e7 / (nm * kelvin))

    def lobe(peak, centre, below, above):
        return peak * np.exp(-0.5 * ((nm - centre) * np.where(nm < centre, below, above)) ** 2)

    x = lobe(1.056, 599.8, 0.0264, 0.0323) + lobe(0.362, 442.0, 0.0624, 0.0374) + lobe(-0.065, 501.1, 0.0490, 0.0382)
    y = lobe(0.821, 568.8, 0.0213, 0.0247) + lobe(0.286, 530.9, 0.0613, 0.0322)
    z = lobe(1.217, 437.0, 0.0845, 0.0278) + lobe(0.681, 459.0, 0.0385, 0.0725)
    big = [float((power * c).sum()) for c in (x, y, z)]
    return np.array([4 * big[0], 9 * big[1]]) / (big[0] + 15 * big[1] + 3 * big[2])


def test_there_are_those_that_were_asked_for():
    assert ENVIRONMENTS.keys() == {
        "workshop", "office", "daylight_hall", "light_tent", "ring_light", "bar_lights", "fluorescent_rows", "mixed",
    }  # fmt: skip


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_card_under_it_is_as_bright_as_the_spec_says(name):
    panorama = picture(replace(SPEC, name=name))
    assert panorama.shape == (HEIGHT, WIDTH, 3)
    assert np.isfinite(panorama).all()
    assert panorama.min() >= 0
    assert panorama[HEIGHT // 2 :].max() == 0
    assert LUMINANCE @ np.array(ambient(replace(SPEC, name=name))) == pytest.approx(0.7, rel=1e-4)
    assert panorama[: HEIGHT // 2].max() > 1.5 * panorama[: HEIGHT // 2].mean()  # something shines, something does not


@pytest.mark.parametrize("name", sorted(ONE_COLOUR))
@pytest.mark.parametrize("kelvin", [2700.0, 4000.0, 6500.0])
def test_its_light_has_the_colour_of_its_temperature(name, kelvin):
    light = ambient(replace(SPEC, name=name, temperature_k=kelvin))
    assert np.abs(chromaticity(light) - planckian_uv(kelvin)).max() < 0.004
    assert np.abs(chromaticity(light) - planckian_uv(kelvin * 1.15)).max() > 0.004


def test_mixed_light_lies_between_its_lamps_and_its_windows():
    spec = replace(SPEC, name="mixed", temperature_k=2800.0, daylight_k=8000.0)
    warm, mixed, cool = planckian_uv(2800.0)[0], chromaticity(ambient(spec))[0], planckian_uv(8000.0)[0]
    assert cool + 0.01 < mixed < warm - 0.01
    assert ambient(replace(SPEC, name="daylight_hall")) == ambient(
        replace(SPEC, name="daylight_hall", temperature_k=2000.0)
    )


def test_seeds_and_rows_differ_and_rotation_turns():
    pictures = {name: picture(replace(SPEC, name=name)) for name in ENVIRONMENTS}
    names = sorted(pictures)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            assert np.abs(pictures[a] - pictures[b]).mean() > 0.02
    assert np.abs(picture(replace(SPEC, seed=3)) - pictures["office"]).mean() > 0.02
    quarter = picture(replace(SPEC, rotation_rad=math.pi / 2))
    assert quarter == pytest.approx(np.roll(pictures["office"], WIDTH // 4, axis=1), rel=1e-5)
    with pytest.raises(KeyError, match="no environment 'moon'; there are"):
        picture(replace(SPEC, name="moon"))


# ------------------------------------------------------------------------------------------------ files from outside


def sphere(height=64):
    """Light from straight up, red to the east (azimuth 0)."""
    d = directions(height, 2 * height)
    rgb = np.maximum(d[..., 2:], 0) ** 8 * 5.0 + 0.1 + (d[..., :1] > 0.9) * np.array([3.0, 0.0, 0.0])
    return rgb.astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    cv2.imwrite(str(tmp_path / "b.hdr"), sphere()[..., ::-1])
    cv2.imwrite(str(tmp_path / "a.hdr"), 2 * sphere()[..., ::-1])
    (tmp_path / "notes.txt").write_text("not light")
    return tmp_path


def test_a_users_hdr_lights_the_scene(folder):
    assert [p.name for p in folder_files(str(folder))] == ["a.hdr", "b.hdr"]
    path = folder / "b.hdr"
    spec = replace(SPEC, name="file", file=str(path), sha256=digest(path))
    panorama = picture(spec)
    wanted = sphere()
    wanted[32:] = 0
    wanted *= 0.7 / (LUMINANCE @ level_irradiance(wanted))
    assert level_irradiance(panorama) == pytest.approx(level_irradiance(wanted), rel=0.02)
    assert panorama[60, 128] == pytest.approx(wanted[30, 64], rel=0.05, abs=0.01)  # red to the east


def test_a_preset_takes_a_folder(folder):
    text = f"""{{kinds: {{weights: {{file: 1}}}}, intensity: {{low: 0.5, high: 0.5}}, folder: '{folder}',
        temperature_k: {{low: 4000, high: 4000}}, daylight_k: {{low: 6000, high: 6000}},
        rotation_deg: {{low: 0, high: 0}}}}"""
    config = load_config("tiny", [f"light.environment={text}"])
    specs = [sample(config, 0, k) for k in range(12)]
    assert {spec.light.environment.file.rsplit("/", 1)[1] for spec in specs} == {"a.hdr", "b.hdr"}
    spec = specs[0]
    assert spec.light.ambient_rgb == ambient(spec.light.environment)
    assert sample(config, 0, 0) == spec
    assert card(spec.light) * spec.sensor.exposure @ LUMINANCE < 2  # auto exposure knows of it


def header(width, height):
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG not light at all", "is not a Radiance picture"),
        (header(60000, 30000) + bytes(64), "60000 x 30000 pixels; 16384 a side"),
        (header(100, 100) + bytes(40000), "100 x 100 pixels; a full sphere is twice as wide"),
        (header(128, 64) + b"\x02\x02\x00\x80", "is damaged"),
        (b"", "is not a Radiance picture"),
    ],
    ids=["png", "30,000 px", "square", "cut off", "empty"],
)
def test_a_file_that_cannot_light_is_refused(tmp_path, data, message):
    (tmp_path / "x.hdr").write_bytes(data)
    with pytest.raises(BadEnvironment, match=f"x.hdr: {message}"):
        picture(replace(SPEC, name="file", file=str(tmp_path / "x.hdr")))


def test_a_file_that_is_not_there_or_has_changed_is_refused(folder, monkeypatch):
    spec = replace(SPEC, name="file", file=str(folder / "b.hdr"), sha256="0" * 64)
    with pytest.raises(BadEnvironment, match="is not the file that the scene was drawn with"):
        picture(spec)
    with pytest.raises(BadEnvironment, match="no such file"):
        picture(replace(spec, file="nowhere.hdr"))
    with pytest.raises(BadEnvironment, match="no such folder"):
        folder_files("nowhere")
    (folder / "empty").mkdir()
    with pytest.raises(BadEnvironment, match=r"no \.hdr or \.exr file"):
        folder_files(str(folder / "empty"))
    monkeypatch.setattr(environment_files, "MAX_BYTES", 100)
    with pytest.raises(BadEnvironment, match="bytes; 100 are the most"):
        digest(folder / "b.hdr")


def test_exr_is_read_as_hdr_is(tmp_path):
    openexr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed")
    head = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    openexr.File(head, {"RGB": sphere()}).write(str(tmp_path / "x.exr"))
    cv2.imwrite(str(tmp_path / "x.hdr"), sphere()[..., ::-1])
    a, b = (picture(replace(SPEC, name="file", file=str(tmp_path / f"x{end}"))) for end in (".exr", ".hdr"))
    assert level_irradiance(a) == pytest.approx(level_irradiance(b), rel=0.01)
    (tmp_path / "bad.exr").write_bytes((tmp_path / "x.exr").read_bytes()[:200])
    for name, content in (("bad.exr", None), ("text.exr", b"hello")):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(BadEnvironment, match=rf"{name}: is (damaged|not an OpenEXR)"):
            picture(replace(SPEC, name="file", file=str(tmp_path / name)))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([".hdr", ".exr"]), st.data())
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path, ending, data):
    """Bytes anywhere, most of them in the header, and an end that comes early."""
    raw = bytearray(_whole_files(tmp_path)[ending])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, 420) | st.integers(0, len(raw) - 1))
        raw[min(place, len(raw) - 1)] = data.draw(st.integers(0, 255))
    (tmp_path / f"x{ending}").write_bytes(raw[: data.draw(st.none() | st.integers(0, len(raw)))])
    with contextlib.suppress(BadEnvironment):
        assert np.isfinite(environment_files.read(str(tmp_path / f"x{ending}"))).all()


def _whole_files(folder):
    """The bytes of a small sound file of each format."""
    openexr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed")
    head = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    openexr.File(head, {"RGB": sphere(8)}).write(str(folder / "whole.exr"))
    cv2.imwrite(str(folder / "whole.hdr"), sphere(8)[..., ::-1])
    return {ending: (folder / f"whole{ending}").read_bytes() for ending in (".hdr", ".exr")}


def test_an_exr_of_many_channels_is_not_decoded(tmp_path):
    openexr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed")
    head = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    channels = {f"c{i}": np.zeros((8, 16), np.float32) for i in range(20)}
    openexr.File(head, {"RGB": sphere(8), **channels}).write(str(tmp_path / "x.exr"))
    with pytest.raises(BadEnvironment, match="23 channels, 1 parts; needs one part with R, G and B"):
        environment_files.read(str(tmp_path / "x.exr"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("light.environment.kinds.weights.offise=1", "no environment 'offise'; did you mean 'office'?"),
        ("light.environment.kinds.weights.file=1", "light.environment.folder: '': no such folder"),
        ("light.environment.intensty.low=1", "did you mean 'intensity'?"),
        ("light.lamps.kinds.weights.sun=1", "no lamp 'sun'; there are directional, spot, softbox"),
        ("light.lamps.count.high=9", "needs 0 to 3, got low=0, high=9: the renderers take no more lamps"),
        ("light.flicker.mains_hz.weights.16=1", "no mains '16'; there are 50, 60"),
        ("light.flicker.depth.high=2", "needs 0 to 1 share"),
    ],
)
def test_a_mistake_in_the_light_of_a_preset_is_named(override, message):
    with pytest.raises(ConfigError) as caught:
        load_config("workshop", [override])
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


# ------------------------------------------------------------------------------------------------------------- lamps


@pytest.mark.parametrize("kind", ["directional", "spot", "softbox"])
@pytest.mark.parametrize("distance_m", [0.4, 1.0, 2.5])
def test_a_drawn_lamp_gives_the_middle_of_the_stage_its_intensity_from_any_distance(kind, distance_m):
    fixed = {"count": 1, "distance_m": distance_m, "elevation_deg": 90.0, "azimuth_deg": 20.0, "intensity": 0.3,
             "temperature_k": 4000.0, "size_m": 0.02, "half_angle_deg": 30.0, "aim_m": 0.0}  # fmt: skip
    ranges = {name: {"low": value, "high": value} for name, value in fixed.items()}
    knobs = LampKnobs.model_validate({**ranges, "kinds": {"weights": {kind: 1.0}}})
    (lamp,) = draw_lamps(knobs, np.random.default_rng(0))
    assert lamp.kind == kind
    assert on_level_card(lamp) @ LUMINANCE == pytest.approx(0.3, rel=0.01)


def integrated(lamp, steps=80):
    """Irradiance on a level card at the origin, summed over the softbox."""
    toward, up = np.array(lamp.toward), np.array(lamp.up)
    at = (np.arange(steps) + 0.5) / steps - 0.5
    u, v = np.meshgrid(at * lamp.size_m[0], at * lamp.size_m[1])
    points = np.array(lamp.position_m) + u[..., None] * np.cross(up, toward) + v[..., None] * up
    far = np.linalg.norm(points, axis=-1)
    ray = points / far[..., None]
    factor = np.maximum(ray[..., 2], 0) * np.maximum(-ray @ toward, 0) / far**2 / np.pi
    return softbox_radiance(lamp) * factor.mean() * lamp.size_m[0] * lamp.size_m[1]


@pytest.mark.parametrize("tilt", [0.0, 0.5, -0.9])
def test_a_softbox_gives_a_card_what_all_its_points_give(tilt):
    lamp = replace(BOX, toward=(math.sin(tilt), 0.0, -math.cos(tilt)))
    assert on_level_card(lamp) == pytest.approx(integrated(lamp), rel=0.01)


def test_a_small_softbox_far_away_is_a_spot_and_a_lamp_gives_what_its_spec_says():
    facing = replace(BOX, position_m=(0.0, 0.0, 1.0))
    assert on_level_card(facing) == pytest.approx(facing.rgb)
    far = replace(facing, position_m=(0.0, 0.0, 4.0), size_m=(0.05, 0.05))
    assert on_level_card(far) == pytest.approx(np.array(far.rgb) / 16, rel=0.01)
    assert on_level_card(replace(far, kind="spot")) == pytest.approx(np.array(far.rgb) / 16)
    assert on_level_card(replace(far, kind="directional")) == pytest.approx(far.rgb)
    assert on_level_card(replace(BOX, toward=(0.0, 0.0, 1.0))).max() == 0  # it shines away
    aside = replace(BOX, kind="spot", position_m=(1.0, 0.0, 0.2))
    assert on_level_card(aside).max() == 0  # out of its cone
    assert form_factor(1e4, 1e4, 1.0) == pytest.approx(1, abs=1e-3)


# ----------------------------------------------------------------------------------------------------------- flicker

MAINS = FlickerSpec(mains_hz=50.0, depth=0.4, exposure_s=1 / 250, phase_rad=0.3)


def gain(flicker, frame, interval_s):
    return flicker_gain(flicker, frame * interval_s, flicker.exposure_s)


def mean_light(flicker, frame, interval_s):
    t = frame * interval_s + ((np.arange(4000) + 0.5) / 4000 - 0.5) * flicker.exposure_s
    return float(
        np.mean(1 + flicker.depth * np.cos(2 * np.pi * 2 * flicker.mains_hz * t + flicker.phase_rad))
    )  # fmt: skip


@pytest.mark.parametrize("exposure_s", [1e-4, 1 / 250, 1 / 90, 0.03])
def test_a_frame_is_as_bright_as_the_mean_over_its_exposure(exposure_s):
    flicker = replace(MAINS, exposure_s=exposure_s)
    for frame in range(7):
        assert gain(flicker, frame, 1 / 24) == pytest.approx(mean_light(flicker, frame, 1 / 24), abs=1e-6)


@pytest.mark.parametrize(
    ("mains_hz", "frames_per_s", "beat_hz"), [(50.0, 30.0, 10.0), (60.0, 25.0, 5.0), (50.0, 29.97, 10.09)]
)
def test_flicker_beats_against_the_frame_rate(mains_hz, frames_per_s, beat_hz):
    """At twice the mains' frequency, folded into the frame rate."""
    flicker = replace(MAINS, mains_hz=mains_hz)
    gains = np.array([gain(flicker, k, 1 / frames_per_s) for k in range(3000)])
    power = np.abs(np.fft.rfft((gains - gains.mean()) * np.hanning(3000)))
    assert np.fft.rfftfreq(3000, 1 / frames_per_s)[power.argmax()] == pytest.approx(beat_hz, abs=0.02)
    assert gains.mean() == pytest.approx(1, abs=0.01)


def test_no_flicker_where_the_exposure_or_the_frames_keep_time_with_the_mains():
    whole = [gain(replace(MAINS, exposure_s=1 / 100), k, 1 / 30) for k in range(10)]
    assert whole == pytest.approx([1.0] * 10)
    in_step = [gain(replace(MAINS, phase_rad=2.0), k, 1 / 25) for k in range(10)]
    assert in_step == pytest.approx([in_step[0]] * 10)
    assert in_step[0] == pytest.approx(mean_light(replace(MAINS, phase_rad=2.0), 0, 1 / 25), abs=1e-6)
    assert abs(in_step[0] - 1) > 0.1


def test_frames_flicker_whatever_draws_them():
    spec = scene([part("washer", "M20", (0.0, 0.0, 0.002))], frames=3)
    shimmering = replace(spec, light=replace(spec.light, flicker=MAINS))
    steady, swaying = (list(capture(s, still(s), render)) for s in (spec, shimmering))
    assert len(steady) == len(swaying) == 3
    for k, (a, b) in enumerate(zip(steady, swaying, strict=True)):
        assert b.linear == pytest.approx(a.linear * gain(MAINS, k, spec.frame_interval_s), rel=1e-5)
        assert (a.ids == b.ids).all()
