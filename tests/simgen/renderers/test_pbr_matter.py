"""Procedural materials and lamps in the pbr renderer: no lobe makes light, slopes and lamps keep their laws."""

from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.light import on_level_card, softbox_radiance
from simgen.assets.materials import MATERIALS, UNWORN, draw_material, material_tile, tile_origin
from simgen.assets.materials.relief import TILE_PX
from simgen.renderers.gl import renderer as pbr
from simgen.renderers.tiny import renderer as tiny
from simgen.spec.geometry import look_at
from simgen.spec.scene import BodySpec, LampSpec, MatterSpec, SubstanceSpec, WearSpec, WornSpec
from simgen.spec.types import CLUTTER, Pose
from tests.simgen.lit_scenes import first, lit, on
from tests.simgen.scenes import GREY, needs, part, scene

BLACK = (0.0, 0.0, 0.0)
WHITE = SubstanceSpec(rgb=(1.0, 1.0, 1.0), metallic=0.0, roughness=0.6)
METAL = replace(WHITE, metallic=1.0, roughness=0.45)
FLAT = MatterSpec(
    name="plastic_glossy", base=WHITE, second=WHITE, contrast=0.0, gloss=0.0, relief=0.0, anisotropy=0.0, coat=0.0,
    coat_roughness=0.2, tile_m=0.05, wear=UNWORN, seed=0,
)  # fmt: skip
LOBES = {
    "coat on white": replace(FLAT, coat=1.0),
    "coat on metal": replace(FLAT, base=METAL, second=METAL, coat=1.0, coat_roughness=0.5),
    "brushed": replace(FLAT, base=METAL, second=METAL, anisotropy=0.9),
    "turned": replace(FLAT, name="turned", base=METAL, second=METAL, anisotropy=0.9),
    "coat on brushed": replace(FLAT, base=METAL, second=METAL, anisotropy=0.8, coat=0.7),
}
SPOT = LampSpec(
    kind="spot", position_m=(0.25, 0.0, 0.5), toward=(-0.4472136, 0.0, -0.8944272), up=(0.0, 1.0, 0.0),
    size_m=(0.01, 0.01), half_angle_rad=0.9, rgb=(0.3, 0.2, 0.1),
)  # fmt: skip
ABOVE = look_at((0.0, 0.0, 0.5), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0))


@pytest.fixture(autouse=True)
def _gpu():
    needs("pbr")


def of(matter):
    return replace(GREY, rgb=matter.base.rgb, matter=matter)


def dark(spec):
    """Without any light, and no dimming of crevices."""
    return lit(
        spec, key_rgb=BLACK, ambient_rgb=BLACK, horizon_rgb=BLACK, zenith_rgb=BLACK, occlusion_strength=0.0,
        shadow_strength=1.0,
    )  # fmt: skip


