"""Draw one scene. The only place in simgen that makes random decisions.

Each group of knobs draws from a stream of its own name (`Streams`), so that ablations over groups are paired.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from simgen.assets import light as lighting
from simgen.assets.materials import draw_material, draw_wear
from simgen.assets.parts import PARTS, PartModel, Size, part_model
from simgen.assets.surroundings import ambient
from simgen.camera.sensor.spectral import sensor_from_light
from simgen.scene.config import (
    CameraKnobs,
    ClutterKnobs,
    ColourKnobs,
    KindKnobs,
    LensKnobs,
    LightKnobs,
    MatterKnobs,
    MatterSurfaceKnobs,
    PartsKnobs,
    RenderKnobs,
    SceneConfig,
    SensorKnobs,
    ShutterKnobs,
    StageKnobs,
    SurfaceKnobs,
    TextureKnobs,
)
from simgen.scene.sampling import lamps as sample_light
from simgen.spec.colour import LUMINANCE, black_body, linear_from_hsv
from simgen.spec.geometry import look_at, pose, vec3
from simgen.spec.knobs import Choice, Streams
from simgen.spec.types import (
    PATHTRACED,
    BodySpec,
    CameraSpec,
    GlowSpec,
    LightSpec,
    MaterialSpec,
    Metres,
    PartSpec,
    Pose,
    Radians,
    RenderSpec,
    SceneSpec,
    SensorSpec,
    SheetSpec,
    ShutterSpec,
    StageSpec,
    Vec3,
)

THINNEST_LEG_M = 0.02
BAND_PROUD_M = 0.0008  # more than the depth buffer's step at a metre
DROP_M = 0.0005  # parts are let go this far above where they would lie

_Thing = TypeVar("_Thing", PartSpec, BodySpec)


def sample(config: SceneConfig, seed: int, index: int) -> SceneSpec:
    """The scene numbered `index` of the data set that `config` and `seed` name.

    A pure function: it needs no other scene, so any worker can make any scene.

    Raises:
        KeyError: the config names a kind of part that `PARTS` has not.
        ValueError: a kind's size range holds none of its standard's sizes.
    """
    stream = Streams(seed, index)
    timing = stream("timing")
    interval_s = config.timing.frame_interval_s.draw(timing)
    stage = _stage(config.stage, config.texture, stream("stage"), stream("texture"))
    stage = _stage_in_matter(stage, config.matter, stream)
    light = _more_light(_light(config.light, stream("light")), config.light, stream)
    camera = _camera(config.camera, stage, config.timing.frames, interval_s, stream("camera"))
    clutter, occluders = _clutter(config.clutter, config.texture, stage, stream("clutter"), stream("texture.clutter"))
    bands = _bands(config.clutter, config.texture, clutter, stream("clutter.bands"))
    legs = _legs(stage, config.stage.leg_m.draw(stream("stage.legs")))
    walls = _walls(stage, config.stage, stream("stage.walls"))
    loose = _in_matter((*clutter, *occluders), config.matter.clutter, stream, "clutter")
    belt_run_m = stage.belt_speed_m_s * (config.timing.settle_s + interval_s * (config.timing.frames - 1))
    parts = _parts(
        config.parts, config.texture, stage, belt_run_m, bool(walls), stream("parts"), stream("texture.parts")
    )
    return SceneSpec(
        index=index,
        parts=_in_matter(parts, config.matter.parts, stream, "parts"),
        clutter=loose[: len(clutter)] + bands + legs + walls,
        occluders=loose[len(clutter) :],
        stage=stage,
        light=light,
        camera=_through_lens(camera, config.lens, stream("lens")),
        sensor=_sensor(config.sensor, light, stream("sensor")),
        render=_render(config.render, stream("render")),
        settle_s=config.timing.settle_s,
        frame_interval_s=interval_s,
        shutter=_shutter(config.shutter, stream("shutter")),
    )


def _render(knobs: RenderKnobs, rng: np.random.Generator) -> RenderSpec:
    """The renderer that draws the scene: the preset's, or for a share of the scenes the one that traces paths."""
    lot, seed = float(rng.uniform()), int(rng.integers(2**32))
    if knobs.renderer != PATHTRACED and lot >= knobs.pathtraced_share:
        return RenderSpec(renderer=knobs.renderer, supersample=knobs.supersample)
    return RenderSpec(renderer=PATHTRACED, supersample=knobs.supersample, samples=knobs.samples, seed=seed)


