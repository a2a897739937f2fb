"""How often a long run tells how far it is, where there is no terminal."""

from __future__ import annotations

import os
import re

USUAL_S = 30.0
VARIABLE = "SIM2LINE_LINES_S"  # set by a program that starts the run and shows its progress itself


def line_every_s() -> float:
    """Seconds from one line to the next."""
    given = os.environ.get(VARIABLE, "")
    return max(0.1, float(given)) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", given) else USUAL_S