def from_above(spec, width=160):
    camera = replace(spec.camera, world_from_camera=(ABOVE,), width_px=width, height_px=width * 3 // 4)
    return replace(spec, camera=replace(camera, centre_px=(width / 2, width * 3 / 8), focal_px=1.25 * width))


def matt(rgb=(0.5, 0.5, 0.5)):
    return replace(GREY, rgb=rgb, roughness=1.0)


# ------------------------------------------------------------------------------------------------------------ energy


@pytest.mark.parametrize("name", LOBES)
def test_a_white_sphere_vanishes_in_a_white_furnace_whatever_its_lobes(ball, name):
    frame = first(ball(of(LOBES[name])))
    pixels = frame.linear[frame.ids == 0]
    assert len(pixels) > 700
    assert np.abs(pixels - 1).max() < 0.02


@pytest.mark.parametrize("name", ["coat on white", "brushed", "coat on brushed"])
def test_no_more_light_goes_out_than_came_in(name):
    """The share of a light that goes to the eye, summed over all directions that it may come from."""
    spec = on(dark(scene([], frames=1)), top=of(LOBES[name]))
    spec = replace(spec, camera=replace(spec.camera, width_px=16, height_px=12, centre_px=(8.0, 6.0), focal_px=400.0))
    count, total = 90, 0.0
    for i in range(count):
        z, turn = (i + 0.5) / count, 2.39996323 * i
        flat = np.sqrt(1 - z * z)
        toward = (float(flat * np.cos(turn)), float(flat * np.sin(turn)), z)
        total += first(lit(spec, direction=toward, key_rgb=(1.0, 1.0, 1.0))).linear[6, 8, 1] * 2 / count
    assert 0.75 < total < 1.02


def test_a_coat_shines_over_black_and_its_lack_does_not(ball):
    black = SubstanceSpec(rgb=BLACK, metallic=0.0, roughness=1.0)
    plain, coated = (
        first(ball(of(replace(FLAT, base=black, second=black, coat=c, coat_roughness=0.1)))) for c in (0.0, 1.0)
    )
    gain = (coated.linear - plain.linear)[plain.ids == 0][:, 1]
    assert gain.min() > 0.02  # its F0
    assert np.quantile(gain, 0.99) > 4 * gain.min()  # Fresnel at the limb


# ------------------------------------------------------------------------------------------------- relief, direction


def test_slopes_that_face_the_light_are_bright():
    """The picture from above is the tile's own slope towards the light: sign, axes and place are right."""
    for direction, axis in (((0.7, 0.0, 0.714), 0), ((0.0, 0.7, 0.714), 1)):
        base = SubstanceSpec(rgb=(0.5, 0.5, 0.5), metallic=0.0, roughness=1.0)
        matter = replace(
            FLAT, name="floor_tiles", base=base, second=base, relief=0.1, tile_m=0.3, seed=2 * (100 + 512 * 37)
        )
        spec = from_above(on(scene([], frames=1, size_m=(1.0, 0.8)), top=of(matter)))
        spec = lit(dark(spec), direction=direction, key_rgb=(1.0, 1.0, 1.0))
        light = first(spec).linear[..., 1]
        xs, ys = np.meshgrid((np.arange(160) + 0.5 - 80) / 200 * 0.5, -(np.arange(120) + 0.5 - 60) / 200 * 0.5)
        u, v = tile_origin(matter)
        tile = material_tile("floor_tiles", 0)
        columns = (((xs + 0.5) / 0.3 + u) * TILE_PX).astype(int) % TILE_PX
        rows = (((ys + 0.4) / 0.3 + v) * TILE_PX).astype(int) % TILE_PX
        slope = np.zeros((120, 160))
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                slope += tile[(rows + i) % TILE_PX, (columns + j) % TILE_PX, 2 + axis] / 9
        assert np.corrcoef(light.ravel(), -slope.ravel())[0, 1] > 0.7


def test_grooves_spread_a_highlight_across_themselves():
    """Brushed along x: the lamp's image is long in y."""
    extents = []
    for anisotropy in (0.0, 0.9):
        steel = replace(METAL, roughness=0.35)
        matter = replace(FLAT, base=steel, second=steel, anisotropy=anisotropy)
        spec = lit(dark(from_above(on(scene([], frames=1), top=of(matter)))), key_rgb=(1.0, 1.0, 1.0))
        light = first(spec).linear[..., 1].astype(float)
        y, x = np.mgrid[:120, :160] - np.array([59.5, 79.5])[:, None, None]
        inside = np.hypot(x, y) < 59
        weight = light[inside] - light[inside].min()
        extents.append([np.sqrt((weight * c[inside] ** 2).sum() / weight.sum()) for c in (x, y)])
    assert extents[0][0] == pytest.approx(extents[0][1], rel=0.02)
    assert extents[1][1] > 1.2 * extents[1][0]


def test_what_is_too_fine_to_be_seen_is_rough():
    """Far away a mirror with a relief is a rough mirror, not a smooth one."""
    mirror = SubstanceSpec(rgb=(0.9, 0.9, 0.9), metallic=1.0, roughness=0.1)
    light = {}
    for relief in (0.0, 0.3):
        matter = replace(FLAT, name="plastic_matt", base=mirror, second=mirror, relief=relief, tile_m=0.002)
        spec = lit(dark(from_above(on(scene([], frames=1), top=of(matter)))), key_rgb=(1.0, 1.0, 1.0))
        light[relief] = first(spec).linear[..., 1]
    peaks = {relief: result[60, 80] / result[10, 80] for relief, result in light.items()}
    assert peaks[0.3] < 3 < 8 < peaks[0.0]


# --------------------------------------------------------------------------------------------------------- every row


def test_every_material_renders_and_differs_from_all_others(ball):
    """On a sphere under a lamp, each with the figures of its own row."""
    pictures = {}
    for name in MATERIALS:
        spec = ball(draw_material(name, np.random.default_rng(3)))
        spec = lit(
            spec, direction=(0.6, 0.0, 0.8), key_rgb=(1.0, 1.0, 1.0), ambient_rgb=(0.3,) * 3, horizon_rgb=(0.1,) * 3,
            zenith_rgb=(0.5,) * 3,
        )  # fmt: skip
        frame = first(on(spec, top=matt((0.2, 0.2, 0.2))))
        assert np.isfinite(frame.linear).all()
        pictures[name] = frame.linear[frame.ids == 0]
    assert len(pictures) == 31
    names = sorted(pictures)
    apart = {
        (a, b): float(np.abs(pictures[a] - pictures[b]).mean()) for i, a in enumerate(names) for b in names[i + 1 :]
    }
    assert min(apart.values()) > 0.004, min(apart, key=lambda pair: apart[pair])


def test_wear_shows_and_bodies_floors_and_sides_are_drawn():
    box = BodySpec(
        shape="cylinder", size_m=(0.05, 0.05, 0.06), material=draw_material("turned", np.random.default_rng(0)),
        world_from_body=Pose(position_m=(0.05, 0.0, 0.03), rotation_xyzw=(0.0, 0.0, 0.0, 1.0)), velocity_m_s=BLACK,
    )  # fmt: skip
    plain = on(scene([], frames=1, clutter=[box], size_m=(0.16, 0.12)), floor_below_m=0.1)
    clean = on(plain, top=of(FLAT), sides=of(FLAT), floor=of(replace(FLAT, name="floor_tiles")))
    dirt = WornSpec(layers=(WearSpec(name="dirt", amount=1.0),), side_m=0.1, seed=0)
    dirty = on(clean, top=of(replace(FLAT, wear=dirt)))
    a, b = first(clean), first(dirty)
    assert (a.ids == b.ids).all()
    assert (a.ids == CLUTTER).sum() > 500
    darker = b.linear[..., 1] < 0.8 * a.linear[..., 1]
    assert 0.03 < darker.mean() < 0.6
    assert not darker[a.ids == CLUTTER].any()


def test_tiny_draws_the_mean_of_a_material():
    red = SubstanceSpec(rgb=(0.6, 0.05, 0.05), metallic=0.0, roughness=0.9)
    material = replace(of(replace(FLAT, base=red, second=red)), rgb=red.rgb, roughness=0.9)
    spec = on(scene([], frames=1), top=material)
    ours, theirs = (first(spec, renderer).linear[60, 80] for renderer in (pbr, tiny))
    assert ours == pytest.approx(theirs, rel=0.08, abs=0.04)  # the glossy skin is white


def test_truth_does_not_go_by_materials_or_lamps():
    parts = [part("hex_nut", "M24", (0.0, 0.0, 0.011))]
    plain = scene(parts, frames=1)
    other = on(plain, top=of(replace(FLAT, relief=0.5)))
    other = lit(replace(other, parts=(replace(other.parts[0], material=of(LOBES["turned"])),)), lamps=(SPOT,))
    a, b = first(plain), first(other)
    assert (a.ids == b.ids).all()
    assert (a.depth_m == b.depth_m).all()
    assert (a.normals == b.normals).all()
    size = np.linalg.norm(a.normals, axis=-1)
    assert size[np.isfinite(a.depth_m)] == pytest.approx(1, abs=2e-3)
    assert a.normals[a.ids == -1][:, 2].min() > 0.99


# ------------------------------------------------------------------------------------------------------------- lamps


def vec(v):
    return tuple(float(c) for c in v)


def with_lamp(spec, *lamps):
    return lit(dark(spec), lamps=lamps)


def shadowing(height=0.12):
    pose = Pose(position_m=(0.0, 0.0, height), rotation_xyzw=(0.0, 0.0, 0.0, 1.0))
    body = BodySpec(shape="box", size_m=(0.05, 0.05, 0.01), material=matt(), world_from_body=pose, velocity_m_s=BLACK)
    return on(scene([], frames=1, clutter=[body]), top=matt(), sides=matt(), floor=matt())


def test_a_directional_lamp_is_a_key_light():
    toward = np.array(SPOT.toward)
    lamp = replace(
        SPOT,
        kind="directional",
        position_m=vec(-2 * toward),
        rgb=(0.9, 0.7, 0.4),
        size_m=(0.1, 0.1),
    )
    spec = shadowing()
    key = lit(dark(spec), direction=vec(-toward), key_rgb=lamp.rgb, source_angle_rad=0.05)  # as wide as 0.1 m at 2 m
    ours, theirs = first(with_lamp(spec, lamp)).linear, first(key).linear
    assert theirs.min() < 0.02 < 0.2 < theirs.max()
    assert np.abs(ours - theirs).mean() < 0.015 * theirs.max()
    assert np.quantile(np.abs(ours - theirs), 0.98) < 0.15 * theirs.max()


def test_light_from_a_spot_falls_with_the_square_of_the_distance_and_ends_with_its_cone():
    spec = from_above(on(scene([], frames=1), top=matt((0.8, 0.8, 0.8))))
    down = replace(SPOT, position_m=(0.0, 0.0, 0.4), toward=(0.0, 0.0, -1.0), half_angle_rad=0.2)
    near, far = (first(with_lamp(spec, replace(down, position_m=(0.0, 0.0, z)))).linear for z in (0.4, 0.8))
    assert near[60, 80] == pytest.approx(4 * far[60, 80], rel=0.02)
    assert near[60, 80] == pytest.approx(0.8 * on_level_card(down), rel=0.06)
    lit_up = near[..., 1] > 0.02 * near[60, 80, 1]
    radius_px = 0.4 * np.tan(0.2) / 0.5 * 200
    assert lit_up.sum() == pytest.approx(np.pi * radius_px**2, rel=0.15)


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.5), (0.4, 0.2, 0.3)])
def test_a_softbox_gives_a_card_what_lamberts_formula_says(place):
    toward = -np.array(place) / np.linalg.norm(place)
    up = np.cross(toward, (0.0, 1.0, 0.0))
    up = up / np.linalg.norm(up)
    box = replace(
        SPOT,
        kind="softbox",
        position_m=place,
        toward=vec(toward),
        up=vec(up),
        size_m=(0.3, 0.2),
    )
    spec = from_above(on(scene([], frames=1), top=matt((0.8, 0.8, 0.8))))
    assert first(with_lamp(spec, box)).linear[60, 80] == pytest.approx(0.8 * on_level_card(box), rel=0.08)


