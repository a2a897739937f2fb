from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.parts import PARTS, part_model
from simgen.renderers import RENDERERS, render
from simgen.renderers.textures import TEXTURES, VARIANTS, tile
from simgen.renderers.tiny.environment import Environment
from simgen.scene.simulate import simulate
from simgen.spec.geometry import invert, look_at, transform
from simgen.spec.scene import BodySpec, FamilySize, GlowSpec, RenderSpec, SheetSpec
from simgen.spec.types import BACKGROUND, CLUTTER, Pose
from tests.simgen.scenes import GREY, needs, part, scene, still

WHITE = replace(GREY, rgb=(1.0, 1.0, 1.0))
STEEL = replace(GREY, rgb=(0.9, 0.9, 0.9), metallic=1.0, roughness=0.1)


def first(spec):
    return next(iter(render(spec, still(spec))))


def block(x=0.0, y=0.0, z=0.05, size=0.04, **change):
    pose = Pose(position_m=(x, y, z), rotation_xyzw=(0.0, 0.0, 0.0, 1.0))
    body = BodySpec(shape="box", size_m=(size,) * 3, material=GREY, world_from_body=pose, velocity_m_s=(0.0, 0.0, 0.0))
    return replace(body, **change)


def supersampled(spec, s):
    return replace(spec, render=RenderSpec(renderer="tiny", supersample=s))


