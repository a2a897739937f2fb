"""The photos of a fine-tuning: which are trained on, which are held out, and the detector's categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybrid.core.config import BoxesOf
from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource
from hybrid.weights.checkpoint import load_config
from pipelines.common.data import (
    data_hash,
    hold_out,
    note,
    onto,
    read,
    take_photos,
    target_kind,
    together,
    without_copies_of,
)
from pipelines.common.record import DataKind, Experiment
from pipelines.common.tuning.begun import Begun
from pipelines.common.tuning.replay import Mixture
from simgen.dataset.store.locations import Location


@dataclass(frozen=True)
class Chosen:
    """Photos with the categories of the detector, in its order."""

    categories: tuple[str, ...]
    training: ClipSource | None = None  # None: none with labels
    validation: ClipSource | None = None
    total: int = 0  # photos at hand
    kind: DataKind = "real"

    def in_words(self) -> str:
        """How many photos are trained on, and of how many clips where these are videos."""
        if self.training is None:
            return "no labelled photo"
        photos, clips = len(self.training.frames), len(self.training)
        count = f"{photos}" if photos == clips else f"{photos} (frames of {clips} clips)"
        return f"{count} of {self.total} {self.kind} photos"


def choose(
    data: Location | None,
    init: Path | None,
    begun: Begun | None,
    categories: Sequence[str] | None,
    boxes: BoxesOf,
    *,
    shots: int | None,
    seed: int,
    holdout: float,
) -> Chosen:
    """Read and choose the photos.

    Args:
        data: where they are; None: there are none with labels.
        init: the checkpoint, whose categories are kept.
        begun: the run that was begun in the folder, which keeps its own categories.
        categories: `--categories`.
        boxes: what the detector's boxes enclose.
        shots: how many to train on; None or 0: all.
        seed: of the shuffle whose first photos they are.
        holdout: the share to validate on.

    Raises:
        DataError: there are too few photos, or the categories do not fit.
    """
    known = load_config(init).categories if init else ()
    if data is None:
        if not known:
            raise DataError("without labelled photos a checkpoint is needed that knows the parts: --checkpoint RUN")
        return Chosen(known)
    source = read(data, categories, boxes=boxes, own_only=True)
    wanted = (begun and begun.categories) or together(known, source.categories, categories)
    pool, validation = hold_out(onto(source, wanted), holdout, seed)
    if (shots or 0) > len(pool.frames):
        raise DataError(f"{data}: --shots {shots}, but only {len(pool.frames)} photos are left to train on")
    training = take_photos(pool, shots, seed) if shots else pool
    if validation is not None:
        validation = without_copies_of(validation, training)
    if not sum(training.counts().values()):
        note(f"{data}: none of the {len(training.frames)} photos to train on has a box: they teach background alone")
    return Chosen(wanted, training, validation, len(source.frames), target_kind(data))


def experiment(data: Location | None, unlabelled: Path | None, seed: int, mixed: Mixture) -> Experiment:
    """The record of a fine-tuning, without its photos."""
    return Experiment(
        script="finetune_real",
        data=str(unlabelled if data is None else data),
        data_sha256=None if data is None else data_hash(data),
        kind="real" if data is None else target_kind(data),
        trained_on=(),
        shuffle_seed=seed,
        mixed_in=str(mixed.data.at) if mixed.data else None,
        mixed_in_sha256=mixed.data.sha256 if mixed.data else None,
        mixed_in_trained_on=mixed.data.trained_on if mixed.data else None,
        unlabelled=None if unlabelled is None else str(unlabelled),
    )
