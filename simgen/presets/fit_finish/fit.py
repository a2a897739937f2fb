"""Ranges of finishes from the appearance of photographed parts: weight each simulated part, then take quantiles.

The weight of a part depends on its finish alone, so that light and pose keep their distribution: exp(a b(finish)),
where b are the numbers of the finish and their squares. The coefficients a bring the means and mean squares of the
appearance close to those of the photographs. A penalty on the relative entropy to equal weights (Jaynes 1957;
Hainmueller 2012, "Entropy Balancing for Causal Effects") keeps the result from depending on a few parts. This fits the
parameters of the simulator by simulated moments (McFadden 1989), with scenes that are rendered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.optimize import minimize

from simgen.presets.fit_finish.looks import FEATURES, TINTS, Look
from simgen.presets.fit_finish.read import Simulated
from simgen.scene.config import ColourKnobs, FinishKnobs, SceneConfig
from simgen.scene.sampling.parts import category_of
from simgen.spec.colour import hsv_from_linear
from simgen.spec.errors import FinishError
from simgen.spec.knobs import Choice, LogUniform, Uniform
from simgen.spec.scene import MaterialSpec

FEWEST = 30  # parts of a category, photographed and simulated
LEAST_SHARE = 0.05  # least effective share of the simulated parts (Kish)
LEAST_PARTS = 15  # and least effective number
SHARE = (0.1, 0.9)  # weighted quantiles that limit a range
SIGNIFICANT = 2.0  # standard errors by which the mean of a knob must change, or the photos say nothing about it
BASE_SHARE = 0.15  # of the finishes of the base beside the fitted one, for parts that the few photos do not show
OUTLYING = 3.0  # standard deviations at which features are clipped
GREY = 0.05  # saturation below which a colour has no hue
ANY = FinishKnobs(
    weight=1.0,
    colour=ColourKnobs(hue_deg=Uniform(0.0, 360.0), saturation=Uniform(-0.1, 0.55), value=Uniform(0.4, 1.0)),
    metallic=Uniform(0.85, 1.0),
    roughness=Uniform(0.08, 0.7),
    texture=Choice({"plain": 0.2, "noise": 0.5, "brushed": 0.3}),
    texture_scale_m=LogUniform(0.0005, 0.008),
    contrast=Uniform(0.0, 0.5),
)


def probe(config: SceneConfig) -> SceneConfig:
    """The config with parts of any metal finish.

    Raises:
        FinishError: its parts are of procedural materials, which finishes do not change.
    """
    if config.matter.parts is not None:
        raise FinishError("matter.parts: the preset's parts are of procedural materials, which finishes do not change")
    kinds = {name: knobs.model_copy(update={"finishes": None}) for name, knobs in config.parts.kinds.items()}
    return config.model_copy(
        update={
            "parts": config.parts.model_copy(update={"kinds": kinds}),
            "texture": config.texture.model_copy(update={"finishes": {"any": ANY}}),
        }
    )


@dataclass(frozen=True)
class Range:
    """The range of a knob of a finish."""

    low: float
    high: float
    is_known: bool  # False: the photographs say nothing about it, and the range is about as wide as before


@dataclass(frozen=True)
class FinishFit:
    """The fitted finish of one category."""

    category: str
    photographed: int
    simulated: int
    effective_parts: float  # effective number of simulated parts under the weights (Kish)
    ranges: dict[str, Range]  # by knob; those of the colour begin with "colour."
    textures: dict[str, float]
    looks: dict[str, tuple[float, float, float]]  # medians: photographs, simulated, simulated with the weights


def fit_finishes(photos: Sequence[Look], parts: Sequence[Simulated]) -> list[FinishFit]:
    """A finish for each category with enough photographed and simulated parts.

    Raises:
        FinishError: no category has enough.
    """
    fits, why = [], []
    for category in sorted({p.category for p in photos} | {s.look.category for s in parts}):
        real = [p for p in photos if p.category == category]
        drawn = [s for s in parts if s.look.category == category]
        if min(len(real), len(drawn)) < FEWEST:
            why.append(f"{category}: {len(real)} photographed with outlines, {len(drawn)} simulated")
        else:
            fits.append(_fit(category, real, drawn))
    if not fits:
        raise FinishError(f"needs {FEWEST} parts of a category on both sides, there are: {'; '.join(why) or 'none'}")
    return fits


def _fit(category: str, real: Sequence[Look], drawn: Sequence[Simulated]) -> FinishFit:
    targets, features = comparable(real), comparable([s.look for s in drawn])
    middle, spread = targets.mean(axis=0), np.maximum(targets.std(axis=0), 1e-3)
    numbers = _numbers([s.material for s in drawn])
    weights = fitted_weights(
        _with_squares(numbers),
        _with_squares((features - middle) / spread),
        _with_squares((targets - middle) / spread).mean(axis=0),
    )
    size = 1.0 / float((weights**2).sum())
    pairs = zip(FEATURES, targets.T, features.T, strict=True)
    looks = {name: (float(np.median(a)), float(np.median(h)), _quantile(h, weights, 0.5)) for name, a, h in pairs}
    names = [s.material.texture for s in drawn]
    textures = {n: float(sum(w for w, m in zip(weights, names, strict=True) if m == n)) for n in sorted(set(names))}
    return FinishFit(category, len(real), len(drawn), size, _ranges(drawn, weights, size), textures, looks)


def _numbers(materials: Sequence[MaterialSpec]) -> Float64[np.ndarray, "n k"]:
    """Finishes as numbers of mean 0 and deviation 1: the colour as a point of the colour circle, and the gloss."""
    rows = []
    for m in materials:
        hue, saturation, value = hsv_from_linear(m.rgb)
        x, y = saturation * np.cos(np.radians(hue)), saturation * np.sin(np.radians(hue))
        kinds = [float(m.texture == name) for name in sorted(ANY.texture.weights)[1:]]
        rows.append([x, y, value, m.metallic, m.roughness, np.log(m.texture_scale_m), m.contrast, *kinds])
    numbers = np.array(rows)
    return np.asarray((numbers - numbers.mean(axis=0)) / np.maximum(numbers.std(axis=0), 1e-6))


def comparable(looks: Sequence[Look]) -> Float64[np.ndarray, "n f"]:
    """The features, with the tint corrected for the background, which metal reflects: as on a grey background."""
    features = np.stack([one.features for one in looks])
    grounds = np.stack([one.ground for one in looks])
    for column, ground in zip(TINTS, grounds.T, strict=True):
        spread = float(ground.var())
        slope = float(np.cov(features[:, column], ground)[0, 1]) / spread if spread > 1e-6 else 0.0
        features[:, column] -= np.clip(slope, 0.0, 1.0) * ground
    return features


def _with_squares(z: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, "n m"]:
    clipped = z.clip(-OUTLYING, OUTLYING)
    return np.concatenate([clipped, clipped**2], axis=1)


def fitted_weights(
    finish: Float64[np.ndarray, "n k"], looks: Float64[np.ndarray, "n m"], target: Float64[np.ndarray, " m"]
) -> Float64[np.ndarray, " n"]:
    """Weights of sum 1, exponential in `finish`, that bring the mean of `looks` close to `target`.

    The entropy penalty is lowered step by step, while the effective number of rows is at least `LEAST_SHARE` of all and
    at least `LEAST_PARTS`.
    """
    coefficients, weights, penalty = np.zeros(finish.shape[1]), np.full(len(finish), 1 / len(finish)), 128.0
    while penalty > 1e-3:
        coefficients = minimize(_misfit, coefficients, (finish, looks, target, penalty), "L-BFGS-B", jac=True).x
        candidate = _tilted(finish, coefficients)
        if (candidate**2).sum() * max(LEAST_SHARE * len(finish), LEAST_PARTS) > 1:
            break
        weights, penalty = candidate, penalty / 1.5
    return weights


def _tilted(finish: Float64[np.ndarray, "n k"], coefficients: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " n"]:
    exponent = finish @ coefficients
    weights = np.exp(exponent - exponent.max())
    return np.asarray(weights / weights.sum())


def _misfit(
    coefficients: np.ndarray, finish: np.ndarray, looks: np.ndarray, target: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """The squared distance of the mean looks to the target, plus the entropy penalty; and the gradient."""
    weights, exponent = _tilted(finish, coefficients), finish @ coefficients
    difference = weights @ looks - target
    entropy = float(weights @ np.log(np.maximum(weights, 1e-300) * len(weights)))
    by_weight = 2 * (looks @ difference) + penalty * (exponent - weights @ exponent)
    gradient = (weights[:, None] * (finish - weights @ finish)).T @ by_weight
    return float(difference @ difference) + penalty * entropy + 1e-6 * float(
        coefficients @ coefficients
    ), gradient + 2e-6 * coefficients


def _quantile(values: Float64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"], share: float) -> float:
    order = np.argsort(values)
    middle = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(share, middle, values[order]))


def _ranges(drawn: Sequence[Simulated], weights: Float64[np.ndarray, " n"], size: float) -> dict[str, Range]:
    hue, saturation, value = np.array([hsv_from_linear(s.material.rgb) for s in drawn]).T
    chroma = saturation * np.exp(1j * np.radians(hue))
    mean = complex((weights * chroma).sum())
    has_hue = abs(mean) > GREY
    hue_offset_deg = np.degrees(np.angle(chroma * np.conj(mean))) if has_hue else np.zeros(len(hue))
    saturation_along_mean = np.real(chroma * np.conj(mean)) / abs(mean) if has_hue else saturation
    coloured_weights = weights * (saturation > GREY) * (np.abs(hue_offset_deg) < 90)
    centre = float(np.degrees(np.angle(mean))) % 360
    hues = (
        [_quantile(hue_offset_deg, coloured_weights / coloured_weights.sum(), q) for q in SHARE]
        if has_hue and coloured_weights.any()
        else None
    )
    ranges = {
        "colour.hue_deg": Range(centre + hues[0], centre + hues[1], True) if hues else Range(0.0, 360.0, False),
        "colour.saturation": _range(saturation_along_mean, weights, size),
        "colour.value": _range(value, weights, size),
    }
    for name in ("metallic", "roughness", "texture_scale_m", "contrast"):
        ranges[name] = _range(np.array([getattr(s.material, name) for s in drawn]), weights, size)
    return {name: Range(float(f"{r.low:.3g}"), float(f"{r.high:.3g}"), r.is_known) for name, r in ranges.items()}


def _range(values: Float64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"], size: float) -> Range:
    low, high = (_quantile(values, weights, q) for q in SHARE)
    shift = abs(float(weights @ values) - float(values.mean())) / max(float(values.std()), 1e-9)
    return Range(low, high, bool(shift * np.sqrt(size) > SIGNIFICANT))


def to_yaml(fits: Sequence[FinishFit], base: str, config: SceneConfig) -> str:
    """A preset with these finishes for their categories, on top of `base`, whose config is `config`."""
    own = {name: finish.weight for name, finish in config.texture.finishes.items() if finish.weight > 0}
    lines = [
        "# Finishes fitted to photographs by `simgen finish fit`: simulated parts look like the photographed ones.",
        f"base: {base}",
        "texture:",
        "  finishes:",
    ]
    for fit in fits:
        lines += [
            f"    fitted_{fit.category}:  # {fit.photographed} photographed, {fit.effective_parts:.0f} simulated parts",
            "      weight: 0.0",
            "      colour:",
            *(f"  {_line(n.removeprefix('colour.'), r)}" for n, r in fit.ranges.items() if n.startswith("colour.")),
            *(_line(name, r) for name, r in fit.ranges.items() if not name.startswith("colour.")),
            f"      texture: {{weights: {{{', '.join(f'{n}: {w:.3f}' for n, w in fit.textures.items())}}}}}",
        ]
    lines += ["parts:", "  kinds:"]
    for kind, knobs in config.parts.kinds.items():
        fitted = [fit for fit in fits if fit.category == category_of(kind, knobs)]
        if fitted:
            before = knobs.finishes.weights if knobs.finishes else own
            whole = sum(before.values())
            shares = {
                f"fitted_{fitted[0].category}": 1 - BASE_SHARE,
                **{n: BASE_SHARE * w / whole for n, w in before.items() if w},
            }
            listed = ", ".join(f"{name}: {share:.3f}" for name, share in shares.items())
            lines.append(f"    {kind}: {{finishes: {{weights: {{{listed}}}}}}}")
    return "\n".join(lines) + "\n"


def _line(name: str, knob: Range) -> str:
    why = "" if knob.is_known else "  # the photographs say nothing about it"
    return f"      {name}: {{low: {knob.low:g}, high: {knob.high:g}}}{why}"