# --- parts -----------------------------------------------------------------------------------------------------------


@dataclass
class _Ground:
    """Where parts have been put: circles on the stage."""

    half_m: tuple[float, float]
    circles: list[tuple[float, float, float]]
    poured: bool = False  # as into a bin: each part above all those that it would touch on its way down
    tops_m: list[float] = field(default_factory=list)  # of what has been poured

    def pour(self, x: float, y: float, radius_m: float) -> float:
        """The height at which a part is let go clear of those under it, as the middle of a ball round it."""
        under = [
            top
            for (cx, cy, r), top in zip(self.circles, self.tops_m, strict=True)
            if math.hypot(x - cx, y - cy) < radius_m + r
        ]
        self.circles.append((x, y, radius_m))
        self.tops_m.append(max(under, default=0.0) + 2 * radius_m)
        return self.tops_m[-1] - radius_m

    def free_spot(self, radius_m: float, rng: np.random.Generator, tries: int = 20) -> tuple[float, float, bool]:
        """A spot clear of earlier ones if one turns up in `tries` draws, and whether it is clear."""
        for _ in range(tries):
            x, y = (float(rng.uniform(-half, half)) for half in self.half_m)
            if all(math.hypot(x - cx, y - cy) > radius_m + r for cx, cy, r in self.circles):
                return x, y, True
        return x, y, False


def sizes(kind: str, knobs: KindKnobs) -> list[str]:
    """The designations of `kind` that lie in the range of `knobs`."""
    if kind not in PARTS:
        raise KeyError(f"no part kind {kind!r}; there are {sorted(PARTS)}")

    def within(size: Size) -> bool:
        in_length = size.length_mm is None or knobs.length_mm.low <= size.length_mm <= knobs.length_mm.high
        return knobs.diameter_mm.low <= size.diameter_mm <= knobs.diameter_mm.high and in_length

    found = [size.designation for size in PARTS[kind].sizes if within(size)]
    if not found:
        standard = PARTS[kind].standard
        raise ValueError(f"parts.kinds.{kind}: {standard} has no size in {knobs.diameter_mm} mm, {knobs.length_mm} mm")
    return found


def _parts(
    knobs: PartsKnobs,
    texture: TextureKnobs,
    stage: StageSpec,
    belt_run_m: float,
    poured: bool,
    rng: np.random.Generator,
    textures: np.random.Generator,
) -> tuple[PartSpec, ...]:
    count, spread = knobs.count.draw(rng), knobs.spread.draw(rng)
    stands, piles = knobs.standing_share.draw(rng), knobs.pile_share.draw(rng)
    kinds = Choice({kind: k.weight for kind, k in knobs.kinds.items()})
    every = Choice({name: finish.weight for name, finish in texture.finishes.items()})
    half_m = (spread * stage.size_m[0] / 2 + belt_run_m / 2, spread * stage.size_m[1] / 2)
    ground = _Ground(half_m, [], poured=poured)
    parts = []
    for i in range(count):
        kind = kinds.draw(rng)
        options = sizes(kind, knobs.kinds[kind])
        designation = options[int(rng.integers(len(options)))]
        model = part_model(kind, designation)
        density, friction = knobs.density_kg_m3.draw(rng), knobs.friction.draw(rng)
        finish = (knobs.kinds[kind].finishes or every).draw(textures)
        parts.append(
            PartSpec(
                kind=kind,
                designation=designation,
                category=PARTS[kind].category,
                mass_kg=density * model.volume_m3,
                friction=friction,
                material=_surface(texture.finishes[finish], textures),
                world_from_part=_let_go(model, ground, i, stands, piles, belt_run_m / 2, rng),
            )
        )
    return tuple(parts)


