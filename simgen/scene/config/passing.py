"""Knobs of what passes through the view: a hand, a gripper."""

from __future__ import annotations

from typing import Annotated

from simgen.scene.config.bounds import Group, Knob, plain
from simgen.scene.config.bounds import share as of_all  # a knob here is named share
from simgen.spec.knobs import Choice, Uniform


class PassingKnobs(Group):
    """A hand or a gripper that crosses the view above the parts. It hides them, has no label and touches none."""

    share: Annotated[float, of_all("Share of the scenes through which one passes.")] = 0.5
    kinds: Annotated[Choice, plain("What passes: hand or gripper.")] = Choice({"hand": 1.0, "gripper": 1.0})
    height_m: Annotated[Uniform, Knob("m", 0.01, 5, "Height of its lowest point above the stage.")] = Uniform(
        0.06, 0.14
    )
    speed_m_s: Annotated[Uniform, Knob("m/s", 0, 10, "Its speed, level.")] = Uniform(0.05, 0.5)
    size: Annotated[Uniform, Knob("", 0.1, 10, "Its size, relative to a hand of 0.19 m.", "a size ratio")] = Uniform(
        0.8, 1.15
    )
