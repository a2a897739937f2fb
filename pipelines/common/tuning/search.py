"""A search with Optuna: its trials are fine-tunings, stored in an SQLite file, and goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from hybrid.core.errors import DataError, HybridError, RunError
from hybrid.training.config import TrainConfig
from hybrid.training.methods.method import Method, Underway
from hybrid.training.methods.weights import Measure
from pipelines.common.data import note
from pipelines.common.tuning.space import Knob

if TYPE_CHECKING:
    from pipelines.common.tuning.job import FineTuning
    from pipelines.common.tuning.photos import Chosen

LOOKS = 4  # times in a trial that its accuracy is measured and compared with earlier trials
UNPRUNED = 4  # trials that are never stopped early
DEFAULTS = {"lr": 3e-4, "backbone-rate": 0.1, "sim-share": 0.5, "stage-decay": 1.0, "method": "plain"}
NAMES = {"lr": "learning_rate", "backbone-rate": "backbone_rate", "frozen-stages": "frozen_stages",
         "stage-decay": "stage_decay", "batch": "batch_clips", "clip-length": "clip_length", "tile": "tile_px",
         "steps": "steps", "seed": "seed"}  # fmt: skip
ENDED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
WEIGHTS = ("checkpoint.safetensors", "raw.safetensors", "ema.safetensors")


@dataclass
class Watch(Method):
    """Tells the study how good the moving average is, LOOKS times; a trial that lags behind is stopped."""

    trial: optuna.Trial
    measure: Measure
    name: str = field(default="watch", init=False)

    def settings(self) -> dict[str, Any]:
        """It changes no weight, so it says nothing of its trial: a stopped trial is resumed."""
        return {"name": self.name}

    def after_step(self, training: Underway) -> None:
        """See `Method`."""
        done, steps = training.steps_done + 1, training.config.steps
        if done == steps or done * LOOKS // steps == (done - 1) * LOOKS // steps:
            return
        self.trial.report(self.measure(training.averaged), done * LOOKS // steps)
        if self.trial.should_prune():
            raise optuna.TrialPruned


@dataclass(frozen=True)
class Outcome:
    """The best trial."""

    number: int
    ap: float
    values: Mapping[str, Any]
    frames: int
    ended: int
    pruned: int


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and on what."""

    tuning: FineTuning
    photos: Chosen
    knobs: tuple[Knob, ...]
    fixed: Mapping[str, Any]  # options that are not searched
    machine: Mapping[str, Any]  # threads, workers, device
    out: Path

    def carry_out(self, trials: int, told: Callable[[optuna.Study, optuna.trial.FrozenTrial], None]) -> optuna.Study:
        """Do the trials that remain of `trials`. `told` is called after each.

        Raises:
            DataError: no photo is held out.
            RunError: the folder holds the study of other data.
        """
        if self.photos.training is None or self.photos.validation is None:
            raise DataError("the search chooses by held-out photos, and none are left: give more photos, or --holdout")
        self.out.mkdir(parents=True, exist_ok=True)
        study = self._study()
        left = trials - sum(one.state in ENDED for one in study.trials)
        if left > 0:
            study.optimize(self._trial, n_trials=left, callbacks=[told], catch=(HybridError,))
        return study

    def outcome(self, study: optuna.Study) -> Outcome:
        """The best trial.

        Raises:
            RunError: none came to its end.
        """
        states = [one.state for one in study.trials]
        if optuna.trial.TrialState.COMPLETE not in states:
            raise RunError(f"{self.out}: no trial came to its end; the messages above say why")
        best = study.best_trial
        validation = self.photos.validation
        return Outcome(
            best.number, float(study.best_value), dict(best.params), len(validation.frames) if validation else 0,
            sum(state in ENDED for state in states), states.count(optuna.trial.TrialState.PRUNED),
        )  # fmt: skip

    def _study(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(
                storage=f"sqlite:///{(self.out / 'study.db').resolve()}", study_name="finetune", direction="maximize",
                load_if_exists=True, pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
            )  # fmt: skip
        study.sampler = optuna.samplers.TPESampler(seed=self.fixed["seed"] + len(study.trials))
        identity = json.dumps(
            [self.tuning.experiment.to_json(), dict(self.fixed), self.tuning.categories], sort_keys=True
        )
        before = study.user_attrs.get("identity")
        if before is not None and before != identity:
            raise RunError(f"{self.out}: holds a search on other data or with other options. Choose another folder")
        study.set_user_attr("identity", identity)
        for stopped in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(stopped.number, state=optuna.trial.TrialState.FAIL)  # of a killed process: its run goes on
            study.enqueue_trial(stopped.params)
        if not study.trials:
            defaults = DEFAULTS | dict(self.fixed)
            start = {one.name: defaults[one.name] for one in self.knobs if one.name in defaults}
            if all(one.holds(start.get(one.name)) for one in self.knobs if one.name in start):
                study.enqueue_trial(start)
        return study

    def _trial(self, trial: optuna.Trial) -> float:
        drawn = {one.name: one.draw(trial) for one in self.knobs}
        values = {**self.fixed, **drawn}
        config = TrainConfig(**{NAMES[name]: value for name, value in values.items() if name in NAMES}, **self.machine)
        tuning = self.tuning.with_share(drawn.get("sim-share", DEFAULTS["sim-share"]))
        folder = self.out / "trials" / hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()[:12]

        def watch(measure: Measure | None) -> list[Method]:
            return [] if measure is None else [Watch(trial, measure)]

        photos, method = self.photos, drawn.get("method", "plain")
        try:
            run = tuning.run(method, photos.training, photos.validation, config, folder, watch)
        except HybridError as error:
            note(f"trial {trial.number}: {error}")
            raise
        except optuna.TrialPruned:
            _remove_weights(folder)
            raise
        trial.set_user_attr("kept", run.get("kept"))
        _remove_weights(folder)
        return float(run["validation"]["ema"]["overall"]["ap"] or 0.0)


def _remove_weights(folder: Path) -> None:
    """A search would fill the disk: the best options are trained again, on all photos."""
    for name in WEIGHTS:
        (folder / name).unlink(missing_ok=True)