def _let_go(
    model: PartModel, ground: _Ground, i: int, stands: float, piles: float, upstream_m: float, rng: np.random.Generator
) -> Pose:
    """Where a part is let go: just above the stage on a free spot, or above an earlier part; or poured."""
    if ground.poured:
        rotation = _orientation(True, True, True, rng)
        x, y = (float(rng.uniform(-1, 1)) * max(half - model.radius_m, 0.0) for half in ground.half_m)
        return pose(rotation, np.array([x, y, ground.pour(x, y, model.radius_m)]))
    height_m = float(np.ptp(model.vertices_m[:, 2]))
    is_long = height_m > 0.8 * 2 * float(np.abs(model.vertices_m[:, :2]).max())
    upright = rng.uniform() < stands if is_long else True
    piled = bool(ground.circles) and rng.uniform() < piles
    rotation = _orientation(upright, is_long, piled, rng)
    x, y, clear = ground.free_spot(_footprint(model, upright), rng)
    if piled:
        cx, cy, reach = ground.circles[int(rng.integers(len(ground.circles)))]
        angle, away = rng.uniform(0, math.tau), rng.uniform(0.3, 1.0) * reach
        x, y = cx + away * math.cos(angle), cy + away * math.sin(angle)
        x, y = (float(np.clip(v, -half, half)) for v, half in zip((x, y), ground.half_m, strict=True))
    ground.circles.append((x, y, _footprint(model, upright)))
    lift = 0.0 if clear and not piled else 0.03 + 0.004 * i + model.radius_m
    z = lift + DROP_M - float((model.vertices_m @ rotation.T)[:, 2].min())
    return pose(rotation, np.array([x - upstream_m, y, z]))


def _footprint(model: PartModel, upright: bool) -> float:
    """Radius of the circle that a part covers on the stage."""
    return float(np.linalg.norm(model.vertices_m[:, :2], axis=1).max()) if upright else model.radius_m


def _orientation(upright: bool, is_long: bool, tumbling: bool, rng: np.random.Generator) -> np.ndarray:
    """A rotation: any at all when tumbling; else the part's axis upright (flat parts either way up) or lying."""
    yaw, spin, flip = rng.uniform(0, math.tau), rng.uniform(0, math.tau), rng.uniform() < 0.5
    if tumbling:
        tilt = math.acos(rng.uniform(-1, 1))
    else:
        tilt = (math.pi if flip and not is_long else 0.0) if upright else math.pi / 2
    return np.asarray(_about_z(yaw) @ _about_x(tilt) @ _about_z(spin))


