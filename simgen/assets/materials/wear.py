"""Wear: traces of use on any surface. A row is a function that draws one sort of wear on a seamless tile.

A layer covers what is under it with its own colour and metal, makes it rougher or smoother, and adds slopes. Layers are
stacked in the order of WEAR: tools and machines first, dust last. Colours and amounts are chosen by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32

from simgen.assets.materials.relief import TILE_PX, Field, above, cloud, flat, grid, smooth, softened
from simgen.spec.types import Vec3

STEPS = 4  # amounts are rounded to steps of 1 / STEPS, so that scenes share tiles


@dataclass(frozen=True)
class WearLayer:
    """One sort of wear on a tile. `rougher` goes from -1 (polished) to 1 (matt)."""

    cover: Field = field(default_factory=flat)
    rgb: Float32[np.ndarray, "512 512 3"] | Vec3 = (0.0, 0.0, 0.0)
    metallic: float = 0.0
    rougher: Field = field(default_factory=flat)
    slope_u: Field = field(default_factory=flat)
    slope_v: Field = field(default_factory=flat)


def _line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, value: float, width: int) -> None:
    """Draw a line that wraps around the tile's edges."""
    for shift in np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]) * TILE_PX:
        a, b = (tuple(int(c) for c in (p + shift) * 8) for p in (start, end))
        cv2.line(canvas, a, b, value, width, cv2.LINE_AA, 3)


def _paste(canvas: np.ndarray, patch: np.ndarray, x: int, y: int) -> None:
    """Write a patch at (x, y), wrapped around the tile's edges."""
    rows, columns = (np.arange(n) + start for n, start in zip(patch.shape[:2], (y, x), strict=True))
    canvas[np.ix_(rows % TILE_PX, columns % TILE_PX)] = patch


def _positions(rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in rng.integers(0, TILE_PX, (count, 2))]


