"""What can be set of the following of parts."""

from __future__ import annotations

from dataclasses import dataclass

from hybrid.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Linking:
    """Settings of the linking. Distances are in units of the object's side (the square root of its box's area)."""

    sure: float = 0.3  # lowest score that begins a track; `Detector.load` takes the run's operating point
    unsure: float = 0.25  # lowest score that continues one
    reach: float = 1.5  # largest distance from the predicted position of a new track; it grows while it is not seen
    patience: int = 60  # usual intervals without a detection after which a track ends
    forgotten: float = 0.02  # probability of being there below which a track ends
    memory: float = 0.8  # weight of a track's embedding against that of a new detection
    reported: float = 0.25  # lowest existence with which a hidden part is reported
    hidden: bool = True  # tell parts while they are hidden, where they are expected
    together: bool = True  # parts that are seen carry the hidden ones: they stop and go together; False: each by itself
    pixels: bool = True  # what they have in common is also told by their pixels, where there is an image
    whole: bool = False  # the whole box of a part of which a piece is hidden; by default that of the detection

    def __post_init__(self) -> None:
        if not 0 <= self.unsure <= self.sure <= 1 or self.reach <= 0 or self.patience < 0:
            raise ConfigError(f"needs 0 <= unsure <= sure <= 1, reach > 0 and patience >= 0, got {self}")
        if not 0 < self.reported <= 1 or not 0 <= self.memory <= 1 or not 0 <= self.forgotten < 1:
            raise ConfigError(f"needs 0 < reported <= 1, 0 <= memory <= 1 and 0 <= forgotten < 1, got {self}")
