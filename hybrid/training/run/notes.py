"""What a training writes down while it goes on: checkpoints, log, sample detections, the batch that it stopped at."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from hybrid.core.errors import RunError
from hybrid.data.clips import ClipSource
from hybrid.predict.tiles import View
from hybrid.training.run.folder import CHECKPOINT, CSV, METRICS, MetricsLog, write_csv
from hybrid.training.run.pictures import write_samples
from hybrid.training.run.stopped import stop
from hybrid.training.run.trackers import open_tracker
from hybrid.training.samples.batch import TrainBatch
from simgen.dataset.store.files import write_atomically

if TYPE_CHECKING:
    from hybrid.training.step import Training


class Notes:
    """The notes of a training. Those of several processes are the first one's; the others only know when to stop."""

    def __init__(self, training: Training, folder: Path, shown: ClipSource, view: View | None) -> None:
        """`shown` are clips for the sample detections.

        Raises:
            ConfigError: the package that the config logs to is not installed.
        """
        self._training, self._folder, self._shown, self._view = training, folder, shown, view
        config, done = training.config, training.steps_done
        first = training.device.is_first
        self._log = MetricsLog(folder / METRICS, config, done, training.kept) if first else None
        self._tracker = open_tracker(config.log_to if first else "files", folder, config.identity(), done)
        self._saved_at = self._drawn_at = time.monotonic()
        self._kept_step = done

    @property
    def last(self) -> dict[str, float]:
        """The latest values, for a progress bar."""
        return {} if self._log is None else self._log.last

    def add(
        self,
        losses: Mapping[str, Tensor],
        wait_s: float,
        measured: Mapping[str, float],
        over: bool,
        more: Callable[[], Mapping[str, Tensor]],
    ) -> None:
        """Note a step that is done.

        Args:
            losses: of the step.
            wait_s: how long it waited for data.
            measured: on held-out clips.
            over: no step follows.
            more: what else a checkpoint keeps.
        """
        assert self._log is not None
        training, config, log = self._training, self._training.config, self._log
        if log.add(training.steps_done, losses, wait_s, measured, over):
            self._tracker.add(training.steps_done, {key: x for key, x in log.line.items() if key != "step"})
        now = time.monotonic()
        if over or (now - self._saved_at >= config.checkpoint_every_s and not training.watch.is_far):
            write_atomically(self._folder / CHECKPOINT, training.to_bytes({**log.state(), **more()}))
            write_csv(self._folder / METRICS, self._folder / CSV)
            self._saved_at, self._kept_step = now, training.steps_done
        if 0 < config.pictures_every_s <= now - self._drawn_at and not over:
            write_samples(self._folder, training.averaged, self._shown, self._view)
            self._drawn_at = time.monotonic()

    def stop(self, batch: TrainBatch, why: str) -> RunError:
        """Keep the batch that the training stopped at. The error says it all."""
        self.close()
        training = self._training
        return stop(self._folder, training.device, batch, why, self._kept_step, training.config.learning_rate)

    def close(self) -> None:
        """No step follows."""
        self._tracker.close()
