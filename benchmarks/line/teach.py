"""Track networks with parts switched off, taught on the same lessons: one file for each variant and seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hybrid.core.progress import bar
from hybrid.model.objects.track_net import TrackNetConfig
from hybrid.predict.linking.evidence import NAMES
from hybrid.training.follow.clips import read_known
from hybrid.training.follow.lessons import lessons_of
from hybrid.training.follow.make import VARIANTS
from hybrid.training.follow.teach import TeachConfig, teach
from hybrid.weights.follower import save_follower

PARTS: dict[str, dict[str, object]] = {
    "full": {},
    "no recurrence": {"recurrent": False},
    "no transformer": {"layers": 0},
    "neither": {"recurrent": False, "layers": 0},
}


def teach_all(
    folders: Sequence[Path], weights: str, only: Sequence[str], seeds: Sequence[int], steps: int, out: Path
) -> None:
    """Write `VARIANT-SEED.safetensors` for each; one that is there is left as it is.

    Args:
        folders: simulated data sets to learn from; the detections are stored beside them.
        weights: of the detector, as `Detector.load` takes them.
        only: names of PARTS.
        seeds: of the trainings. The lessons are the same for all.
        steps: of each training.
        out: the folder.
    """
    clips = [
        clip
        for folder in folders
        for clip in read_known(folder, folder.with_name(f"{folder.name}-detections"), weights)
    ]
    lessons = lessons_of(clips, VARIANTS, 0)
    for seed in seeds:
        for name in only:
            file = out / f"{name.replace(' ', '-')}-{seed}.safetensors"
            if file.exists():
                continue
            with bar(file.stem) as progress:
                config = TrackNetConfig(inputs=len(NAMES), **PARTS[name])  # type: ignore[arg-type]
                network = teach(lessons, config, TeachConfig(steps=steps, seed=seed), progress)
            file.parent.mkdir(parents=True, exist_ok=True)
            save_follower(file, network, NAMES, 0.5, f"detector {weights}, {len(clips)} clips, {steps} steps")
