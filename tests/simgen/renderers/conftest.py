"""A sphere in white light, for tests of more than one renderer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simgen.assets.parts import PARTS, Family, Size, family_model
from simgen.assets.parts.mesh import circle, loft
from simgen.assets.parts.model import turned_part
from tests.simgen.lit_scenes import WHITE, lit, on
from tests.simgen.scenes import part, scene


@pytest.fixture
def ball(monkeypatch):
    """A sphere of 25 mm radius as a kind of part; by material, over the middle of a white world without a key light."""

    def build(size):
        angle = np.linspace(-np.pi / 2, np.pi / 2, 50)[1:-1]
        return turned_part(loft([circle(0.025 * np.cos(a), 0.025 * np.sin(a), 96) for a in angle]), (), None)

    family = Family(
        standard="none", category="ball", sizes=(Size(designation="B", diameter_mm=50.0, length_mm=None),), build=build
    )
    monkeypatch.setitem(PARTS, "ball", family)
    family_model.cache_clear()

    def world(material):
        spec = scene([replace(part("ball", "B", (0.0, 0.0, 0.06)), material=material)], frames=1, size_m=(4.0, 4.0))
        one = (1.0, 1.0, 1.0)
        spec = lit(
            spec, key_rgb=(0.0, 0.0, 0.0), ambient_rgb=one, horizon_rgb=one, zenith_rgb=one, occlusion_strength=0.0
        )
        return on(spec, top=WHITE, floor=WHITE)

    yield world
    family_model.cache_clear()
