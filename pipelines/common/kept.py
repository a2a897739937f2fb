"""What a fine-tuned run keeps of what its checkpoint knew, measured on simulated scenes that neither trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybrid.core.progress import Progress, silent
from hybrid.data.clips import ClipSource
from hybrid.metrics.detection import Score, evaluate
from hybrid.predict.tiles import View, view_of
from hybrid.weights.checkpoint import load
from hybrid.weights.record import read_record
from pipelines.common.data import with_categories


def measure_kept(
    before: Path, after: Path, scenes: ClipSource, device: str = "cpu", progress: Progress = silent
) -> dict[str, Any] | None:
    """The accuracy of two runs on `scenes`, as JSON values: {"ap50", "ap"} of each.

    Only categories that both know are measured. None: there is no box of one.
    """
    networks = {"before": load(before, device=device), "after": load(after, device=device)}
    known = [name for name in scenes.categories if all(name in one.config.categories for one in networks.values())]
    common = with_categories(scenes, known)
    if not sum(common.counts().values()):
        return None
    scores: dict[str, Score] = {}
    for run, (name, network) in zip((before, after), networks.items(), strict=True):
        numbered = with_categories(common, network.config.categories)
        scores[name] = evaluate(network, numbered, _view(run), progress).metrics.overall
    plain = {name: {"ap50": score.ap50, "ap": score.ap} for name, score in scores.items()}
    return {
        "data": scenes.name, "scenes": len(scenes), "frames": len(scenes.frames), "categories": known, **plain,
    }  # fmt: skip


def in_words(kept: dict[str, Any]) -> str:
    """One line on what a run keeps, from the result of `measure_kept`."""
    before, after = kept["before"]["ap50"], kept["after"]["ap50"]
    return f"on simulated scenes: AP50 {before:.2f} before, {after:.2f} after ({kept['frames']} frames held out)"


def _view(run: Path) -> View:
    """Tiles of the size that the run was trained on."""
    record = read_record(run)
    return View() if record is None else view_of(record.train.tile_px)
