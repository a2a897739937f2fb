"""The reference renderer: it draws what pbr approximates, with the same camera, light and labels."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from simgen.generation import exposure as capturing
from simgen.generation.clip import machinery, make_clip
from simgen.presets.read import load_config
from simgen.renderers import render
from simgen.renderers.gl import renderer as pbr
from simgen.renderers.paths import renderer as pathtraced
from simgen.renderers.paths import variant
from simgen.scene.sampling.sample import sample
from simgen.spec.geometry import look_at
from simgen.spec.scene import PATHTRACED, EnvironmentSpec, LampSpec, RenderSpec, SheetSpec
from simgen.spec.types import BACKGROUND, CLUTTER
from tests.simgen.lit_scenes import SIDEWAYS, bolts_and_boxes, box, lit, on
from tests.simgen.scenes import GREY, needs, scene, still

WHITE = replace(GREY, rgb=(1.0, 1.0, 1.0))
STEEL = replace(GREY, rgb=(0.75, 0.72, 0.7), metallic=1.0, roughness=0.45)
RED_PLASTIC = replace(GREY, rgb=(0.6, 0.1, 0.05), roughness=0.35)


@pytest.fixture(autouse=True)
def _mitsuba():
    needs(PATHTRACED)


def traced(spec, samples=32, seed=1):
    spec = replace(spec, render=RenderSpec(renderer=PATHTRACED, supersample=1, samples=samples, seed=seed))
    return next(iter(render(spec, still(spec))))


def drawn(spec):
    needs("pbr")
    spec = replace(spec, render=RenderSpec(renderer="pbr", supersample=2))
    return next(iter(pbr.render(spec, still(spec))))


def small(spec, width=96, height=72, **camera):
    """Half the pixels a side, or so, of the same view."""
    scale = width / spec.camera.width_px
    return replace(
        spec,
        camera=replace(
            spec.camera, width_px=width, height_px=height, focal_px=spec.camera.focal_px * scale,
            centre_px=(width / 2, height / 2), **camera,
        ),
    )  # fmt: skip


def honest(spec, **change):
    """Light that is of one mind: shadows take all of the key light, and what is mirrored is what shines."""
    change = {"shadow_strength": 1.0, "occlusion_strength": 0.5, **change}
    return lit(spec, **change)


# ------------------------------------------------------------------------------------------------ energy, against pbr


def three_parts():
    spec = bolts_and_boxes()
    materials = (STEEL, RED_PLASTIC, WHITE)
    parts = tuple(replace(p, material=m) for p, m in zip(spec.parts, materials, strict=True))
    return small(replace(spec, parts=parts, occluders=()))


SOFTBOX = LampSpec(
    kind="softbox", position_m=(-0.5, 0.0, 0.6), toward=(0.6401844, 0.0, -0.7682213), up=(0.7682213, 0.0, 0.6401844),
    size_m=(0.5, 0.4), half_angle_rad=0.5, rgb=(0.5, 0.5, 0.6),
)  # fmt: skip
SPOT = replace(SOFTBOX, kind="spot", size_m=(0.05, 0.05), half_angle_rad=0.6)
OFFICE = EnvironmentSpec(
    name="office", temperature_k=4000.0, daylight_k=6500.0, rotation_rad=1.0, intensity=0.6, seed=3
)
LIGHTS = {
    "key light and sky": {"direction": SIDEWAYS, "key_rgb": (1.2, 0.9, 0.6)},
    "sky alone": {"key_rgb": (0.0, 0.0, 0.0), "horizon_rgb": (0.5, 0.5, 0.5), "zenith_rgb": (0.5, 0.5, 0.5)},
    "a softbox": {"key_rgb": (0.3, 0.3, 0.3), "lamps": (SOFTBOX,)},
    "a spot": {"key_rgb": (0.3, 0.3, 0.3), "lamps": (SPOT,)},
    "a directional lamp": {"key_rgb": (0.0, 0.0, 0.0), "lamps": (replace(SPOT, kind="directional"),)},
    "an office": {"direction": SIDEWAYS, "key_rgb": (0.4, 0.4, 0.4), "environment": OFFICE},
}


@pytest.mark.parametrize("name", LIGHTS)
def test_every_part_is_as_bright_as_pbr_draws_it(name):
    """Within 15 %, each channel: on the office's metal, which mirrors its lamps, pbr is 5 to 10 % off."""
    spec = honest(three_parts(), **LIGHTS[name])
    if spec.light.environment:
        from simgen.assets.surroundings import ambient

        spec = lit(spec, ambient_rgb=ambient(spec.light.environment))
    ours, theirs = traced(spec, 64), drawn(spec)
    assert (ours.ids == theirs.ids).all()
    result = {i: (theirs.ids == i) for i in (*range(len(spec.parts)), BACKGROUND, CLUTTER)}
    visible = {i: mask for i, mask in result.items() if mask.sum() >= 40}
    assert set(visible) >= {0, 1, 2, BACKGROUND}
    for i, mask in visible.items():
        means = [frame.linear[mask].mean(axis=0) for frame in (ours, theirs)]
        assert means[0] == pytest.approx(means[1], rel=0.15), f"id {i}"