def test_a_mirror_shows_a_softbox_as_bright_as_it_is():
    mirror = SubstanceSpec(rgb=(1.0, 1.0, 1.0), metallic=1.0, roughness=0.06)
    box = replace(
        SPOT, kind="softbox", position_m=(0.0, 0.0, 1.0), toward=(0.0, 0.0, -1.0), size_m=(0.4, 0.3), rgb=(0.2,) * 3
    )
    spec = from_above(on(scene([], frames=1), top=of(replace(FLAT, base=mirror, second=mirror))))
    light = first(with_lamp(spec, box)).linear[..., 1]
    wanted = float(softbox_radiance(box)[1])
    assert light[60, 80] == pytest.approx(wanted, rel=0.15)
    shown = light > wanted / 2
    # An eye at 0.5 m sees it in the table 1.5 m away, under 200 px for each m at 1 m... a third as large.
    assert shown.sum() == pytest.approx((0.4 / 1.5 * 200) * (0.3 / 1.5 * 200), rel=0.25)


@pytest.mark.parametrize("kind", ["spot", "softbox"])
def test_a_wider_lamp_makes_a_softer_shadow_on_the_far_side(kind):
    widths = []
    for size in (0.01, 0.1):
        lamp = replace(SPOT, kind=kind, size_m=(size, size))
        frame, bare = first(with_lamp(shadowing(), lamp)), first(with_lamp(replace(shadowing(), clutter=()), lamp))
        light = frame.linear[..., 0] / np.maximum(bare.linear[..., 0], 1e-3)
        table = (frame.ids == -1) & (np.abs(np.mgrid[:120, :160][0] - 45) < 50)
        dim = table & (light < 0.3)
        assert dim.sum() > 30
        assert np.nonzero(dim)[1].mean() < 80  # the lamp stands at +x
        widths.append((table & (light > 0.2) & (light < 0.8)).sum())
    assert widths[1] > 1.3 * widths[0]


