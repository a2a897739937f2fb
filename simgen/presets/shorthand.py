"""What a preset may write shorter, and what follows from its camera's width. Applied to each layer before it is merged.

A number where a range is due is a fixed value: `focal_px: 400` is `{low: 400, high: 400}`. A name where weights are due
is the only choice: `demosaic: bilinear` is `{weights: {bilinear: 1}}`. A name where a list is due is a list of one.
Files where photos are due are their group: `photo: backgrounds` is `{files: [backgrounds]}`.
"""

from __future__ import annotations

from typing import Any, get_origin

from simgen.presets.explain import inner_type, knob_type
from simgen.scene.config import PhotoKnobs, SceneConfig
from simgen.spec.knobs import Choice, IntRange, LogUniform, Uniform


def written_out(value: Any, kind: Any = SceneConfig) -> Any:
    """The values of a layer with every short form written out. What is no short form stays as it is."""
    kind = knob_type(kind)
    if kind in (Uniform, LogUniform, IntRange):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = is_number and (kind is not IntRange or isinstance(value, int))
        return {"low": value, "high": value} if fits else value
    if kind is Choice:
        return {"weights": {value: 1.0}} if isinstance(value, str) else value
    if kind is PhotoKnobs and isinstance(value, str | list):
        return {"files": [value] if isinstance(value, str) else value}
    if get_origin(kind) is tuple:
        return [value] if isinstance(value, str) else value
    if not isinstance(value, dict):
        return value
    return {key: written_out(inner, inner_type(kind, key)) for key, inner in value.items()}


def with_same_view(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The base of a layer that changes the camera's width: its focal length in pixels grows along.

    So the field of view stays, and the layer may still set another. A layer with `hfov_deg` takes the place of the
    base's `focal_px`, and the other way round.
    """
    before, after = base.get("camera"), own.get("camera")
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return base
    camera = dict(before)
    for given, other in (("hfov_deg", "focal_px"), ("focal_px", "hfov_deg")):
        if after.get(given) is not None and other not in after:
            camera.pop(other, None)
    old, new, focal = _width(before), _width(after), camera.get("focal_px")
    if old and new and isinstance(focal, dict):
        ratio = new / old
        camera["focal_px"] = {key: _times(value, ratio) for key, value in focal.items()}
    return {**base, "camera": camera}


def _width(camera: dict[str, Any]) -> int:
    """The camera's width; 0 where it is none."""
    width = camera.get("width_px")
    return width if type(width) is int and 0 < width < 2**31 else 0


def _times(value: Any, ratio: float) -> Any:
    """A number times a ratio; anything else, and numbers that are no float, as they are."""
    if ratio == 1.0 or isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
        return value
    return value * ratio
