"""Clips that cost nothing: for tests of everything that stores, moves or shows clips."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from simgen.spec.frames import FrameLabels, Labels, PartLabel, RenderedClip
from simgen.spec.scene import (
    CameraSpec,
    FamilySize,
    LightSpec,
    MaterialSpec,
    PartSpec,
    RenderSpec,
    SceneSpec,
    SensorSpec,
    StageSpec,
)
from simgen.spec.types import BACKGROUND, CLUTTER, Pose

STILL = Pose(position_m=(0.0, 0.0, 0.0), rotation_xyzw=(0.0, 0.0, 0.0, 1.0))
GREY = MaterialSpec(
    rgb=(0.5, 0.5, 0.5), metallic=0.0, roughness=0.5, texture="plain", texture_scale_m=0.01, contrast=0.0,
    texture_seed=0,
)  # fmt: skip
WIDTH, HEIGHT, FRAMES = 48, 36, 2
CATEGORIES = ("bolt", "nut", "washer")


def spec(seed: int, index: int) -> SceneSpec:
    names = [CATEGORIES[k] for k in np.random.default_rng([seed, index]).integers(3, size=3)]
    return SceneSpec(
        index=index,
        parts=tuple(
            PartSpec(
                source=FamilySize(name, "M8"), category=name, mass_kg=0.01, friction=0.5, material=GREY,
                world_from_part=STILL,
            )
            for name in names
        ),
        clutter=(), occluders=(),
        stage=StageSpec(
            size_m=(1.0, 1.0), thickness_m=0.02, floor_below_m=0.7, belt_speed_m_s=0.0, top=GREY, sides=GREY,
            floor=GREY, sheets=(),
        ),
        light=LightSpec(
            direction=(0.0, 0.0, 1.0), key_rgb=(1.0, 1.0, 1.0), ambient_rgb=(0.3, 0.3, 0.3), shadow_strength=0.8,
            source_angle_rad=0.01, occlusion_strength=0.5, horizon_rgb=(0.5, 0.5, 0.5), zenith_rgb=(1.0, 1.0, 1.0),
            glows=(),
        ),
        camera=CameraSpec(
            width_px=WIDTH, height_px=HEIGHT, focal_px=60.0, centre_px=(24.0, 18.0), world_from_camera=(STILL,) * FRAMES
        ),
        sensor=SensorSpec(
            exposure=1.0, white_balance=(1.0, 1.0, 1.0), vignetting=0.0, blur_sigma_px=0.5, motion_blur_px=0.0,
            motion_angle_rad=0.0, full_well_e=1e4, read_noise_e=5.0, denoise=0.0, sharpen=0.0, saturation=1.0,
            gamma=2.2, jpeg_quality=90, seed=1,
        ),
        render=RenderSpec(renderer="tiny", supersample=1),
        settle_s=0.2, frame_interval_s=0.1,
    )  # fmt: skip


def make(config: object, seed: int, index: int) -> RenderedClip:
    """Part 0 and part 1 side by side, part 1 half hidden by clutter, part 2 hidden altogether."""
    import cv2

    scene = spec(seed, index)
    rng = np.random.default_rng([seed, index, 1])
    ids = np.full((FRAMES, HEIGHT, WIDTH), BACKGROUND, np.int32)
    jpegs, frames = [], []
    for t in range(FRAMES):
        x, y = int(rng.integers(2, 8)), int(rng.integers(2, 20))
        ids[t, y : y + 10, x : x + 8] = 0
        ids[t, y : y + 10, x + 12 : x + 20] = 1
        ids[t, y + 5 : y + 16, x + 10 : x + 30] = CLUTTER
        image = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8) + (ids[t, ..., None] >= 0) * np.uint8(120)
        jpegs.append(cv2.imencode(".jpg", image)[1].tobytes())
        boxes = ((x, y, x + 8, y + 10), (x + 12, y, x + 20, y + 5), None)
        amodal = (boxes[0], (x + 12, y, x + 20, y + 10), (x + 22, y + 6, x + 26, y + 9))
        frames.append(_frame(scene, t, boxes, amodal, ids[t]))
    depth = np.where(ids == BACKGROUND, np.inf, 0.5 + ids * 0.01).astype(np.float32)
    labels = Labels(WIDTH, HEIGHT, 60.0, (24.0, 18.0), tuple(frames))
    return RenderedClip(scene, tuple(jpegs), ids, depth, labels)


def _frame(scene, t, boxes, amodal, ids):
    floats = [
        (None if b is None else tuple(map(float, b)), tuple(map(float, a))) for b, a in zip(boxes, amodal, strict=True)
    ]
    visible = [int((ids == k).sum()) for k in range(3)]
    parts = tuple(
        PartLabel(
            track_id=k, category=scene.parts[k].category, box_xyxy_px=box, amodal_box_xyxy_px=whole,
            unclipped_box_xyxy_px=whole, visible_share=visible[k] / ((whole[2] - whole[0]) * (whole[3] - whole[1])),
            visible_px=visible[k], camera_from_part=STILL,
        )
        for k, (box, whole) in enumerate(floats)
    )  # fmt: skip
    return FrameLabels(frame=t, time_s=0.1 * t, parts=parts, world_from_camera=STILL)


# Makers that go wrong. The config of these tests says where: a worker knows nothing else of the test.


def make_slowly(config: object, seed: int, index: int) -> RenderedClip:
    time.sleep(0.05)
    return make(config, seed, index)


def make_very_slowly(config: object, seed: int, index: int) -> RenderedClip:
    time.sleep(0.5)
    return make(config, seed, index)


def machinery(config: object) -> str:
    return "tests"


def make_or_raise(config: object, seed: int, index: int) -> RenderedClip:
    if index in (1, 6):
        raise RuntimeError(f"scene {index}\nwill not do")
    return make(config, seed, index)


def make_or_always_raise(config: object, seed: int, index: int) -> RenderedClip:
    raise KeyError("no renderer 'x'; there are ['tiny']")


def make_or_die(config: object, seed: int, index: int) -> RenderedClip:
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return make(config, seed, index)


def make_or_hang(config: object, seed: int, index: int) -> RenderedClip:
    if index == 4:
        time.sleep(600)
    return make(config, seed, index)


def make_or_die_once(config: object, seed: int, index: int) -> RenderedClip:
    died = Path(os.environ["SIMGEN_TEST_DIED"])
    if index == 3 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return make(config, seed, index)


def make_other(config: object, seed: int, index: int) -> RenderedClip:
    """Other pixels under the same spec: what a changed machine would make."""
    clip = make(config, seed, index)
    ids = clip.ids.copy()
    ids[0, 0, :3] = 2
    return replace(clip, ids=ids)


def make_on_a_full_disk(config: object, seed: int, index: int) -> RenderedClip:
    raise OSError(28, "No space left on device")


def _refuse():
    raise RuntimeError("will not load")


class _Unloadable:
    """A maker that a worker cannot even take over."""

    def __call__(self, config: object, seed: int, index: int) -> RenderedClip:
        return make(config, seed, index)

    def __reduce__(self):
        return _refuse, ()


unloadable = _Unloadable()


def _half(seconds: float) -> None:
    """Work that, once broken off, cannot be done again in the same process: as the import of a C extension."""
    if getattr(sys, "half_done", False):
        raise ImportError("half done already")
    sys.half_done = True
    time.sleep(seconds)
    sys.half_done = False


def _load_as_one_of_many(folder: str) -> Callable[..., RenderedClip]:
    """The first to come loads at once, every other takes its time."""
    try:
        (Path(folder) / "loaded").touch(exist_ok=False)
        _half(0.0)
    except FileExistsError:
        _half(3.0)
    return make_in_one_go


def make_in_one_go(config: object, seed: int, index: int) -> RenderedClip:
    _half(0.5)
    return make(config, seed, index)


class SlowToLoad:
    """A maker that can be broken off neither while it is loaded nor at a scene."""

    def __init__(self, folder: Path):
        self.folder = str(folder)

    def __call__(self, config: object, seed: int, index: int) -> RenderedClip:
        return make(config, seed, index)

    def __reduce__(self):
        return _load_as_one_of_many, (self.folder,)