def _about_z(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _about_x(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


# --- surfaces --------------------------------------------------------------------------------------------------------


def _colour(knobs: ColourKnobs, rng: np.random.Generator) -> Vec3:
    hue, saturation, value = knobs.hue_deg.draw(rng), knobs.saturation.draw(rng), knobs.value.draw(rng)
    return linear_from_hsv(hue, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))


def _surface(knobs: SurfaceKnobs, rng: np.random.Generator) -> MaterialSpec:
    return MaterialSpec(
        rgb=_colour(knobs.colour, rng),
        metallic=knobs.metallic.draw(rng),
        roughness=knobs.roughness.draw(rng),
        texture=knobs.texture.draw(rng),
        texture_scale_m=Metres(knobs.texture_scale_m.draw(rng)),
        contrast=knobs.contrast.draw(rng),
        texture_seed=int(rng.integers(2**31)),
    )


def _stage(
    knobs: StageKnobs, texture: TextureKnobs, rng: np.random.Generator, textures: np.random.Generator
) -> StageSpec:
    size = (knobs.length_m.draw(rng), knobs.width_m.draw(rng))
    thickness, below = knobs.thickness_m.draw(rng), knobs.floor_below_m.draw(rng)
    return StageSpec(
        size_m=size,
        thickness_m=Metres(thickness),
        floor_below_m=Metres(below),
        belt_speed_m_s=knobs.belt_speed_m_s.draw(rng),
        top=_surface(texture.top, textures),
        sides=_surface(texture.sides, textures),
        floor=_surface(texture.floor, textures),
        sheets=_sheets(knobs, texture, size, rng, textures),
    )


def _sheets(
    knobs: StageKnobs,
    texture: TextureKnobs,
    stage_m: tuple[float, float],
    rng: np.random.Generator,
    textures: np.random.Generator,
) -> tuple[SheetSpec, ...]:
    layout, count, size_m = knobs.sheets.draw(rng), knobs.sheet_count.draw(rng), knobs.sheet_size_m.draw(rng)
    if layout == "none":
        return ()
    if layout == "covering":
        return _covering(stage_m, size_m, _colour(texture.sheet_colour, textures), rng)
    if layout == "scattered":
        return tuple(_scattered(stage_m, size_m, _colour(texture.sheet_colour, textures), rng) for _ in range(count))
    raise ValueError(f"stage.sheets: no layout {layout!r}; there are 'none', 'scattered', 'covering'")


def _scattered(stage_m: tuple[float, float], size_m: float, rgb: Vec3, rng: np.random.Generator) -> SheetSpec:
    return SheetSpec(
        centre_m=(
            float(rng.uniform(-0.45, 0.45) * stage_m[0]),
            float(rng.uniform(-0.45, 0.45) * stage_m[1]),
        ),
        size_m=(size_m, size_m * float(rng.uniform(0.6, 0.8))),
        yaw_rad=Radians(float(rng.uniform(0, math.tau))),
        rgb=rgb,
    )


def _covering(
    stage_m: tuple[float, float], size_m: float, rgb: Vec3, rng: np.random.Generator
) -> tuple[SheetSpec, ...]:
    """Sheets of one colour, edge to edge but for a few millimetres."""
    step = (size_m, size_m * 0.707)
    counts = [max(1, math.ceil(s / d)) for s, d in zip(stage_m, step, strict=True)]
    sheets = []
    for i in range(counts[0]):
        for j in range(counts[1]):
            x, y = ((n - (c - 1) / 2) * d for n, c, d in zip((i, j), counts, step, strict=True))
            jitter = rng.normal(0, 0.002, 3)
            shade = float(rng.uniform(0.96, 1.04))
            sheets.append(
                SheetSpec(
                    centre_m=(float(x + jitter[0]), float(y + jitter[1])),
                    size_m=(step[0] * 1.01, step[1] * 1.01),
                    yaw_rad=Radians(float(jitter[2])),
                    rgb=(rgb[0] * shade, rgb[1] * shade, rgb[2] * shade),
                )
            )
    return tuple(sheets)


def _legs(stage: StageSpec, thick_m: float) -> tuple[BodySpec, ...]:
    """Four square legs under the corners of the stage, down to the floor."""
    length = stage.floor_below_m - stage.thickness_m
    if thick_m < THINNEST_LEG_M or length <= 0:
        return ()
    x, y = ((size - thick_m) / 2 for size in stage.size_m)
    below = -stage.thickness_m - length / 2
    return tuple(
        BodySpec(
            shape="box",
            size_m=(thick_m, thick_m, length),
            material=stage.sides,
            world_from_body=pose(np.eye(3), np.array([across * x, along * y, below])),
            velocity_m_s=(0.0, 0.0, 0.0),
        )
        for across in (-1, 1)
        for along in (-1, 1)
    )


def _walls(stage: StageSpec, knobs: StageKnobs, rng: np.random.Generator) -> tuple[BodySpec, ...]:
    """Four walls round the stage, which the physics has anyway, so that it is a bin's floor; or none."""
    height_m, thick_m = knobs.wall_height_m.draw(rng), knobs.wall_thickness_m.draw(rng)
    if height_m <= 0:
        return ()
    x, y = ((size + thick_m) / 2 for size in stage.size_m)
    tall_m, middle_m = height_m + stage.thickness_m, (height_m - stage.thickness_m) / 2
    places = [((s * x, 0.0), (thick_m, stage.size_m[1], tall_m)) for s in (-1.0, 1.0)]
    places += [((0.0, s * y), (stage.size_m[0] + 2 * thick_m, thick_m, tall_m)) for s in (-1.0, 1.0)]
    return tuple(
        BodySpec(
            shape="box",
            size_m=size_m,
            material=stage.sides,
            world_from_body=pose(np.eye(3), np.array([*at_m, middle_m])),
            velocity_m_s=(0.0, 0.0, 0.0),
        )
        for at_m, size_m in places
    )


# --- surroundings ----------------------------------------------------------------------------------------------------


def _clutter(
    knobs: ClutterKnobs,
    texture: TextureKnobs,
    stage: StageSpec,
    rng: np.random.Generator,
    textures: np.random.Generator,
) -> tuple[tuple[BodySpec, ...], tuple[BodySpec, ...]]:
    count, occluders = knobs.count.draw(rng), knobs.occluders.draw(rng)
    standing = tuple(_standing(knobs, _surface(texture.clutter, textures), stage, rng) for _ in range(count))
    passing = tuple(_passing(knobs, _surface(texture.clutter, textures), stage, rng) for _ in range(occluders))
    return standing, passing


def _standing(knobs: ClutterKnobs, material: MaterialSpec, stage: StageSpec, rng: np.random.Generator) -> BodySpec:
    """Something on the floor round the stage."""
    sx, sy, sz = (knobs.size_m.draw(rng) for _ in range(3))
    shape = "cylinder" if rng.uniform() < 0.4 else "box"
    reach, angle = knobs.ring_m.draw(rng), rng.uniform(0, math.tau)
    direction = np.array([math.cos(angle), math.sin(angle)])
    to_edge = min(s / 2 / max(abs(d), 1e-9) for s, d in zip(stage.size_m, direction, strict=True))
    x, y = direction * (to_edge + reach + max(sx, sy) / 2)
    yaw = _about_z(rng.uniform(0, math.tau))
    return BodySpec(
        shape=shape,
        size_m=(sx, sx if shape == "cylinder" else sy, sz),
        material=material,
        world_from_body=pose(yaw, np.array([x, y, sz / 2 - stage.floor_below_m])),
        velocity_m_s=(0.0, 0.0, 0.0),
    )


def _bands(
    knobs: ClutterKnobs, texture: TextureKnobs, clutter: tuple[BodySpec, ...], rng: np.random.Generator
) -> tuple[BodySpec, ...]:
    """Sleeves of other colours round what stands there, as on printed packaging, bottles and cans."""
    return tuple(
        _band(body, proud_m=BAND_PROUD_M * (i + 1), material=_surface(texture.clutter, rng), rng=rng)
        for body in clutter
        for i in range(knobs.bands.draw(rng))
    )


def _band(body: BodySpec, proud_m: float, material: MaterialSpec, rng: np.random.Generator) -> BodySpec:
    sx, sy, sz = body.size_m
    height = sz * float(rng.uniform(0.08, 0.5))
    up = float(rng.uniform(-0.5, 0.5)) * (sz + 2 * proud_m - height)  # the topmost covers the lid too
    x, y, z = body.world_from_body.position_m
    return replace(
        body,
        size_m=(sx + 2 * proud_m, sy + 2 * proud_m, height),
        material=material,
        world_from_body=replace(body.world_from_body, position_m=(x, y, z + up)),
    )


def _passing(knobs: ClutterKnobs, material: MaterialSpec, stage: StageSpec, rng: np.random.Generator) -> BodySpec:
    """A bar or a box that crosses, or stands, above the stage."""
    size = knobs.occluder_size_m.draw(rng)
    height, speed = knobs.occluder_height_m.draw(rng), knobs.occluder_speed_m_s.draw(rng)
    x, y = (float(rng.uniform(-0.5, 0.5) * s) for s in stage.size_m)
    angle = rng.uniform(0, math.tau)
    return BodySpec(
        shape="cylinder" if rng.uniform() < 0.3 else "box",
        size_m=(size, size, size * float(rng.uniform(0.5, 3.0))),
        material=material,
        world_from_body=pose(
            _about_z(rng.uniform(0, math.tau)) @ _about_x(rng.uniform(0, math.pi)), np.array([x, y, height])
        ),
        velocity_m_s=(speed * math.cos(angle), speed * math.sin(angle), 0.0),
    )


# --- matter ----------------------------------------------------------------------------------------------------------


# Procedural materials take the place of the plain ones where the preset names them; each kind of surface has a stream.


def _stage_in_matter(stage: StageSpec, knobs: MatterKnobs, stream: Streams) -> StageSpec:
    def surface(plain: MaterialSpec, knobs: MatterSurfaceKnobs | None, name: str) -> MaterialSpec:
        return _matter(knobs, stream, name, 1)[0] if knobs else plain

    return replace(
        stage,
        top=surface(stage.top, knobs.top, "top"),
        sides=surface(stage.sides, knobs.sides, "sides"),
        floor=surface(stage.floor, knobs.floor, "floor"),
    )


def _in_matter(
    things: tuple[_Thing, ...], knobs: MatterSurfaceKnobs | None, stream: Streams, name: str
) -> tuple[_Thing, ...]:
    if not knobs:
        return things
    made = _matter(knobs, stream, name, len(things))
    return tuple(replace(thing, material=material) for thing, material in zip(things, made, strict=True))


def _matter(knobs: MatterSurfaceKnobs, stream: Streams, name: str, count: int) -> list[MaterialSpec]:
    wear, rng = draw_wear(knobs.wear, knobs.wear_size_m, stream(f"matter.{name}.wear")), stream(f"matter.{name}")
    return [draw_material(knobs.materials.draw(rng), rng, wear) for _ in range(count)]


# --- light, camera, sensor -------------------------------------------------------------------------------------------


def _toward(elevation_rad: float, azimuth_rad: float) -> Vec3:
    flat = math.cos(elevation_rad)
    return flat * math.cos(azimuth_rad), flat * math.sin(azimuth_rad), math.sin(elevation_rad)


def _times(rgb: Vec3, gain: float) -> Vec3:
    return rgb[0] * gain, rgb[1] * gain, rgb[2] * gain


def _light(knobs: LightKnobs, rng: np.random.Generator) -> LightSpec:
    elevation, azimuth = math.radians(knobs.elevation_deg.draw(rng)), math.radians(knobs.azimuth_deg.draw(rng))
    key = black_body(knobs.temperature_k.draw(rng))
    key_intensity, ambient_intensity = knobs.key_intensity.draw(rng), knobs.ambient_intensity.draw(rng)
    ambient = _times(black_body(knobs.ambient_temperature_k.draw(rng)), ambient_intensity)
    surroundings = [knobs.surroundings.draw(rng) for _ in range(2)]
    return LightSpec(
        direction=_toward(elevation, azimuth),
        key_rgb=_times(key, key_intensity),
        ambient_rgb=ambient,
        shadow_strength=knobs.shadow_strength.draw(rng),
        source_angle_rad=Radians(math.radians(knobs.source_angle_deg.draw(rng))),
        occlusion_strength=knobs.occlusion_strength.draw(rng),
        horizon_rgb=_times(ambient, surroundings[0]),
        zenith_rgb=_times(ambient, surroundings[1]),
        glows=tuple(
            _glow(knobs, key, key_intensity + ambient_intensity, rng) for _ in range(knobs.glow_count.draw(rng))
        ),
    )


def _more_light(light: LightSpec, knobs: LightKnobs, stream: Streams) -> LightSpec:
    """Lamps, surroundings and flicker, where the preset has them; the draws of all other light stay as they are."""
    if knobs.environment:
        found = sample_light.environment(knobs.environment, stream("light.environment"))
        light = replace(light, environment=found, ambient_rgb=ambient(found))
    if knobs.lamps:
        light = replace(light, lamps=sample_light.lamps(knobs.lamps, stream("light.lamps")))
    if knobs.flicker:
        light = replace(light, flicker=sample_light.flicker(knobs.flicker, stream("light.flicker")))
    return light


def _glow(knobs: LightKnobs, rgb: Vec3, intensity: float, rng: np.random.Generator) -> GlowSpec:
    return GlowSpec(
        azimuth_rad=Radians(float(rng.uniform(0, math.tau))),
        elevation_rad=Radians(float(rng.uniform(0.0, math.pi / 2))),
        width_rad=Radians(math.radians(knobs.glow_size_deg.draw(rng))),
        height_rad=Radians(math.radians(knobs.glow_size_deg.draw(rng))),
        radiance=_times(rgb, intensity * knobs.glow_intensity.draw(rng)),
    )


def _camera(
    knobs: CameraKnobs, stage: StageSpec, frames: int, interval_s: float, rng: np.random.Generator
) -> CameraSpec:
    elevation, azimuth = math.radians(knobs.elevation_deg.draw(rng)), math.radians(knobs.azimuth_deg.draw(rng))
    target = np.array([knobs.aim.draw(rng) * s / 2 for s in stage.size_m] + [knobs.height_above_m])
    distance_m = knobs.distance_m.draw(rng)
    eye = target + distance_m * np.array(_toward(elevation, azimuth))
    roll, focal = math.radians(knobs.roll_deg.draw(rng)), knobs.focal_px.draw(rng)
    drift, heading = knobs.drift_m_s.draw(rng), rng.uniform(0, math.tau)
    velocity = drift * np.array([math.cos(heading), math.sin(heading), 0.0])
    up = np.array([0.0, 0.0, 1.0]) if elevation < 1.5 else np.array([0.0, 1.0, 0.0])
    side = np.cross(target - eye, up)
    up = up + math.tan(roll) * side / np.linalg.norm(side)
    poses = []
    for frame in range(frames):
        shift = velocity * interval_s * frame
        poses.append(look_at(vec3(eye + shift), vec3(target + shift), vec3(up)))
    return CameraSpec(
        width_px=knobs.width_px,
        height_px=knobs.height_px,
        focal_px=focal,
        centre_px=(knobs.width_px / 2, knobs.height_px / 2),
        world_from_camera=tuple(poses),
        velocity_m_s=vec3(velocity),
        focus_m=Metres(distance_m),
    )


def _through_lens(camera: CameraSpec, knobs: LensKnobs, rng: np.random.Generator) -> CameraSpec:
    """A camera that is focused on what it aims at, with a lens; the knobs' draws are errors of both."""
    k1, k2, p1, p2, k3 = (knob.draw(rng) for knob in (knobs.k1, knobs.k2, knobs.p1, knobs.p2, knobs.k3))
    return replace(
        camera,
        distortion=(k1, k2, p1, p2, k3),
        focal_length_m=Metres(knobs.focal_length_mm.draw(rng) / 1000),
        f_number=knobs.f_number.draw(rng),
        focus_m=Metres(camera.focus_m + knobs.focus_offset_m.draw(rng)),
    )


def _shutter(knobs: ShutterKnobs, rng: np.random.Generator) -> ShutterSpec:
    exposure_s, row_time_s = knobs.exposure_s.draw(rng), max(0.0, knobs.row_time_s.draw(rng))
    return ShutterSpec(exposure_s=exposure_s, row_time_s=row_time_s, subframes=knobs.subframes)


def _sensor(knobs: SensorKnobs, light: LightSpec, rng: np.random.Generator) -> SensorSpec:
    """Auto exposure and auto white balance aim at a white card on the stage; the knobs are their errors."""
    card = lighting.card(light)
    errors = np.array([knobs.white_balance.draw(rng), 1.0, knobs.white_balance.draw(rng)])
    drawn = SensorSpec(
        exposure=knobs.exposure.draw(rng),  # of a white card, until the gain is known
        white_balance=vec3(errors),
        vignetting=knobs.vignetting.draw(rng),
        blur_sigma_px=knobs.blur_sigma_px.draw(rng),
        motion_blur_px=max(0.0, knobs.motion_blur_px.draw(rng)),
        motion_angle_rad=Radians(float(rng.uniform(0, math.pi))),
        full_well_e=knobs.full_well_e.draw(rng),
        read_noise_e=knobs.read_noise_e.draw(rng),
        denoise=knobs.denoise.draw(rng),
        sharpen=knobs.sharpen.draw(rng),
        saturation=knobs.saturation.draw(rng),
        gamma=knobs.gamma.draw(rng),
        jpeg_quality=knobs.jpeg_quality.draw(rng),
        seed=int(rng.integers(2**32)),
    )
    gain, share = knobs.gain.draw(rng), knobs.crosstalk.draw(rng)
    seen = sensor_from_light(share) @ card  # by the sensor, whose own white balance it is
    return replace(
        drawn,
        exposure=float(drawn.exposure / (LUMINANCE @ card)) / gain,
        white_balance=vec3(errors / (seen / (LUMINANCE @ card))),
        gain=gain,
        crosstalk=share,
        lateral_ca=(knobs.lateral_ca.draw(rng), knobs.lateral_ca.draw(rng)),
        glare=knobs.glare.draw(rng),
        demosaic=knobs.demosaic.draw(rng),
        prnu=knobs.prnu.draw(rng),
        dsnu_e=knobs.dsnu_e.draw(rng),
        dark_current_e=knobs.dark_current_e.draw(rng),
        hot_pixels=knobs.hot_pixels.draw(rng),
        row_noise_e=knobs.row_noise_e.draw(rng),
        black_level=knobs.black_level.draw(rng),
        adc_bits=knobs.adc_bits.draw(rng),
        video_crf=knobs.video_crf.draw(rng),
    )
