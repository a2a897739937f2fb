"""A hand or a gripper that passes through the view: bodies that move together, without a label.

Each is built in a frame of its own, in lengths of a hand: x is where it points to, z is up, and its lowest point is at
z = 0. The proportions are our own, by eye.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from simgen.scene.config import PassingKnobs
from simgen.spec.colour import linear_from_hsv
from simgen.spec.geometry import about_x, about_z, pose
from simgen.spec.scene import BodySpec, MaterialSpec, StageSpec
from simgen.spec.types import Metres, Vec3

HAND_M = 0.19  # from the wrist to the tip of the middle finger
NEAR_MIDDLE = 0.12  # of the stage's sides: how far from its middle it passes, in the middle of the clip
SIDEWAYS_RAD = 1.0  # between where it points to and where it moves to
BARE_SHARE = 0.5  # of hands; the others wear a glove

_Piece = tuple[str, Vec3, Vec3, Float64[np.ndarray, "3 3"], str]  # shape, size, centre, turn, and what it is made of
ALONG_X = about_z(math.pi / 2) @ about_x(math.pi / 2)  # turns a cylinder's axis from z to x


def draw_passing(
    knobs: PassingKnobs | None, stage: StageSpec, clip_s: float, rng: np.random.Generator
) -> tuple[BodySpec, ...]:
    """What passes, at its pose of the first frame; nothing in the scenes through which nothing passes.

    Args:
        knobs: of what passes; None: nothing does.
        stage: over whose middle it passes.
        clip_s: time from the first frame to the last.
        rng: draws everything.
    """
    if knobs is None or rng.uniform() >= knobs.share:
        return ()
    pieces, colours = PASSING[knobs.kinds.draw(rng)](rng)
    lift_m, speed, size_m = knobs.height_m.draw(rng), knobs.speed_m_s.draw(rng), knobs.size.draw(rng) * HAND_M
    yaw, aside = rng.uniform(0, math.tau), rng.uniform(-SIDEWAYS_RAD, SIDEWAYS_RAD)
    target = [rng.uniform(-NEAR_MIDDLE, NEAR_MIDDLE) * side for side in stage.size_m]
    velocity = speed * np.array([math.cos(yaw + aside), math.sin(yaw + aside), 0.0])
    start = np.array([*target, lift_m]) - velocity * clip_s / 2
    turn = about_z(yaw)
    return tuple(
        BodySpec(
            shape=shape,
            size_m=(size[0] * size_m, size[1] * size_m, size[2] * size_m),
            material=colours[made_of],
            world_from_body=pose(turn @ own, start + turn @ np.array(centre) * size_m),
            velocity_m_s=(float(velocity[0]), float(velocity[1]), 0.0),
        )
        for shape, size, centre, own, made_of in pieces
    )


def _hand(rng: np.random.Generator) -> tuple[list[_Piece], dict[str, MaterialSpec]]:
    """A flat hand on a forearm in a sleeve, bare or in a glove."""
    bare = rng.uniform() < BARE_SHARE
    skin = (rng.uniform(12, 30), rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.9))
    glove = (rng.uniform(0, 360), rng.uniform(0.0, 0.8), rng.uniform(0.1, 0.9))
    sleeve = (rng.uniform(0, 360), rng.uniform(0.0, 0.7), rng.uniform(0.1, 0.8))
    spread = float(rng.uniform(0.02, 0.12))  # between the fingers' directions, in radians
    pieces: list[_Piece] = [
        ("box", (0.5, 0.44, 0.15), (0.0, 0.0, 0.1), np.eye(3), "hand"),
        ("cylinder", (0.32, 0.32, 0.5), (-0.45, 0.0, 0.17), ALONG_X, "hand"),
        ("cylinder", (0.5, 0.5, 2.4), (-1.8, 0.0, 0.25), ALONG_X, "sleeve"),
        ("cylinder", (0.11, 0.11, 0.38), (0.12, 0.3, 0.06), about_z(0.7) @ ALONG_X, "hand"),
    ]
    for finger, length in enumerate((0.4, 0.46, 0.43, 0.33)):
        angle = (1.5 - finger) * spread
        centre = (0.23 + length / 2, (1.5 - finger) * 0.11 + angle * length / 2, 0.08)
        pieces.append(("cylinder", (0.1, 0.1, length), centre, about_z(angle) @ ALONG_X, "hand"))
    return pieces, {"hand": _plain(skin if bare else glove, 0.6), "sleeve": _plain(sleeve, 0.9)}


def _gripper(rng: np.random.Generator) -> tuple[list[_Piece], dict[str, MaterialSpec]]:
    """A parallel gripper with two jaws, open or closed, on an arm."""
    apart = float(rng.uniform(0.1, 0.45))
    paint = (rng.uniform(0, 360), rng.uniform(0.0, 0.9), rng.uniform(0.2, 0.95))
    grey = (0.0, 0.0, rng.uniform(0.2, 0.7))
    jaws: list[_Piece] = [
        ("box", (0.13, 0.08, 0.28), (0.0, side * (apart / 2 + 0.04), 0.14), np.eye(3), "metal") for side in (-1.0, 1.0)
    ]
    rest: list[_Piece] = [
        ("box", (0.22, 0.55, 0.14), (0.0, 0.0, 0.35), np.eye(3), "metal"),
        ("cylinder", (0.26, 0.26, 0.12), (0.0, 0.0, 0.48), np.eye(3), "paint"),
        ("cylinder", (0.26, 0.26, 2.4), (-1.1, 0.0, 0.6), ALONG_X, "paint"),
    ]
    return jaws + rest, {"metal": _plain(grey, 0.4, float(rng.uniform(0, 1))), "paint": _plain(paint, 0.4)}


PASSING: dict[str, Callable[[np.random.Generator], tuple[list[_Piece], dict[str, MaterialSpec]]]] = {
    "gripper": _gripper,
    "hand": _hand,
}


def _plain(hsv: tuple[float, float, float], roughness: float, metallic: float = 0.0) -> MaterialSpec:
    return MaterialSpec(
        rgb=linear_from_hsv(*hsv),
        metallic=metallic,
        roughness=roughness,
        texture="plain",
        texture_scale_m=Metres(0.01),
        contrast=0.0,
        texture_seed=0,
    )
