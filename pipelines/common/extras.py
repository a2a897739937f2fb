"""What can be added to the training data: parts pasted in, mosaics, the look of photos, pictures without parts.

And pictures without labels that the backbone warms up on before the training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hybrid.core.errors import DataError
from pipelines.common import options

if TYPE_CHECKING:
    from hybrid.training.config import AugmentConfig
    from hybrid.training.samples.sampler import WeightedSource

MatchBy = Literal["fourier", "histogram", "both"]
MATCH_BY: MatchBy = "fourier"
MATCH_SHARE, EMPTY_SHARE, WARM_UP_STEPS = 0.5, 0.1, 200

CopyPasteOption = Annotated[
    float,
    typer.Option(
        "--copy-paste",
        help="Share of the samples with one to four labelled parts pasted in. Rendered parts, and parts of photos that "
        "a COCO JSON gives polygons of.",
        rich_help_panel=options.TRAINING,
    ),
]
MosaicOption = Annotated[
    float,
    typer.Option("--mosaic", help="Share of the samples made of four smaller tiles.", rich_help_panel=options.TRAINING),
]
MatchOption = Annotated[
    Path | None,
    typer.Option(
        "--match",
        metavar="DIR",
        help="Photos without labels: rendered tiles get their look.",
        rich_help_panel=options.DATA,
    ),
]
MatchByOption = Annotated[
    MatchBy,
    typer.Option(
        "--match-by",
        help="What rendered tiles get of --match: low frequencies (FDA), the histogram of colours, or one of both.",
        rich_help_panel=options.TRAINING,
    ),
]
MatchShareOption = Annotated[
    float,
    typer.Option(
        "--match-share", help="Share of the rendered samples that --match changes.", rich_help_panel=options.TRAINING
    ),
]
EmptyOption = Annotated[
    Path | None,
    typer.Option(
        "--empty", metavar="DIR", help="Photos of the place without any part: background.", rich_help_panel=options.DATA
    ),
]
EmptyShareOption = Annotated[
    float,
    typer.Option("--empty-share", help="Share of the samples that come from --empty.", rich_help_panel=options.DATA),
]
WarmUpOption = Annotated[
    Path | None,
    typer.Option(
        "--warm-up",
        metavar="DIR",
        help="Pictures or video without labels. Before the training the backbone learns from them, by filling in "
        "covered squares. For a detector that starts from no run.",
        rich_help_panel=options.DATA,
    ),
]
WarmUpStepsOption = Annotated[
    int,
    typer.Option("--warm-up-steps", min=1, help="Steps of --warm-up.", rich_help_panel=options.TRAINING),
]


@dataclass(frozen=True)
class Extras:
    """The values of these options."""

    copy_paste: float = 0.0
    mosaic: float = 0.0
    match: Path | None = None
    match_by: MatchBy = "fourier"
    match_share: float = MATCH_SHARE
    empty: Path | None = None
    empty_share: float = EMPTY_SHARE
    warm_up: Path | None = None
    warm_up_steps: int = WARM_UP_STEPS

    def __post_init__(self) -> None:
        for folder, option in ((self.match, "--match"), (self.empty, "--empty")):
            if folder is not None and not folder.is_dir():
                raise DataError(f"{option} {folder}: is no folder of pictures")
        for name in ("copy_paste", "mosaic", "match_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise DataError(f"--{name.replace('_', '-')}: needs a share from 0 to 1, got {getattr(self, name)}")
        if not 0.0 < self.empty_share < 1.0:
            raise DataError(f"--empty-share: needs a share between 0 and 1, got {self.empty_share}")

    def check_start(self, init: Path | None) -> None:
        """Check that a warm-up has pictures, and that the run starts from no other one.

        Raises:
            DataError: it has none; or the heads of `init` have learned from the backbone that it would change.
        """
        from pipelines.common.paths import check_unlabelled

        check_unlabelled(self.warm_up, "--warm-up")
        if self.warm_up is not None and init is not None:
            raise DataError(
                f"--warm-up {self.warm_up}: changes the backbone, and the heads of {init} have learned from it as it "
                "is. It goes with a new detector; --unlabelled of finetune_real adapts a trained one"
            )

    def augmentation(self, occluders: float = 0.0) -> AugmentConfig:
        """The augmentation, with these settings and this share of occluders."""
        from hybrid.training.config import AugmentConfig

        each = {"fourier": (1.0, 0.0), "histogram": (0.0, 1.0), "both": (0.5, 0.5)}[self.match_by]
        fourier, histogram = (self.match_share * part if self.match else 0.0 for part in each)
        return AugmentConfig(
            copy_paste=self.copy_paste,
            mosaic=self.mosaic,
            fourier=fourier,
            histogram=histogram,
            occluders=occluders,
        )

    def shares(self, labelled: Sequence[WeightedSource], rendered: Sequence[bool]) -> list[WeightedSource]:
        """The sources to train on: the labelled ones, those that are rendered with photos to match, and empty places.

        Notes on the error stream count the parts that can be pasted and the pictures without parts.

        Raises:
            DataError: a folder holds no picture, no part can be cut out, or nothing is rendered that could match.
        """
        from hybrid.training.samples.sampler import WeightedSource, donor_pools
        from pipelines.common.data import note, read_pictures

        categories = labelled[0].source.categories
        shares = list(labelled)
        if self.match is not None:
            if not any(rendered):
                raise DataError(f"--match {self.match}: changes rendered tiles; there are none (see --sim)")
            look = read_pictures(self.match, categories)
            note(f"--match {self.match}: rendered tiles get the look of {len(look)} pictures")
            shares = [replace(one, look=look) if made else one for one, made in zip(shares, rendered, strict=True)]
        if self.copy_paste:
            pools, _ = donor_pools(shares)
            parts, boxes = sum(map(len, pools)), sum(sum(one.source.counts().values()) for one in shares)
            note(
                f"--copy-paste: {parts} of {boxes} labelled parts can be cut out: those with an outline, not occluded, "
                "and wholly in their picture"
            )
        if self.empty is not None:
            empty = read_pictures(self.empty, categories)
            share = f"{self.empty_share:.0%}"
            note(f"--empty {self.empty}: {len(empty)} pictures are taken as background, in {share} of the samples")
            total = sum(one.weight for one in shares)
            shares.append(WeightedSource(empty, total * self.empty_share / (1 - self.empty_share)))
        return shares