def scratches(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """Hairlines, most of them near one direction of handling."""
    depth = flat()
    main = rng.uniform(0, np.pi)
    for _ in range(round(6 + 90 * amount)):
        angle = main + rng.normal(0, 0.25) if rng.uniform() < 0.7 else rng.uniform(0, np.pi)
        start, length = rng.uniform(0, TILE_PX, 2), rng.exponential(0.012 + 0.02 * amount) / texel_m
        end = start + min(length, 0.9 * TILE_PX) * np.array([np.cos(angle), np.sin(angle)])
        _line(depth, start, end, float(rng.uniform(0.15, 1.0) ** 2), 1)
    depth = softened(depth, 0.6)
    du, dv = (np.roll(depth, -1, axis=a) - np.roll(depth, 1, axis=a) for a in (1, 0))
    return WearLayer(rougher=0.35 * depth, slope_u=np.float32(0.5) * du, slope_v=np.float32(0.5) * dv)


def fingerprints(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """Whorls of skin grease, ridges half a millimetre apart."""
    film = flat()
    size = max(int(0.009 / texel_m), 3)  # half a print
    y, x = np.mgrid[-size : size + 1, -size : size + 1] / size
    for px, py in _positions(rng, round(1 + 7 * amount)):
        turn = rng.uniform(0, 2 * np.pi)
        a, b = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
        oval = np.clip(3 * (1 - np.hypot(a * 1.4, b)), 0, 1) * rng.uniform(0.4, 1.0)
        swirl = np.hypot(a + 0.15 * b**2, b * 0.8 + 0.2 * np.sin(2 * a))
        ridges = 0.5 + 0.5 * np.sin(2 * np.pi * swirl * 0.009 / 0.0005 + rng.uniform(0, 6))
        patchy = np.clip(0.9 + 0.5 * np.sin(7 * a + px) * np.cos(5 * b + py), 0, 1)
        patch = flat()
        _paste(patch, (oval * patchy * (0.35 + 0.65 * ridges)).astype(np.float32), px, py)
        film = np.maximum(film, patch)
    return WearLayer(cover=0.06 * film, rgb=(0.25, 0.22, 0.18), rougher=0.5 * film)


def oil_film(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """A film of oil in pools and smears: darker, and smoother than what it lies on."""
    film = above(cloud(rng, min(0.02 / (texel_m * TILE_PX), 0.3), 4), 0.15 + 0.7 * amount, 0.8)
    return WearLayer(cover=0.22 * film, rgb=(0.06, 0.045, 0.02), rougher=-0.65 * film)


def dirt(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """Grime that is dragged along u: stains, smears, crumbs."""
    smears = above(smooth(rng, 0.12, 0.012) + 0.6 * cloud(rng, 0.1), 0.5 * amount, 1.5)
    crumbs = above(smooth(rng, 0.003, 0.003), 0.006 * amount, 0.3)
    cover = np.clip(0.55 * smears + 0.9 * crumbs, 0, 1).astype(np.float32)
    return WearLayer(cover=cover, rgb=(0.045, 0.038, 0.03), rougher=0.5 * cover)


def seam(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """A belt's splice: fingers across the run, welded and a little darker."""
    u, v = grid()
    position, teeth = float(rng.uniform(0.2, 0.8)), int(rng.integers(6, 14))
    fingers = position + 0.035 * (np.abs(v * teeth % 1 - 0.5) * 4 - 1)
    away = np.abs((u - fingers + 0.5) % 1 - 0.5)
    line = np.clip(1.5 - away * TILE_PX / 1.2, 0, 1).astype(np.float32)
    zone = np.clip((0.05 - np.abs((u - position + 0.5) % 1 - 0.5)) * 60, 0, 1).astype(np.float32)
    cover = (amount * np.maximum(0.8 * line, 0.18 * zone)).astype(np.float32)
    du, dv = (np.roll(line, -1, axis=a) - np.roll(line, 1, axis=a) for a in (1, 0))
    return WearLayer(
        cover=cover, rgb=(0.02, 0.02, 0.02), rougher=(-0.2 * amount * zone).astype(np.float32),
        slope_u=(0.4 * amount * du).astype(np.float32), slope_v=(0.4 * amount * dv).astype(np.float32),
    )  # fmt: skip


def printed_code(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """A QR code and a line of digits, marked by laser: dark and matt."""
    ink = flat()
    encoder = cv2.QRCodeEncoder.create()
    for px, py in _positions(rng, round(1 + 2 * amount)):
        text = f"PN{rng.integers(10**6):06d}"
        code = np.asarray(encoder.encode(text), np.uint8) < 128
        code = code[np.ix_(code.any(axis=1), code.any(axis=0))]
        side = max(int(0.012 / texel_m), code.shape[0])
        marked = cv2.resize(code.astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST)
        figures = np.zeros((side // 3, side), np.uint8)
        cv2.putText(figures, text, (0, side // 4), cv2.FONT_HERSHEY_SIMPLEX, side / 190, 255, 1, cv2.LINE_AA)
        label = np.concatenate([marked, figures.astype(np.float32) / 255])
        _paste(ink, label if rng.uniform() < 0.5 else np.ascontiguousarray(label.T), px, py)
    ink = softened(ink, 0.4)
    return WearLayer(cover=0.85 * ink, rgb=(0.03, 0.028, 0.026), rougher=0.4 * ink)


def stickers(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """Labels with lines of print and a bar code, white or of a signal colour."""
    cover, rgb = flat(), np.zeros((TILE_PX, TILE_PX, 3), np.float32)
    colours = ((0.8, 0.8, 0.78), (0.8, 0.8, 0.78), (0.75, 0.55, 0.03), (0.7, 0.06, 0.04), (0.05, 0.35, 0.1))
    for px, py in _positions(rng, round(1 + 2 * amount)):
        wide, high = (max(int(rng.uniform(a, b) / texel_m), 8) for a, b in ((0.018, 0.035), (0.01, 0.02)))
        label = np.empty((high, wide, 3), np.float32)
        label[:] = colours[int(rng.integers(len(colours)))]
        x, foot = 3, high // 2
        while x < wide - 4:
            bar = int(rng.integers(1, 3))
            label[foot : high - 3, x : x + bar] = 0.03
            x += bar + int(rng.integers(1, 4))
        for top in range(3, foot - 3, 4):
            label[top : top + 2, 3 : int(rng.integers(wide // 2, wide - 2))] *= 0.25
        _paste(rgb, label, px, py)
        _paste(cover, np.ones((high, wide), np.float32), px, py)
    edge = cover - softened(cover, 1.0)
    du, dv = (np.roll(edge, -1, axis=a) - np.roll(edge, 1, axis=a) for a in (1, 0))
    return WearLayer(
        cover=cover, rgb=rgb, rougher=0.2 * cover,
        slope_u=(0.5 * du).astype(np.float32), slope_v=(0.5 * dv).astype(np.float32),
    )  # fmt: skip


def swarf(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """Chips of steel: short bright curls and needles lying about."""
    cover = flat()
    for _ in range(round(8 + 70 * amount)):
        start, turn = rng.uniform(0, TILE_PX, 2), rng.uniform(0, 2 * np.pi)
        bend, step = rng.normal(0, 0.35), rng.uniform(0.0004, 0.0009) / texel_m
        for _ in range(int(rng.integers(2, 9))):
            end = start + max(step, 0.7) * np.array([np.cos(turn), np.sin(turn)])
            _line(cover, start, end, 1.0, 1)
            start, turn = end, turn + bend
    solid = np.clip(softened(cover, 0.5) * 1.3, 0, 1).astype(np.float32)
    du, dv = (np.roll(solid, -1, axis=a) - np.roll(solid, 1, axis=a) for a in (1, 0))
    return WearLayer(
        cover=solid, rgb=(0.5, 0.49, 0.47), metallic=1.0, rougher=-0.2 * solid,
        slope_u=(0.6 * du).astype(np.float32), slope_v=(0.6 * dv).astype(np.float32),
    )  # fmt: skip


def dust(rng: np.random.Generator, amount: float, texel_m: float) -> WearLayer:
    """A grey bloom, with specks and lint."""
    specks = above(smooth(rng, 0.002, 0.002), 0.012 * amount, 0.3)
    lint = flat()
    for _ in range(round(12 * amount)):
        start, turn = rng.uniform(0, TILE_PX, 2), rng.uniform(0, 2 * np.pi)
        for _ in range(8):
            end = start + 0.0007 / texel_m * np.array([np.cos(turn), np.sin(turn)])
            _line(lint, start, end, 0.6, 1)
            start, turn = end, turn + rng.normal(0, 0.4)
    bloom = 0.3 * amount * np.clip(0.6 + 0.4 * cloud(rng, 0.2), 0, 1)
    cover = np.clip(bloom + 0.8 * specks + lint, 0, 1).astype(np.float32)
    return WearLayer(cover=cover, rgb=(0.33, 0.31, 0.28), rougher=(0.9 * np.minimum(2 * cover, 1)).astype(np.float32))


WEAR: dict[str, Callable[[np.random.Generator, float, float], WearLayer]] = {
    "scratches": scratches,
    "printed_code": printed_code,
    "stickers": stickers,
    "seam": seam,
    "dirt": dirt,
    "oil_film": oil_film,
    "fingerprints": fingerprints,
    "swarf": swarf,
    "dust": dust,
}


@lru_cache(maxsize=32)
def _layer(name: str, steps: int, seed: int, texel_m: float) -> WearLayer:
    """A row's layer. It is cached, since scenes share layers. Each row has its own random stream."""
    return WEAR[name](np.random.default_rng([seed, list(WEAR).index(name)]), steps / STEPS, texel_m)


def worn(
    layers: tuple[tuple[str, int], ...], seed: int, texel_m: float
) -> tuple[Float32[np.ndarray, "512 512 4"], Float32[np.ndarray, "512 512 4"]]:
    """All layers on one tile: colour times cover and the cover; and metal times cover, roughness and both slopes.

    Args:
        layers: rows of WEAR with their amounts in steps of 1 / STEPS.
        seed: of the layers.
        texel_m: size of a texel.

    Raises:
        KeyError: there is no such row.
    """
    if unknown := sorted({name for name, _ in layers} - set(WEAR)):
        raise KeyError(f"no wear {unknown[0]!r}; there are {sorted(WEAR)}")
    colour, rest = (np.zeros((TILE_PX, TILE_PX, 4), np.float32) for _ in range(2))
    amounts = dict(layers)
    for name in WEAR:
        if not amounts.get(name):
            continue
        layer = _layer(name, amounts[name], seed, texel_m)
        cover = layer.cover[..., None]
        rgb = np.broadcast_to(np.asarray(layer.rgb, np.float32), (*cover.shape[:2], 3))
        tint = np.concatenate([rgb * cover, cover], axis=-1)
        colour = colour * (1 - cover) + tint
        rest[..., 0] = rest[..., 0] * (1 - layer.cover) + layer.metallic * layer.cover
        rest[..., 1] = np.clip(rest[..., 1] + layer.rougher, -1, 1)
        rest[..., 2] += layer.slope_u
        rest[..., 3] += layer.slope_v
    return colour, rest
