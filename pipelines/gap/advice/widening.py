"""From what the photos show to ranges of the simulation's config that are to be wider.

A range is widened on the side that is violated, so far that the photos' 2.5 % or 97.5 % quantile should lie inside.
How far a knob moves a picture statistic is a rule of thumb, so each line is to be tried and measured. No range is
made narrower: that needs a detector that was trained again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipelines.gap.appearance import causes
from pipelines.gap.schema.figure import Figure, not_measured
from pipelines.gap.schema.sections import Coverage, Evidence, Knob
from pipelines.gap.stats.coverage import sides_beyond
from simgen.spec.knobs import IntRange, LogUniform, Uniform

if TYPE_CHECKING:
    from simgen.scene.config import SceneConfig

SIGNIFICANT = 0.05
MOST = 3.0  # times: no bound is moved further in one round
A_STEP = 1.25  # times: where it is known that a property matters, but not how far
POINTS = "points of AP50"
NOT_KNOWN = not_measured("Not known: try it, and measure.", POINTS)
# of a change of the photos, where its name is not the statistic's
STATISTIC_OF = {"white balance": "warmth", "larger": "box_size", "smaller": "box_size"}
Range = Uniform | LogUniform | IntRange


@dataclass(frozen=True)
class Rule:
    """The knob that is widened for a statistic, and how far."""

    knob: str  # its key; * stands for each name
    rises: bool  # whether more of the knob gives more of the statistic
    power: float = (
        1.0  # the bound is multiplied by (real / simulated) to this power, or by e to the difference times it
    )
    logarithmic: bool = False  # the statistic is a logarithm
    both: bool = False  # the knob is drawn for two colours, whose ratio the statistic is: both bounds move


RULES: Mapping[str, Rule] = {
    "brightness": Rule("sensor.exposure", True, 2.2),  # display = light ^ (1 / 2.2)
    "contrast": Rule("light.ambient_intensity", False),
    "noise": Rule("sensor.read_noise_e", True),
    "sharpness": Rule("sensor.blur_sigma_px", False, 0.5, logarithmic=True),
    "saturation": Rule("sensor.saturation", True),
    "warmth": Rule("sensor.white_balance", True, 0.5, logarithmic=True, both=True),
    "part_contrast": Rule("light.glow_intensity", True),
    "part_brightness": Rule("texture.finishes.*.colour.value", True, logarithmic=True),
    "box_size": Rule("camera.distance_m", False),
    "parts_per_image": Rule("parts.count", True),
}
BY_HAND = {  # statistics that no range is widened for: what to do in place of it
    "part_tint": "simgen finish fit measures the finishes on the photos",
    "box_elongation": "look whether the right sizes and poses are in parts.kinds",
}


@dataclass(frozen=True)
class Change:
    """A range that is to be wider."""

    key: str
    before: tuple[float, float]
    after: tuple[float, float]
    evidence: Evidence
    because: str
    effect: Figure
    statistic: str

    def joined(self, other: Change) -> Change:
        """This change, wide enough for the other too."""
        wide = min(self.after[0], other.after[0]), max(self.after[1], other.after[1])
        return replace(self, after=wide, because=f"{self.because}; {other.because}")


def in_words(ends: tuple[float, float]) -> str:
    """A range: 0.4 to 1.1."""
    return f"{ends[0]:.3g} to {ends[1]:.3g}"


def changes(coverage: Iterable[Coverage], effects: Iterable[Knob], config: SceneConfig) -> tuple[Change, ...]:
    """Ranges to widen, those with the best evidence first. Two reasons for one range are one line."""
    found: dict[str, Change] = {}
    for one in (*_of_effects(effects, config), *_of_coverage(coverage, config)):
        found[one.key] = found[one.key].joined(one) if one.key in found else one
    return tuple(found.values())


def _of_effects(effects: Iterable[Knob], config: SceneConfig) -> Iterator[Change]:
    """Changes of the photos that gained beyond chance: the range is widened on both sides by a step."""
    sure = [one for one in effects if _is_sure(one.effect) and (one.effect.value or 0.0) > 0]
    for one in sorted(sure, key=lambda one: -(one.effect.value or 0.0)):
        name = STATISTIC_OF.get(one.name, one.name)
        because = f"{one.change}, the same detector gains on the photos"
        if name in RULES:
            yield from widened(name, config, (A_STEP, A_STEP), "up_to", because, one.effect)


def _of_coverage(coverage: Iterable[Coverage], config: SceneConfig) -> Iterator[Change]:
    beyond = [one for one in coverage if one.verdict == "beyond"]
    sides = {one.name: sides_beyond(one.below, one.above) for one in beyond}
    follows = causes(sides)
    for one in beyond:
        if one.name not in RULES or one.name in follows:
            continue
        rule, less, more = RULES[one.name], 1.0, 1.0
        if "below" in sides[one.name]:
            less = _times(rule, one.real[0], one.simulated[1])
        if "above" in sides[one.name]:
            more = _times(rule, one.simulated[-2], one.real[-1])
        factors = (less, more) if rule.rises else (more, less)
        if rule.both:
            factors = (max(factors), max(factors))
        share = max(side.value or 0.0 for side in (one.below, one.above))
        because = f"{share:.0%} of the values of {one.title} lie beyond the simulated range"
        yield from widened(one.name, config, factors, "coverage", because, NOT_KNOWN)


def _times(rule: Rule, smaller: float, larger: float) -> float:
    """By how much a bound moves so that the statistic moves from one value to the other."""
    if rule.logarithmic:
        return math.exp(min(rule.power * max(0.0, larger - smaller), math.log(MOST)))
    if larger <= 0:
        return 1.0
    return max(1.0, min(MOST, (larger / smaller) ** rule.power)) if smaller > 0 else MOST


def widened(
    name: str, config: SceneConfig, factors: tuple[float, float], evidence: Evidence, because: str, effect: Figure
) -> Iterator[Change]:
    """The low bound is divided by the first factor, the high one multiplied by the second, inside what is possible."""
    from simgen.presets.knobs import knobs as all_knobs

    rule = RULES[name]
    bounds = next(row.knob for row in all_knobs() if row.path == rule.knob)
    for key, knob in _ranges(config, rule.knob.split("."), ""):
        low, high = knob.low / factors[0], knob.high * factors[1]
        low = max(low, -math.inf if bounds.least is None else bounds.least)
        high = min(high, math.inf if bounds.most is None else bounds.most)
        if isinstance(knob, IntRange):
            low, high = float(math.floor(low)), float(math.ceil(high))
        else:
            low, high = _short(low), _short(high)
        before = float(knob.low), float(knob.high)
        after = min(low, before[0]), max(high, before[1])
        if after != before:
            yield Change(key, before, after, evidence, because, effect, name)


def _ranges(value: Any, path: Sequence[str], above: str) -> Iterator[tuple[str, Range]]:
    """The ranges at a key, in which * stands for each name. A range that is 0 to 0 is switched off, and stays so."""
    if not path:
        if isinstance(value, Uniform | LogUniform | IntRange) and (value.low, value.high) != (0, 0):
            yield above, value
        return
    inner = value if isinstance(value, dict) else {name: getattr(value, name) for name in type(value).model_fields}
    for name in inner if path[0] == "*" else [path[0]]:
        yield from _ranges(inner[name], path[1:], f"{above}.{name}" if above else name)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _is_sure(figure: Figure) -> bool:
    return figure.p_holm is not None and figure.p_holm < SIGNIFICANT