@pytest.mark.parametrize(
    "material",
    [WHITE, replace(WHITE, roughness=0.1), replace(WHITE, metallic=1.0, roughness=0.3),
     replace(WHITE, metallic=1.0, roughness=0.8)],
    ids=["white", "glossy white", "mirror", "rough mirror"],
)  # fmt: skip
def test_a_white_sphere_vanishes_in_a_white_furnace(ball, material):
    """Within 3 % on the whole: what mirrors see at flat angles is brighter by Disney's diffuse light."""
    frame = traced(small(ball(material)), 128)
    visible = frame.linear[frame.ids == 0]
    assert len(visible) > 200
    assert visible.mean(axis=0) == pytest.approx([1.0] * 3, abs=0.03)
    assert cv2.blur(frame.linear, (5, 5)) == pytest.approx(1, abs=0.08)
    assert frame.linear[frame.ids != 0].mean() == pytest.approx(1, abs=0.02)


def test_a_grey_sphere_does_not_vanish(ball):
    frame = traced(small(ball(replace(WHITE, rgb=(0.8, 0.8, 0.8)))))
    assert frame.linear[frame.ids == 0].mean() == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("strength", [0.0, 0.6])
def test_a_card_gets_all_of_the_light_whatever_a_shadow_takes_away(strength):
    spec = on(scene([], frames=1), top=replace(WHITE, roughness=1.0))
    spec = lit(small(spec), direction=SIDEWAYS, key_rgb=(1.0, 0.5, 0.2), shadow_strength=strength)
    assert traced(spec).linear.mean(axis=(0, 1)) == pytest.approx([1.3, 0.9, 0.66], rel=0.05)


