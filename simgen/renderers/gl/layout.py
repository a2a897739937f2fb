"""The uniform blocks of `shaders/frame.glsl` as numpy records (std140, in which four floats are the unit)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from simgen.spec.types import MAX_LAMPS

VEC4 = (np.float32, 4)
MAT4 = (np.float32, (4, 4))  # column-major
MAX_SHEETS = 128
DRAW_STRIDE = 256  # the largest alignment of a block's offset that OpenGL lets a driver require

FRAME = np.dtype(
    [
        ("clip_from_world", *MAT4),
        ("shadow_from_world", np.float32, (2, 4, 4)),
        ("shadow_scale", np.float32, (2, 4)),
        ("eye", *VEC4),
        ("camera_axes", np.float32, (3, 4)),
        ("lens", *VEC4),
        ("sun", *VEC4),
        ("key", *VEC4),
        ("ambient", *VEC4),
        ("stage", *VEC4),
        ("stage_rgb", *VEC4),
        ("stage_tile", *VEC4),
        ("floor_rgb", *VEC4),
        ("bounce", *VEC4),
        ("stage_second", *VEC4),
    ]
)
_DRAW_FIELDS = [
    ("world_from_local", *MAT4),
    ("size", *VEC4),
    ("base", *VEC4),
    ("finish", *VEC4),
    ("place", *VEC4),
    ("thread", *VEC4),
    ("second", *VEC4),
    ("relief", *VEC4),
    ("coat", *VEC4),
    ("worn", *VEC4),
]
DRAW = np.dtype([*_DRAW_FIELDS, ("padding", np.uint8, DRAW_STRIDE - np.dtype(_DRAW_FIELDS).itemsize)])
_LAMP_FIELDS = ("place", "toward", "right", "up", "light", "scale")
LAMPS = np.dtype(
    [
        *[(name, np.float32, (MAX_LAMPS, 4)) for name in _LAMP_FIELDS],
        ("clip_from_world", np.float32, (MAX_LAMPS, 4, 4)),
        ("card", *VEC4),
    ]
)
SHEETS = np.dtype([(name, np.float32, (MAX_SHEETS, 4)) for name in ("place", "turn", "rgb")])


def columns(rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4 4"]:
    """A rigid transform as a column-major OpenGL matrix."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3], matrix[3, :3] = rotation.T, translation
    return matrix
