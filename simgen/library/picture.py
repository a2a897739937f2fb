"""Pictures of a part for its page: parallel projection, smooth shading, on a transparent ground. numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from simgen.spec.colour import srgb_from_linear

SMOOTH = 2  # samples along each side of a pixel
LIGHTS = (
    ((-0.45, 0.55, 0.70), 0.75),
    ((0.70, 0.10, 0.45), 0.30),
)  # directions in the picture (x right, y up), strength
AMBIENT = 0.22
MARGIN = 1.08


@dataclass(frozen=True)
class Drawn:
    """Triangles to draw, with a normal and a linear colour at each corner."""

    vertices_m: Float64[np.ndarray, "v 3"]
    normals: Float64[np.ndarray, "v 3"]
    triangles: Int64[np.ndarray, "t 3"]
    colours: Float64[np.ndarray, "v 3"]


def picture(drawn: Drawn, view: Float64[np.ndarray, "3 3"], reach_m: float, size_px: int) -> UInt8[np.ndarray, "s s 4"]:
    """RGBA of the triangles.

    Args:
        view: its rows are what is right, up and towards the eye in the picture.
        reach_m: half the side of what the picture shows, about the origin.
    """
    side = size_px * SMOOTH
    points = drawn.vertices_m @ view.T
    scale = side / (2 * MARGIN * reach_m)
    flat = np.stack([side / 2 + scale * points[:, 0], side / 2 - scale * points[:, 1], points[:, 2]], axis=1)
    pixel, triangle, weights = _nearest(flat, drawn.triangles, side)
    corners = drawn.triangles[triangle]
    normal = np.einsum("nk,nki->ni", weights, drawn.normals[corners]) @ view.T
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    colour = np.einsum("nk,nki->ni", weights, drawn.colours[corners])
    image = np.zeros((side * side, 4), np.float32)
    image[pixel, :3] = colour * _light(normal)[:, None]
    image[pixel, 3] = 1
    small = cv2.resize(image.reshape(side, side, 4), (size_px, size_px), interpolation=cv2.INTER_AREA)
    rgb = srgb_from_linear(np.clip(small[..., :3] / np.maximum(small[..., 3:], 1e-6), 0, 1))
    rgba: UInt8[np.ndarray, "s s 4"] = np.round(np.dstack([rgb, small[..., 3]]) * 255).astype(np.uint8)
    return rgba


def _light(normal: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, " n"]:
    total = np.full(len(normal), AMBIENT)
    for direction, strength in LIGHTS:
        towards = np.asarray(direction) / np.linalg.norm(direction)
        total += strength * np.maximum(normal @ towards, 0)
    return total


def _nearest(
    flat: Float64[np.ndarray, "v 3"], triangles: Int64[np.ndarray, "t 3"], side: int
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Float64[np.ndarray, "n 3"]]:
    """The pixels that are covered, the triangle that is nearest in each, and the weights of its corners there."""
    corners = flat[triangles]
    low = np.clip(np.ceil(corners[..., :2].min(axis=1) - 0.5), 0, side).astype(np.int64)
    high = np.clip(np.floor(corners[..., :2].max(axis=1) - 0.5), -1, side - 1).astype(np.int64)
    wide = np.maximum(high - low + 1, 0)
    count = wide.prod(axis=1)
    triangle = np.repeat(np.arange(len(count)), count)
    cell = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column = low[triangle, 0] + cell % wide[triangle, 0]
    row = low[triangle, 1] + cell // wide[triangle, 0]
    a, b, c = corners[triangle].transpose(1, 0, 2)
    x, y = column + 0.5, row + 0.5
    weights = np.stack([_area(x, y, b, c), _area(x, y, c, a), _area(x, y, a, b)], axis=1)
    whole = weights.sum(axis=1)
    weights /= np.where(np.abs(whole) > 1e-12, whole, np.nan)[:, None]
    hit = (weights >= -1e-9).all(axis=1)
    pixel, triangle, weights = (row * side + column)[hit], triangle[hit], weights[hit]
    depth = (weights * corners[triangle, :, 2]).sum(axis=1)
    order = np.lexsort((depth, pixel))
    last = np.append(pixel[order][1:] != pixel[order][:-1], True) if len(order) else np.zeros(0, bool)
    front = order[last]
    return pixel[front], triangle[front], weights[front]


def _area(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a[:, 0] - x) * (b[:, 1] - y) - (a[:, 1] - y) * (b[:, 0] - x))
