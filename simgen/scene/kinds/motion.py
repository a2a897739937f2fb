"""How a belt moves: evenly, or by a cycle of standing and going (`Cycle`)."""

from __future__ import annotations

import math

import numpy as np

from simgen.scene.config.stage import BeltKnobs
from simgen.spec.types import Cycle

ROUNDS = 60  # of halving, to find a moment


def draw_cycle(knobs: BeltKnobs | None, rng: np.random.Generator) -> Cycle | None:
    """How a belt stops and goes; None where it runs evenly."""
    if knobs is None:
        return None
    stops, run_s, stop_s = rng.uniform() < knobs.stop_share, knobs.run_s.draw(rng), knobs.stop_s.draw(rng)
    ramp_s, phase_s = min(knobs.ramp_s.draw(rng), run_s / 2), rng.uniform() * (run_s + stop_s)
    return Cycle(run_s=run_s, stop_s=stop_s, ramp_s=ramp_s, phase_s=phase_s) if stops else None


def speed_m_s(full_m_s: float, cycle: Cycle | None, seconds: float) -> float:
    """The belt's speed at a moment since the parts start to fall: a trapezoid over the cycle."""
    if cycle is None:
        return full_m_s
    into_s = (cycle.phase_s + seconds) % (cycle.run_s + cycle.stop_s)
    return full_m_s * min(max(min(into_s, cycle.run_s - into_s) / cycle.ramp_s, 0.0), 1.0)


def travel_m(full_m_s: float, cycle: Cycle | None, seconds: float) -> float:
    """How far the belt has moved along +x since the parts start to fall: the integral of its speed."""
    if cycle is None:
        return full_m_s * seconds
    return full_m_s * (_run_s(cycle, cycle.phase_s + seconds) - _run_s(cycle, cycle.phase_s))


def moment_s(full_m_s: float, cycle: Cycle | None, metres: float, after_s: float) -> float:
    """When the belt has moved so far since `after_s`, both since the parts start to fall.

    Raises:
        ValueError: the belt stands still for ever.
    """
    if full_m_s <= 0:
        raise ValueError(f"a belt of {full_m_s} m/s never moves by {metres} m")
    if cycle is None:
        return after_s + metres / full_m_s
    goal_m = travel_m(full_m_s, cycle, after_s) + metres
    a_cycle_m = full_m_s * (cycle.run_s - cycle.ramp_s)
    early_s = after_s
    late_s = after_s + (metres / a_cycle_m + 2) * (cycle.run_s + cycle.stop_s)
    for _ in range(ROUNDS):
        middle_s = (early_s + late_s) / 2
        if travel_m(full_m_s, cycle, middle_s) < goal_m:
            early_s = middle_s
        else:
            late_s = middle_s
    return late_s


def _run_s(cycle: Cycle, seconds: float) -> float:
    """Seconds of full speed that make up the run from the start of a cycle."""
    whole, into_s = divmod(seconds, cycle.run_s + cycle.stop_s)
    ramp_s, even_s = cycle.ramp_s, cycle.run_s - 2 * cycle.ramp_s
    up_s, down_s = min(into_s, ramp_s), min(max(into_s - ramp_s - even_s, 0.0), ramp_s)
    part_s = up_s**2 / (2 * ramp_s) + min(max(into_s - ramp_s, 0.0), even_s) + down_s - down_s**2 / (2 * ramp_s)
    return math.floor(whole) * (even_s + ramp_s) + part_s