@pytest.mark.parametrize("renderer", sorted(RENDERERS))
@pytest.mark.parametrize("kind", sorted(PARTS))
@pytest.mark.parametrize("s", [1, 2, 3])
def test_a_part_is_seen_where_the_pinhole_camera_puts_it(renderer, kind, s):
    needs(renderer)
    designation = PARTS[kind].sizes[len(PARTS[kind].sizes) // 2].designation
    spec = supersampled(scene([part(kind, designation, (0.01, 0.02, 0.03), (0.3, 0.5, 0.1, 0.8))], frames=1), s)
    spec = replace(spec, render=replace(spec.render, renderer=renderer))
    frame = first(spec)
    assert frame.linear.shape == (120, 160, 3)
    vertices = transform(spec.parts[0].world_from_part, part_model(FamilySize(kind, designation)).vertices_m)
    measured = transform(invert(spec.camera.world_from_camera[0]), vertices)
    xy = measured[:, :2] / measured[:, 2:] * spec.camera.focal_px + np.array(spec.camera.centre_px)
    ys, xs = np.nonzero(frame.ids == 0)
    result = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    assert np.abs(result - np.concatenate([xy.min(axis=0), xy.max(axis=0)])).max() <= 1.0
    on_part = frame.depth_m[frame.ids == 0]
    assert measured[:, 2].min() - 1e-4 <= on_part.min() <= on_part.max() <= measured[:, 2].max() + 1e-4


@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_stage_and_floor_have_the_depth_of_their_planes(s):
    spec = supersampled(scene([], frames=1, size_m=(0.2, 0.2)), s)
    frame = first(spec)
    eye, target = np.array([0.0, -0.2, 0.3]), np.zeros(3)
    axis = (target - eye) / np.linalg.norm(target - eye)
    assert frame.depth_m[60, 80] == pytest.approx(np.linalg.norm(eye), rel=5e-3)
    down = np.arctan2(60 - 0.5, 200.0)  # the lowest row's angle below the axis
    fall = np.arcsin(-axis[2]) + down
    floor = (eye[2] + spec.stage.floor_below_m) / np.sin(fall) * np.cos(down)
    assert frame.depth_m[119, 2] == pytest.approx(floor, rel=5e-3)
    assert (frame.ids == BACKGROUND).all()


def test_truth_does_not_depend_on_supersampling():
    """Each has a sample at the pixel's centre, so ids agree but for edges that pass through it."""
    spec = scene([part("hex_bolt", "M12x60", (0.0, 0.0, 0.02), (0.5, 0.5, 0.5, 0.5))], frames=1)
    one, two, three = (first(supersampled(spec, s)) for s in (1, 2, 3))
    for other in (two, three):
        assert (one.ids != other.ids).sum() <= 3
        both = (one.ids == 0) & (other.ids == 0)
        assert both.sum() > 100
        assert np.quantile(np.abs(one.depth_m - other.depth_m)[both], 0.95) < 1e-5


def test_supersampling_softens_edges():
    spec = scene([part("washer", "M20", (0.0, 0.0, 0.002))], frames=1)
    spec = replace(spec, stage=replace(spec.stage, top=replace(GREY, rgb=(0.0, 0.0, 0.0))))
    jumps = [np.abs(np.diff(first(supersampled(spec, s)).linear[..., 1], axis=1)).max() for s in (1, 2)]
    assert jumps[1] < 0.8 * jumps[0]


def test_radiance_of_a_white_table_is_the_irradiance():
    spec = scene([], frames=1)
    stage = replace(spec.stage, top=WHITE)
    light = replace(spec.light, direction=(0.6, 0.0, 0.8), key_rgb=(1.0, 0.5, 0.2), ambient_rgb=(0.1, 0.2, 0.3))
    measured = first(replace(spec, stage=stage, light=light)).linear[60, 80]
    assert measured == pytest.approx([0.1 + 0.8, 0.2 + 0.4, 0.3 + 0.16], abs=0.01)


def test_a_shadow_lies_on_the_side_away_from_the_light():
    spec = scene([], frames=1, clutter=[block(z=0.08)])
    light = replace(spec.light, direction=(0.6, 0.0, 0.8), shadow_strength=1.0, source_angle_rad=0.01)
    frame = first(replace(spec, light=light))
    table = frame.ids == BACKGROUND
    dark = table & (frame.linear[..., 1] < 0.6 * np.median(frame.linear[table][:, 1]))
    assert dark.sum() > 50
    assert np.nonzero(dark)[1].mean() < 80 - 10  # the light comes from +x, right of the picture's middle
    none = first(replace(spec, light=replace(light, shadow_strength=0.0)))
    assert none.linear[table].min() > 0.9 * np.median(none.linear[table])


def test_clutter_and_occluders_are_not_parts():
    spec = scene(
        [part("hex_nut", "M16", (0.06, 0.0, 0.01))], frames=1, clutter=[block(x=-0.05)], occluders=[block(x=0.0)]
    )
    ids = first(spec).ids
    assert set(np.unique(ids)) == {0, BACKGROUND, CLUTTER}


def test_an_occluder_moves_and_hides_the_part_behind_it():
    cover = block(y=-0.06, x=-0.2, z=0.12, velocity_m_s=(2.0, 0.0, 0.0))
    spec = scene([part("hex_nut", "M16", (0.0, 0.0, 0.01))], frames=4, frame_interval_s=0.05, occluders=[cover])
    measured = [(frame.ids == 0).sum() for frame in render(spec, simulate(spec))]
    assert measured[0] > 50
    assert min(measured) < 0.5 * measured[0]


def test_the_belts_pattern_travels_with_the_belt():
    spec = scene([], frames=2, belt_speed_m_s=0.2, frame_interval_s=0.05)
    spec = replace(spec, stage=replace(spec.stage, top=replace(WHITE, texture="speckle", contrast=0.8)))
    eye = look_at((0.0, 0.0, 0.4), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    spec = replace(spec, camera=replace(spec.camera, world_from_camera=(eye, eye)))
    before, after = (frame.linear[..., 1] for frame in render(spec, still(spec)))
    shift = round(0.2 * 0.05 * 200 / 0.4)
    assert shift == 5
    still_there, moved = (np.abs(before[10:-10, 20:-20] - after[10:-10, 20 + d : 140 + d]).mean() for d in (0, shift))
    assert moved < 0.35 * still_there


def test_a_floors_stones_may_be_smaller_than_a_pixel_of_its_light():
    """Stones of 2 mm on a floor whose light and shadow are worked out every 5 mm."""
    stones = replace(GREY, texture="terrazzo", texture_scale_m=0.012, contrast=0.8)
    bare = scene([], frames=1, size_m=(0.02, 0.02))
    floor_near = replace(bare.stage, floor=stones, floor_below_m=0.05)
    fine, plain = (first(replace(bare, stage=stage)).linear[60:, :60, 1] for stage in (floor_near, bare.stage))
    steps = np.abs(np.diff(fine, axis=1)).max(axis=1) / fine.mean()
    assert np.median(steps) > 0.2, "within a row there is an edge from one column, some 2 mm, to the next"
    assert np.abs(np.diff(plain, axis=1)).max() < 0.05 * plain.mean()
    assert fine.mean() == pytest.approx(plain.mean(), rel=0.25), "a pattern changes the mean little"


def test_metal_mirrors_what_it_lies_on_and_what_shines():
    """A red sheet reddens a nut's flanks; a lamp overhead whitens a washer seen from above."""
    nut = replace(part("hex_nut", "M24", (0.0, 0.0, 0.011)), material=STEEL)
    spec = scene([nut], frames=1)
    red = SheetSpec(centre_m=(0.0, 0.0), size_m=(1.0, 0.8), yaw_rad=0.0, rgb=(0.8, 0.05, 0.05))
    plain, on_red = (first(replace(spec, stage=replace(spec.stage, sheets=sheets))) for sheets in ((), (red,)))
    pixels = plain.ids == 0
    redness = [f.linear[pixels][:, 0].mean() / f.linear[pixels][:, 2].mean() for f in (plain, on_red)]
    assert redness[1] > 1.15 * redness[0]

    washer = replace(part("washer", "M30", (0.0, 0.0, 0.002)), material=STEEL)
    above = look_at((0.0, 0.0, 0.3), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    spec = scene([washer], frames=1)
    aside = replace(spec.light, direction=(0.8, 0.0, 0.6))
    spec = replace(spec, light=aside, camera=replace(spec.camera, world_from_camera=(above,)))
    lamp = GlowSpec(azimuth_rad=0.0, elevation_rad=np.pi / 2, width_rad=7.0, height_rad=1.0, radiance=(5.0, 5.0, 5.0))
    dim, bright = (first(replace(spec, light=replace(spec.light, glows=glows))) for glows in ((), (lamp,)))
    assert np.median(bright.linear[bright.ids == 0]) > 3 * np.median(dim.linear[dim.ids == 0])


def test_a_thread_reads_as_one():
    """Brightness along a threaded shank goes up and down once a pitch; along a smooth one it does not."""
    lying = part("hex_screw", "M20x60", (0.0, 0.0, 0.02), (0.0, 0.7071068, 0.0, 0.7071068))
    spec = supersampled(scene([replace(lying, material=replace(STEEL, roughness=0.4))], frames=1), 2)
    near = look_at((0.0, 0.0, 0.14), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    spec = replace(spec, camera=replace(spec.camera, focal_px=300.0, world_from_camera=(near,)))
    frame = first(spec)
    row = frame.linear[45, 48:152, 1]  # beside the highlight that runs along the top
    assert (frame.ids[45, 48:152] == 0).all()
    waves = np.abs(np.fft.rfft(row - row.mean()))
    crown_m = 0.14 - 0.02 - 0.0092  # from the camera to the shank's top, half a pitch diameter over its axis
    px_per_pitch = 0.0025 * 300 / crown_m
    assert len(row) / np.argmax(waves) == pytest.approx(px_per_pitch, rel=0.1)


@pytest.mark.parametrize("name", sorted(TEXTURES))
def test_every_texture_is_seamless_and_in_range(name):
    for variant in range(0, VARIANTS, 3):
        result = tile(name, variant)
        assert result.dtype == np.float32
        assert np.abs(result).max() <= 1
        inside = np.abs(np.diff(result, axis=1)).mean(axis=0)
        seam = np.abs(result[:, 0] - result[:, -1]).mean()
        assert seam <= 1.2 * inside.max() + 1e-6


def test_an_unknown_texture_and_renderer_are_named():
    with pytest.raises(KeyError, match="weave"):
        tile("wove", 0)
    spec = scene([], frames=1)
    with pytest.raises(KeyError, match="tiny"):
        next(iter(render(replace(spec, render=RenderSpec(renderer="tinny", supersample=1)), still(spec))))


def test_environment_blurs_with_roughness_and_keeps_its_mean_bright():
    light = replace(
        scene([]).light,
        glows=(GlowSpec(azimuth_rad=1.0, elevation_rad=0.7, width_rad=0.3, height_rad=0.3, radiance=(9.0,) * 3),),
    )
    environment = Environment(light, (0.1, 0.1, 0.1))
    at = np.array([[np.cos(1.0) * np.cos(0.7), np.sin(1.0) * np.cos(0.7), np.sin(0.7)]], np.float32)
    peak = [float(environment.radiance(at, np.array([r], np.float32))[0, 0]) for r in (0.0, 0.3, 0.6, 1.0)]
    assert peak[0] == pytest.approx(9.5, rel=0.1)
    assert peak == sorted(peak, reverse=True)
    assert peak[-1] < 0.5 * peak[0]


def test_a_stage_whose_picture_would_be_30000_texels_wide_is_refused():
    with pytest.raises(ValueError, match=r"stage of 18 x 0.3 m needs a picture of 30000 x 500 texels.*stage.length_m"):
        next(render(spec := scene([], size_m=(18.0, 0.3), frames=1), still(spec)))