def test_lamps_add_up():
    other = replace(SPOT, position_m=(-0.25, 0.0, 0.5), toward=(0.4472136, 0.0, -0.8944272))
    spec = shadowing()
    one, two, both = (first(with_lamp(spec, *lamps)).linear for lamps in ((SPOT,), (other,), (SPOT, other)))
    assert both == pytest.approx(one + two, abs=float(2e-3 * both.max() + 2e-3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "sun"}, r"light.lamps\[0\]: no kind 'sun'; there are"),
        ({"toward": (0.0, 0.0, -2.0)}, "unit vectors at a right angle"),
        ({"rgb": (-1.0, 0.0, 0.0)}, "no negative light"),
    ],
)
def test_a_lamp_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        first(with_lamp(scene([], frames=1), replace(SPOT, **change)))
    with pytest.raises(ValueError, match="4 of them; the pbr renderer takes 3"):
        first(with_lamp(scene([], frames=1), *[SPOT] * 4))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"coat": 1.5}, ValueError, r"stage.top.material: matter.coat is 1.5"),
        ({"base": replace(WHITE, roughness=-0.1)}, ValueError, "matter.base.roughness is -0.1"),
        ({"tile_m": 0.0}, ValueError, "must be above 0"),
        ({"name": "gold"}, KeyError, "no material 'gold'"),
    ],
)
def test_a_material_that_cannot_be_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        first(on(scene([], frames=1), top=of(replace(FLAT, **change))))
