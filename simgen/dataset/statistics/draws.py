"""What a scene drew from every knob of its config.

A scene is a function of (config, seed, index, attempt). So it is drawn again from a config whose knobs note what they
give, and compared with the scene that is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from simgen.assets.parts import part_family
from simgen.scene.config import SceneConfig
from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform
from simgen.spec.scene import FamilySize, SceneSpec

Value = float | int | str
Sampler = Callable[[SceneConfig, int, int, int], SceneSpec]
KnobValue = Uniform | LogUniform | IntRange | Choice
KNOBS = (Uniform, LogUniform, IntRange, Choice)
ROUNDING = 1e-9  # of a logarithm and back


@dataclass(frozen=True)
class Draws:
    """A scene, and what each knob gave for it, in the order of the draws."""

    spec: SceneSpec
    values: Mapping[str, list[Value]]  # by the knob's key, such as "camera.focal_px"


@dataclass(frozen=True)
class Source:
    """What the scenes of a data set were drawn from."""

    config: SceneConfig
    seed: int
    sample: Sampler  # simgen.scene.sampling.sample.sample

    def draws(self, index: int, attempt: int | None) -> Draws:
        """Draw a scene again, and note what every knob gives.

        Raises:
            KeyError, ValueError: the config names something that does not exist.
            SimgenError: a file of the scene is not known here.
        """
        values: dict[str, list[Value]] = {}
        heard = _heard(self.config, "", lambda path, value: values.setdefault(path, []).append(value))
        return Draws(self.sample(heard, self.seed, index, attempt or 0), values)


def _heard(value: Any, path: str, note: Callable[[str, Value], None]) -> Any:
    """A value of a config, whose knobs call `note` for each draw."""
    if isinstance(value, BaseModel):
        inner = {name: getattr(value, name) for name in type(value).model_fields}
        return value.model_copy(update={name: _heard(one, _under(path, name), note) for name, one in inner.items()})
    if isinstance(value, dict):
        return {name: _heard(one, _under(path, str(name)), note) for name, one in value.items()}
    return _noting(value, path, note) if isinstance(value, KNOBS) else value


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _noting(knob: KnobValue, path: str, note: Callable[[str, Value], None]) -> KnobValue:
    def draw(rng: np.random.Generator) -> Value:
        value = knob.draw(rng)
        note(path, value)
        return value

    twin = copy(knob)
    object.__setattr__(twin, "draw", draw)  # of this one alone; it stays equal to the other
    return twin


def ranges_of(value: Any, path: str = "") -> Iterator[tuple[str, KnobValue]]:
    """Every knob of a config with its key, in the config's order."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from ranges_of(getattr(value, name), _under(path, name))
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from ranges_of(one, _under(path, str(name)))
    elif isinstance(value, KNOBS):
        yield path, value


def is_fixed(knob: KnobValue) -> bool:
    """Whether it gives one value alone."""
    if isinstance(knob, Choice):
        return sum(weight > 0 for weight in knob.weights.values()) == 1
    return knob.low == knob.high


def is_within(knob: KnobValue, value: Value) -> bool:
    """Whether a knob can give this value."""
    if isinstance(knob, Choice):
        return knob.weights.get(str(value), 0.0) > 0
    slack = ROUNDING * max(1.0, abs(knob.low), abs(knob.high))
    return not isinstance(value, str) and knob.low - slack <= value <= knob.high + slack


def _sensor(name: str) -> Callable[[SceneSpec], Iterable[Value]]:
    return lambda spec: (getattr(spec.sensor, name),)


_OF_SENSOR = (
    "vignetting", "blur_sigma_px", "full_well_e", "read_noise_e", "denoise", "sharpen", "saturation", "gamma",
    "jpeg_quality", "gain", "glare", "crosstalk", "demosaic", "prnu", "dsnu_e", "dark_current_e", "hot_pixels",
    "row_noise_e", "black_level", "adc_bits", "video_crf",
)  # fmt: skip
# Knobs whose values stand in a stored scene as they were drawn, so that they need not be drawn again.
STORED: dict[str, Callable[[SceneSpec], Iterable[Value]]] = {
    "parts.friction": lambda spec: (part.friction for part in spec.parts),
    "stage.length_m": lambda spec: (spec.stage.size_m[0],),
    "stage.width_m": lambda spec: (spec.stage.size_m[1],),
    "stage.thickness_m": lambda spec: (spec.stage.thickness_m,),
    "light.shadow_strength": lambda spec: (spec.light.shadow_strength,),
    "light.occlusion_strength": lambda spec: (spec.light.occlusion_strength,),
    "light.glow_count": lambda spec: (len(spec.light.glows),),
    "camera.focal_px": lambda spec: (spec.camera.focal_px,),
    "lens.k1": lambda spec: (spec.camera.distortion[0],),
    "lens.k2": lambda spec: (spec.camera.distortion[1],),
    "lens.p1": lambda spec: (spec.camera.distortion[2],),
    "lens.p2": lambda spec: (spec.camera.distortion[3],),
    "lens.k3": lambda spec: (spec.camera.distortion[4],),
    "lens.f_number": lambda spec: (spec.camera.f_number,),
    "shutter.exposure_s": lambda spec: (spec.shutter.exposure_s,),
    "timing.frame_interval_s": lambda spec: (spec.frame_interval_s,),
    **{f"sensor.{name}": _sensor(name) for name in _OF_SENSOR},
}


def stored_values(spec: SceneSpec) -> dict[str, list[Value]]:
    """The values that a stored scene shows by itself; of a scene on a photo, which is fitted to it, those of sizes.

    Raises:
        KeyError: it has a part that simgen does not know.
    """
    plain = {} if spec.stage.photo else {path: list(read(spec)) for path, read in STORED.items()}
    return plain | _sizes(spec)


def _sizes(spec: SceneSpec) -> dict[str, list[Value]]:
    """The nominal diameters and lengths of parts of a standard, in millimetres, by the key of the range they obey."""
    sizes: dict[str, list[Value]] = {}
    for part in spec.parts:
        if isinstance(part.source, FamilySize):
            size, above = part_family(part.source.kind).size(part.source.designation), f"parts.kinds.{part.source.kind}"
            sizes.setdefault(f"{above}.diameter_mm", []).append(size.diameter_mm)
            if size.length_mm is not None:
                sizes.setdefault(f"{above}.length_mm", []).append(size.length_mm)
    return sizes
