"""Surroundings: a room with its lamps, or only lamps around a stage. Sizes are in metres, around the stage."""

from __future__ import annotations

import numpy as np

from simgen.assets.surroundings.model import Picture, Room, directions, resolved
from simgen.spec.colour import black_body
from simgen.spec.scene import EnvironmentSpec

LAMP, PANEL, WINDOW, WALL = 40.0, 14.0, 9.0, 1.0  # relative radiances


def _lamps(spec: EnvironmentSpec) -> np.ndarray:
    return np.array(black_body(spec.temperature_k))


def _daylight(spec: EnvironmentSpec) -> np.ndarray:
    return np.array(black_body(spec.daylight_k))


def workshop(spec: EnvironmentSpec, rng: np.random.Generator) -> Picture:
    """High-bay lamps in two rows, windows under the roof of one wall, machines along the walls."""
    room = Room((9.0, 6.0), 4.5, (float(rng.uniform(-4, 4)), float(rng.uniform(-3, 3))), 0.35, 0.3)
    lamps, day = _lamps(spec), _daylight(spec)
    room.light_walls(WALL * (0.75 * lamps + 0.25 * day), rng, 30, 0.03)
    for x in np.arange(-7.5, 8, 3.0):
        for y in (-3.0, 3.0):
            room.shine(room.patch(0, (float(x), y), (0.55, 0.55)), LAMP * lamps)
    for x in np.arange(-8, 8, 2.4):
        room.shine(room.patch(4, (float(x), 3.2), (1.9, 1.3)), WINDOW * day)
    return resolved(room.canvas)


def office(spec: EnvironmentSpec, rng: np.random.Generator) -> Picture:
    """White walls, a grid of square panels, one wall with windows."""
    room = Room((3.8, 2.8), 2.0, (float(rng.uniform(-2, 2)), float(rng.uniform(-1.5, 1.5))), 0.65, 0.75)
    lamps, day = _lamps(spec), _daylight(spec)
    room.light_walls(WALL * (0.6 * lamps + 0.4 * day), rng, 10, 0.1)
    for x in (-2.4, 0.0, 2.4):
        for y in (-1.4, 1.4):
            room.shine(room.patch(0, (x, y), (0.6, 0.6)), PANEL * lamps)
    for x in (-2.6, 0.0, 2.6):
        room.shine(room.patch(3, (x, 1.0), (2.1, 1.3)), 0.8 * WINDOW * day)
    return resolved(room.canvas)


def daylight_hall(spec: EnvironmentSpec, rng: np.random.Generator) -> Picture:
    """Strips of skylight across a high roof; the lamps are off."""
    room = Room((22.0, 13.0), 9.0, (float(rng.uniform(-9, 9)), float(rng.uniform(-6, 6))), 0.4, 0.35)
    day = _daylight(spec)
    room.light_walls(WALL * day, rng, 40, 0.05)
    for x in np.arange(-20, 21, 5.0):
        room.shine(room.patch(0, (float(x), 0.0), (1.6, 22.0)), WINDOW * day)
    return resolved(room.canvas)


def fluorescent_rows(spec: EnvironmentSpec, rng: np.random.Generator) -> Picture:
    """Unbroken rows of tubes under a dark ceiling."""
    room = Room((10.0, 7.0), 3.0, (float(rng.uniform(-3, 3)), float(rng.uniform(-1, 1))), 0.4, 0.25)
    lamps = _lamps(spec)
    room.light_walls(WALL * lamps, rng, 25, 0.04)
    for y in np.arange(-5, 6, 2.5):
        for x in np.arange(-9, 10, 1.6):
            room.shine(room.patch(0, (float(x), float(y)), (1.45, 0.14)), LAMP * lamps)
    return resolved(room.canvas)


def mixed(spec: EnvironmentSpec, rng: np.random.Generator) -> Picture:
    """Lamps of one colour overhead and a big window of another at the side."""
    room = Room((4.5, 3.5), 2.4, (float(rng.uniform(-2, 2)), float(rng.uniform(-1, 1))), 0.5, 0.6)
    lamps, day = _lamps(spec), _daylight(spec)
    room.light_walls(0.6 * WALL * (lamps + day), rng, 16, 0.06)
    for x in (-2.0, 1.0):
        room.shine(room.patch(0, (x, float(rng.uniform(-1.5, 1.5))), (1.2, 0.3)), LAMP * lamps)
    room.shine(room.patch(3, (float(rng.uniform(-1, 1)), 1.2), (4.5, 1.7)), 1.6 * WINDOW * day)
    return resolved(room.canvas)


def light_tent(spec: EnvironmentSpec, rng: np.random.Generator) -> Picture:
    """White cloth all around, brighter in front of lamps, with a slit for the camera."""
    d, lamps = directions(), _lamps(spec)
    glow = np.full(d.shape[:2], 1.0)
    for _ in range(int(rng.integers(2, 4))):
        turn, up = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.0)
        toward = np.array([np.cos(turn) * np.cos(up), np.sin(turn) * np.cos(up), np.sin(up)])
        glow += 2.5 * np.exp(6 * (d @ toward - 1))
    turn = rng.uniform(0, 2 * np.pi)
    across = d @ np.array([-np.sin(turn), np.cos(turn), 0.0])
    ahead = d @ np.array([np.cos(turn), np.sin(turn), 0.0])
    glow[(np.abs(across) < 0.12) & (ahead > 0)] = 0.05
    return resolved(glow[..., None] * lamps)


def ring_light(spec: EnvironmentSpec, rng: np.random.Generator) -> Picture:
    """A ring of light around the lens overhead, in a dark housing."""
    d, lamps = directions(), _lamps(spec)
    tilt = rng.uniform(0, 0.25)
    turn = rng.uniform(0, 2 * np.pi)
    axis = np.array([np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)])
    angle = np.arccos(np.clip(d @ axis, -1, 1))
    inner = rng.uniform(0.22, 0.4)
    glow = np.where((angle > inner) & (angle < inner + rng.uniform(0.12, 0.2)), LAMP, 0.08)
    return resolved(glow[..., None] * lamps)


def bar_lights(spec: EnvironmentSpec, rng: np.random.Generator) -> Picture:
    """Two or four bars at the sides of the stage, in a dark housing."""
    d, lamps = directions(), _lamps(spec)
    glow = np.full(d.shape[:2], 0.1)
    count, first = int(rng.choice([2, 4])), rng.uniform(0, np.pi)
    up = rng.uniform(0.5, 0.9)
    for i in range(count):
        turn = first + 2 * np.pi * i / count
        toward = np.array([np.cos(turn) * np.cos(up), np.sin(turn) * np.cos(up), np.sin(up)])
        along = np.array([-np.sin(turn), np.cos(turn), 0.0])
        facing = d @ toward
        across = np.abs(d @ np.cross(toward, along)) / np.maximum(facing, 1e-6)
        glow[(facing > 0) & (across < 0.09) & (np.abs(d @ along) / np.maximum(facing, 1e-6) < 0.7)] = LAMP
    return resolved(glow[..., None] * lamps)