# ------------------------------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize(("azimuth", "side"), [(0.0, "right"), (np.pi / 2, "top"), (np.pi, "left")])
def test_the_side_towards_the_light_is_bright_of_key_and_of_sky(ball, azimuth, side):
    """Seen from above with y up in the picture; the sky's light comes from a glow at the same azimuth."""
    from simgen.spec.scene import GlowSpec

    toward = (0.8 * np.cos(azimuth), 0.8 * np.sin(azimuth), 0.6)
    above = look_at((0.0, 0.0, 0.4), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    spec = small(ball(replace(GREY, roughness=1.0)), world_from_camera=(above,))
    spec = on(spec, top=replace(GREY, rgb=(0.02,) * 3), floor=replace(GREY, rgb=(0.02,) * 3))
    glow = GlowSpec(azimuth_rad=azimuth, elevation_rad=0.6, width_rad=0.6, height_rad=0.6, radiance=(9.0,) * 3)
    dark = {"horizon_rgb": (0.0,) * 3, "zenith_rgb": (0.0,) * 3, "shadow_strength": 1.0}
    lights = (
        {"direction": toward, "key_rgb": (1.0,) * 3, "ambient_rgb": (0.0,) * 3, **dark},
        {"key_rgb": (0.0,) * 3, "ambient_rgb": (0.5,) * 3, "glows": (glow,), **dark},
    )
    for lights_up in lights:
        frame = traced(lit(spec, **lights_up))
        ys, xs = np.nonzero(frame.ids == 0)
        value = frame.linear[ys, xs, 1]
        across = {"right": xs - xs.mean(), "left": xs.mean() - xs, "top": ys.mean() - ys}[side]
        assert value[across > 3].mean() > 2 * value[across < -3].mean()


def test_light_under_a_box_falls_on_the_other_side_and_is_dark():
    spec = honest(small(scene([], frames=1, clutter=[box(0.0, 0.0, 0.06)])), direction=SIDEWAYS, ambient_rgb=(0.1,) * 3)
    frame = traced(lit(spec, horizon_rgb=(0.1,) * 3, zenith_rgb=(0.1,) * 3))
    table = frame.ids == BACKGROUND
    light_there = frame.linear[..., 1]
    dark = table & (light_there < 0.4 * np.median(light_there[table]))
    assert dark.sum() > 40
    assert np.nonzero(dark)[1].mean() < np.nonzero(frame.ids == CLUTTER)[1].mean() - 5


# ------------------------------------------------------------------------------------------------------------ camera


@pytest.mark.parametrize("f_number", [0.0, 64.0], ids=["pinhole", "lens"])
def test_a_bright_part_is_seen_where_its_id_is(f_number):
    """The principal point is off the middle; with an aperture as small as this one everything is sharp."""
    white = [replace(p, material=replace(WHITE, roughness=1.0)) for p in bolts_and_boxes().parts]
    spec = scene(white, frames=1)
    spec = replace(
        spec, camera=replace(spec.camera, centre_px=(58.0, 71.5), f_number=f_number, focal_length_m=0.002, focus_m=0.35)
    )
    black = replace(GREY, rgb=(0.0,) * 3, roughness=1.0)
    spec = lit(on(spec, top=black), key_rgb=(0.0,) * 3, ambient_rgb=(1.0,) * 3)
    frame = traced(spec)
    bright = frame.linear[..., 1] > 0.4
    ours = frame.ids >= 0
    window = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(ours.astype(np.uint8), window) != cv2.erode(ours.astype(np.uint8), window)
    assert ours.sum() > 400
    assert (bright == ours)[~edge].mean() > 0.995
    agreed = {(dx, dy): (bright == np.roll(ours, (dy, dx), (0, 1))).sum() for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    assert max(agreed, key=agreed.__getitem__) == (0, 0)


def test_an_aperture_blurs_what_is_out_of_focus_and_the_sensor_does_not_do_it_again():
    sheet = SheetSpec(centre_m=(0.5, 0.0), size_m=(1.0, 2.0), yaw_rad=0.0, rgb=(1.0, 1.0, 1.0))
    above = look_at((0.0, 0.0, 0.4), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    spec = on(
        small(scene([], frames=1), world_from_camera=(above,)), top=replace(GREY, rgb=(0.0,) * 3), sheets=(sheet,)
    )

    def width(focus_m):
        """Of the edge between black and white, from 10 to 90 %: a disc's own is 0.6 or so of its diameter."""
        camera = replace(spec.camera, f_number=2.0, focal_length_m=0.04, focus_m=focus_m)
        lens = replace(spec, camera=camera, render=RenderSpec(renderer=PATHTRACED, supersample=1, samples=64, seed=0))
        (frame,) = capturing.capture(lens, still(lens), render)
        profile = frame.linear[..., 1].mean(axis=0)
        share = (profile - profile[:5].mean()) / (profile[-5:].mean() - profile[:5].mean())
        return ((share > 0.1) & (share < 0.9)).sum()

    disc_px = 0.02 * spec.camera.focal_px * (1 / 0.15 - 1 / 0.4)
    assert disc_px == pytest.approx(10)
    assert width(0.4) <= 2
    assert width(0.15) == pytest.approx(0.69 * disc_px, abs=1)


def test_a_lens_that_cannot_be_is_refused():
    spec = small(scene([], frames=1))
    camera = replace(spec.camera, f_number=2.0, focal_length_m=0.02, focus_m=0.3, centre_px=(40.2, 30.0))
    with pytest.raises(ValueError, match="multiples of half a pixel"):
        traced(replace(spec, camera=camera))
    with pytest.raises(ValueError, match="power of two"):
        traced(spec, samples=24)


# ------------------------------------------------------------------------------------- determinism, shares, the extra


def test_the_same_seed_gives_the_same_bytes_and_labels_do_not_go_by_it(monkeypatch):
    spec = small(three_parts(), 48, 36)
    one, again, other = traced(spec, 8), traced(spec, 8), traced(spec, 8, seed=2)
    assert one.linear.tobytes() == again.linear.tobytes()
    assert one.linear.tobytes() != other.linear.tobytes()
    monkeypatch.setattr(pathtraced, "MAX_PATHS", 48 * 36 * 2)  # four times two paths a pixel
    assert traced(spec, 8).linear.mean() == pytest.approx(one.linear.mean(), rel=0.01)
    for frame in (again, other):
        assert (frame.ids == one.ids).all()
        assert (frame.depth_m == one.depth_m).all()


def test_a_share_of_the_scenes_is_traced_and_nothing_else_of_them_changes():
    plain, shared = (load_config("tiny", [f"render.pathtraced_share={s}"]) for s in (0.0, 0.3))
    specs = [(sample(plain, 5, k), sample(shared, 5, k)) for k in range(60)]
    by = [spec.render.renderer for _, spec in specs]
    assert 8 <= by.count(PATHTRACED) <= 30
    assert set(by) == {PATHTRACED, "tiny"}
    for before, after in specs:
        assert replace(after, render=before.render) == before
        assert (after.render.samples, after.render.seed is None) == (
            (32, False) if after.render.renderer == PATHTRACED else (None, True)
        )
    seeds = [spec.render.seed for _, spec in specs if spec.render.seed is not None]
    assert len(set(seeds)) == len(seeds)
    assert "a share by pathtraced: Mitsuba" in machinery(shared)
    assert "Mitsuba" not in machinery(plain)


def test_a_clip_says_what_drew_it():
    config = load_config("tiny", ["render.renderer=pathtraced", "render.samples=2", "timing.frames=1"])
    clip = make_clip(config, 0, 0)
    assert clip.spec.render.renderer == PATHTRACED
    assert clip.spec.render.samples == 2
    assert clip.jpegs == make_clip(config, 0, 0).jpegs


def test_a_compiler_that_fails_is_passed_over_and_named(monkeypatch):
    monkeypatch.setenv(variant.LLVM, "/nowhere/libLLVM-9.so")
    variant.variant.cache_clear()
    try:
        result = variant.variant()
    finally:
        variant.variant.cache_clear()
    assert result.name in ("scalar_rgb", "cuda_ad_rgb")
    assert result.name == "cuda_ad_rgb" or "/nowhere/libLLVM-9.so does not work" in result.why


def test_one_ray_at_a_time_gives_the_same_picture():
    """The variant for machines without LLVM, in a process of its own."""
    spec = small(three_parts(), 48, 36)
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import numpy as np\n"
        "from simgen.renderers.paths import variant\n"
        "variant.variant = lambda: variant.Variant('scalar_rgb', 'a test')\n"
        "from tests.simgen.renderers.test_pathtraced import small, three_parts, traced\n"
        "frame = traced(small(three_parts(), 48, 36), 16)\n"
        "print(*frame.linear.mean(axis=(0, 1)), *frame.linear[frame.ids == 1].mean(axis=0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *sys.path], capture_output=True, text=True, check=True
    )
    frame = traced(spec, 16)
    ours = [*frame.linear.mean(axis=(0, 1)), *frame.linear[frame.ids == 1].mean(axis=0)]
    assert [float(v) for v in done.stdout.split()[-6:]] == pytest.approx(ours, rel=0.03)
