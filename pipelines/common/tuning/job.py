"""A fine-tuning: all of it but its photos, its method and its folder, so that `--method auto` can try several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hybrid.core.config import SCORE
from hybrid.core.errors import DataError
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import evaluate
from hybrid.predict.tiles import view_of
from hybrid.training.config import TrainConfig
from hybrid.training.methods.method import Method
from hybrid.training.methods.table import Materials, make_methods, method_names
from hybrid.training.methods.weights import Measure
from hybrid.training.samples.sampler import WeightedSource
from hybrid.weights.record import read_record
from pipelines.common.data import names, photo_digests, without_copies_of
from pipelines.common.extras import Extras
from pipelines.common.record import Experiment
from pipelines.common.tuning.begun import Begun
from pipelines.common.tuning.photos import Chosen, choose, experiment
from pipelines.common.tuning.replay import Mixture, mixture, share_of
from pipelines.common.unlabelled import unlabelled_clips, warm_up_on
from simgen.dataset.store.locations import Location

NEEDS_START = ("l2-sp", "wise-ft", "mean-teacher")  # methods that go back to what a checkpoint knew


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """All of a fine-tuning but its photos, its method and its folder."""

    init: Path | None
    categories: tuple[str, ...]  # of the detector
    preset: str
    branches: str | None
    model: tuple[str, ...]
    mixed: Mixture
    sim_share: float  # of the samples
    unlabelled: Path | None  # pictures or video without labels
    experiment: Experiment  # without the photos
    more: Extras = field(default_factory=Extras)  # what else goes into the samples

    def run(
        self,
        method: str,
        photos: ClipSource | None,
        validation: ClipSource | None,
        config: TrainConfig,
        out: Path,
        watch: Callable[[Measure | None], list[Method]] = lambda measure: [],
    ) -> dict[str, Any]:
        """Train, or resume a stopped run, or return what a finished one wrote: its `run.json`.

        `photos` of None: the simulated samples alone have labels. `watch` adds methods that look on; it gets a function
        that measures a network on the validation photos.

        Raises:
            DataError: nothing has labels, or the method needs a checkpoint and there is none.
        """
        from pipelines.common.runs import carry_out, start

        chosen = self._checked(method)
        digests = set(photo_digests(photos)) if photos else set[str]()
        if mixed_in := self.mixed.photos:  # photos are trained on, wherever they stand
            digests |= set(photo_digests(mixed_in))
            validation = validation and without_copies_of(validation, mixed_in)
        given = Materials(
            measure=_measure(validation, config.tile_px),
            photos=None if photos is None else lambda: photos,
            unlabelled=self._unlabelled(out),
            sure=_sure(self.init),
        )
        make_methods(chosen, given)  # what is missing is told before anything is written
        record = replace(
            self.experiment, method=method, trained_on=names(photos), held_out=names(validation),
            shots=len(photos.frames) if photos else 0, photo_digests=tuple(sorted(digests)),
            warm_up=str(self.more.warm_up) if self.more.warm_up else None,
        )  # fmt: skip
        seed = config.seed
        return carry_out(
            lambda: start(self.init, self.categories, self.preset, self.branches, seed, self.model),
            self._shares(photos),
            validation,
            config,
            out,
            record,
            self.mixed.kept,
            lambda begun: [*make_methods(chosen, replace(given, fresh=begun.fresh)), *watch(given.measure)],
            warm_up_on(self.more.warm_up, self.more.warm_up_steps, self.categories, out),
        )

    def _checked(self, method: str) -> tuple[str, ...]:
        chosen = method_names(method)
        if lost := [name for name in chosen if name in NEEDS_START and self.init is None]:
            raise DataError(f"--method {lost[0]}: goes back to what a checkpoint knew; --checkpoint none has none")
        return chosen

    def with_share(self, share: float) -> FineTuning:
        """The same with another share of simulated samples."""
        return replace(self, sim_share=share)

    def _shares(self, photos: ClipSource | None) -> list[WeightedSource]:
        simulated = self.mixed.source
        if photos is None and simulated is None:
            raise DataError(
                "nothing has labels: without labelled photos the simulated data that the checkpoint learned from are "
                "needed: --sim DIR"
            )
        pairs = [(photos, 1.0 - self.sim_share), (simulated, self.sim_share)]
        if photos is None or simulated is None:
            pairs = [(one, 1.0) for one, _ in pairs]
        shares = [WeightedSource(one, weight) for one, weight in pairs if one is not None]
        return self.more.shares(shares, [one.source is simulated for one in shares])

    def _unlabelled(self, out: Path) -> Callable[[], ClipSource] | None:
        path, categories = self.unlabelled, self.categories
        if path is None:
            return None
        return lambda: unlabelled_clips(path, categories, out / "unlabelled")


def prepare(
    init: Path | None,
    labelled: Location | None,
    unlabelled: Path | None,
    begun: Begun | None,
    *,
    shots: int | None,
    shuffle_seed: int,
    holdout: float,
    categories: Sequence[str] | None,
    sim: str | None,
    sim_share: float | None,
    preset: str,
    branches: str | None,
    model: Sequence[str],
    more: Extras,
) -> tuple[FineTuning, Chosen]:
    """Read the data of a fine-tuning. The arguments are the options of `pipelines.finetune_real`.

    Raises:
        DataError: as `pipelines.common.tuning.photos.choose` and `pipelines.common.tuning.replay.mixture`.
    """
    from pipelines.common.runs import architecture

    boxes = architecture(init, ("any",), preset, branches, model).boxes
    photos = choose(labelled, init, begun, categories, boxes, shots=shots, seed=shuffle_seed, holdout=holdout)
    mixed = mixture(sim, init, begun, photos.categories, boxes)
    tuning = FineTuning(
        init=init,
        categories=photos.categories,
        preset=preset,
        branches=branches,
        model=tuple(model),
        mixed=mixed,
        sim_share=share_of(sim_share, begun),
        unlabelled=unlabelled,
        experiment=experiment(labelled, unlabelled, shuffle_seed, mixed),
        more=more,
    )
    return tuning, photos


def _measure(validation: ClipSource | None, tile_px: int) -> Measure | None:
    if validation is None or not sum(validation.counts().values()):
        return None
    view, source = view_of(tile_px), validation
    return lambda network: evaluate(network, source, view).metrics.overall.ap or 0.0


def _sure(init: Path | None) -> float:
    """The score from which the checkpoint's detections count: its operating point."""
    record = None if init is None else read_record(init)
    point = None if record is None else record.operating_point
    return SCORE if point is None or point.score is None else point.score
