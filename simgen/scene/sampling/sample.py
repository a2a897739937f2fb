"""Draw one scene. All random choices of simgen are made in this package.

Each group of knobs draws from a stream of its own name (`Streams`), so that ablations over groups are paired.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simgen.scene.config import LateKnobs, RenderKnobs, SceneConfig, TimingKnobs
from simgen.scene.kinds import draw_kind, scene_kind, with_kind
from simgen.scene.kinds.drop import Scattered
from simgen.scene.kinds.motion import draw_cycle, moment_s, travel_m
from simgen.scene.sampling.camera import draw_camera, draw_lens, draw_sensor, draw_shutter
from simgen.scene.sampling.clutter import draw_bands, draw_clutter
from simgen.scene.sampling.decoys import draw_decoys
from simgen.scene.sampling.light import draw_light, draw_more_light
from simgen.scene.sampling.parts import Ground, draw_parts, stock
from simgen.scene.sampling.passing import draw_passing
from simgen.scene.sampling.photo import draw_photo, on_photo
from simgen.scene.sampling.stage import draw_legs, draw_stage
from simgen.scene.sampling.surfaces import draw_matter, draw_stage_matter
from simgen.spec.knobs import Streams
from simgen.spec.scene import PATHTRACED, PartSpec, RenderSpec, SceneSpec, StageSpec


def sample(config: SceneConfig, seed: int, index: int, attempt: int = 0) -> SceneSpec:
    """The scene numbered `index` of the data set that `config` and `seed` name.

    A pure function: it needs no other scene, so any worker can make any scene. Another `attempt` draws its parts anew
    and nothing else (`simgen.generation.clip` says when).

    Raises:
        KeyError: the config names a kind of part, or a material, that does not exist.
        ValueError: a kind's size range holds none of its standard's sizes.

    >>> spec = sample(load_config("tiny"), seed=7, index=41)
    >>> [part.category for part in spec.parts]
    ['nut', 'washer', 'nut', 'bolt']
    """
    stream = Streams(seed, index)
    timing = stream("timing")
    interval_s = config.timing.frame_interval_s.draw(timing)
    stage = draw_stage(config.stage, config.texture, stream("stage"), stream("texture"))
    stage = with_kind(draw_stage_matter(stage, config.matter, stream), draw_kind(config.stage, stream("stage.kind")))
    kind = scene_kind(stage)
    speed_m_s = kind.surface_speed_m_s(stage)
    if speed_m_s:
        stage = replace(stage, cycle=draw_cycle(config.stage.belt, stream("stage.cycle")))
    setting = kind.furnish(stage, config.stage, stock(config.parts), stream("stage.walls"))
    stage = replace(stage, sheets=stage.sheets + setting.sheets)
    times_s = _triggered(config.timing, stage, speed_m_s, stream("timing.trigger"))
    even_s = tuple(interval_s * k for k in range(config.timing.frames))
    if config.timing.late is not None:
        times_s = _late(config.timing.late, times_s or even_s, stream("timing.late"))
    light = draw_more_light(draw_light(config.light, stream("light")), config.light, stream)
    since_s = times_s or even_s
    camera = draw_camera(config.camera, stage, since_s, stream("camera"))
    clutter, occluders = draw_clutter(
        config.clutter, config.texture, stage, stream("clutter"), stream("texture.clutter")
    )
    bands = draw_bands(config.clutter, config.texture, clutter, stream("clutter.bands"))
    legs = draw_legs(stage, config.stage.leg_m.draw(stream("stage.legs")))
    bodies = draw_matter((*clutter, *occluders), config.matter.clutter, stream, "clutter")
    passing = draw_passing(config.clutter.passing, stage, since_s[-1], stream("clutter.passing"))
    clip_s = config.timing.settle_s + since_s[-1]
    again = Streams(seed, index, attempt)
    run_m = travel_m(speed_m_s, stage.cycle, clip_s)
    ground = Ground(stage, setting, run_m)
    parts, drop = draw_parts(config.parts, config.texture, ground, again("parts"), stream("texture.parts"))
    parts = tuple(part for part in parts if (part.start_s or 0.0) <= clip_s)  # the feeder lets go of others later
    decoys: tuple[PartSpec, ...] = ()
    if config.decoys:
        if stream("decoys.empty").uniform() < config.decoys.empty_share:
            parts, drop = (), kind.drop(drop.area)
        if setting.feed or setting.nests:
            drop = Scattered(drop.area)
        decoys = draw_decoys(config.decoys, config.parts, config.texture, drop, again("decoys"))
    spec = SceneSpec(
        index=index,
        parts=draw_matter(parts, config.matter.parts, stream, "parts"),
        clutter=bodies[: len(clutter)] + bands + legs,
        occluders=bodies[len(clutter) :] + passing + setting.riding + setting.above,
        stage=stage,
        light=light,
        camera=draw_lens(camera, config.lens, stream("lens")),
        sensor=draw_sensor(config.sensor, light, stream("sensor")),
        render=draw_render(config.render, stream("render")),
        settle_s=config.timing.settle_s,
        frame_interval_s=interval_s,
        shutter=draw_shutter(config.shutter, stream("shutter")),
        walls=setting.walls or None,
        decoys=decoys or None,
        attempt=attempt or None,
        frame_times_s=times_s,
    )
    return _with_photo(spec, config, stream)


def _triggered(
    knobs: TimingKnobs, stage: StageSpec, speed_m_s: float, rng: np.random.Generator
) -> tuple[float, ...] | None:
    """When an encoder triggers the camera, since the first frame; None where the frames come evenly."""
    if knobs.frame_step_m is None or not speed_m_s:
        return None
    step_m = knobs.frame_step_m.draw(rng)
    moments = (moment_s(speed_m_s, stage.cycle, k * step_m, knobs.settle_s) for k in range(1, knobs.frames))
    return (0.0, *(moment - knobs.settle_s for moment in moments))


def _late(knobs: LateKnobs, due_s: tuple[float, ...], rng: np.random.Generator) -> tuple[float, ...]:
    """When the frames are taken that are due at these times; each of them before the next one is due."""
    often = knobs.share.draw(rng)
    lots = [(float(rng.uniform()), knobs.by.draw(rng)) for _ in due_s]
    next_s = (*due_s[1:], 2 * due_s[-1] - (due_s[-2] if len(due_s) > 1 else 0.0))
    return tuple(
        due + by * (after - due) if k and lot < often else due
        for k, (due, after, (lot, by)) in enumerate(zip(due_s, next_s, lots, strict=True))
    )


def _with_photo(spec: SceneSpec, config: SceneConfig, stream: Streams) -> SceneSpec:
    """The scene on a photo, where the config has photos and the draw is for one."""
    knobs = config.stage.photo
    photo = draw_photo(knobs, config.camera, config.sensor.exposure, stream("stage.photo")) if knobs else None
    return on_photo(spec, photo, knobs) if knobs and photo else spec


def draw_render(knobs: RenderKnobs, rng: np.random.Generator) -> RenderSpec:
    """The renderer of the scene: the preset's, or the path tracer for a share of the scenes."""
    lot, seed = float(rng.uniform()), int(rng.integers(2**32))
    if knobs.renderer != PATHTRACED and lot >= knobs.pathtraced_share:
        return RenderSpec(renderer=knobs.renderer, supersample=knobs.supersample)
    return RenderSpec(renderer=PATHTRACED, supersample=knobs.supersample, samples=knobs.samples, seed=seed)
