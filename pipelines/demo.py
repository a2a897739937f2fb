"""The whole job at small size: `pipelines.line` on the example line, with a second simulated world for photographs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.common import options
from pipelines.line.command import Again, Quick, work_on

if TYPE_CHECKING:
    from pipelines.line.contents import Labelled, Line
    from pipelines.line.running.engine import Step
    from pipelines.line.work import Ask

EPILOG = """Examples:

  python -m pipelines.demo --quick                                                      (a trial of a few minutes)

  python -m pipelines.demo --real photos/train.json --real-test photos/test.json --out out/mine

For parts of your own: simgen new, then python -m pipelines.line.
"""
EXAMPLE = Path(__file__).parent / "line" / "example"
STAND_IN = "standin.yaml"
FASTENERS = "# Bolts, nuts and washers on a belt: for photos of these three.\nbase: demo\ntiming: {frames: 2}\n"
SIM_SCENES, TRAIN_SCENES, TEST_SCENES = 200, 30, 40  # a stand-in scene is one photo
PRETRAIN_STEPS, PHOTO_STEPS = 700, 200  # both detectors do the same steps on the photos
RENDER_WORKERS = min(2, os.cpu_count() or 1)
QUICK = 50  # scenes and steps are divided by it with --quick
# seconds on two free cores: a process of simgen, a scene on one core, a training's process with its measuring, a step
START_S, SCENE_S, TRAIN_START_S, STEP_S, REPORT_S, EXPORT_S = 3.0, 0.5, 20.0, 0.5, 60.0, 15.0
STAND_INS = {"train": ("the stand-in photos to train on", 1), "test": ("the stand-in photos to measure on", 2)}  # seeds


def main(
    out: Annotated[
        Path,
        typer.Option(
            help="Folder: a line, with its results in result/. A second call continues in it.",
            rich_help_panel=options.DATA,
        ),
    ] = Path("out/demo"),
    real: Annotated[
        Path | None,
        typer.Option(
            help="COCO JSON of photos of bolts, nuts or washers to fine-tune on. Without it: a stand-in, another "
            "simulated world.",
            rich_help_panel=options.DATA,
        ),
    ] = None,
    real_test: Annotated[
        Path | None,
        typer.Option(help="COCO JSON of photos to measure on, none of them in --real.", rich_help_panel=options.DATA),
    ] = None,
    quick: Quick = False,
    again: Again = False,
    workers: options.Workers = RENDER_WORKERS,
) -> None:
    """Do the whole job at small size: render, pretrain, fine-tune, train the same without simulation, report."""
    if (real is None) != (real_test is None):
        options.stop("give --real and --real-test together: photos to train on cannot be measured on")
    with options.one_line_errors():
        line = prepared(out, real, real_test, quick)
        work_on(line, out, ask(line, out, workers, quick, again))


def prepared(out: Path, real: Path | None, real_test: Path | None, quick: bool) -> Line:
    """The demo's line: the example line or that of the fasteners, copied to `out`, with photos or their stand-in.

    The photos are checked before anything is written.

    Raises:
        HybridError, SimgenError: `out` holds something else, or the photos cannot be used.
    """
    from dataclasses import replace

    from hybrid.core.errors import DataError
    from pipelines.common.paths import check_folder, data_at
    from pipelines.line.contents import PRESET, check_apart, read_labels, rendered

    for option, path in (("--real", real), ("--real-test", real_test)):
        if path is not None:
            data_at(str(path), option)
    check_folder(out)
    if out.is_dir() and any(out.iterdir()) and not (out / PRESET).is_file():
        raise DataError(f"--out {out}: is not empty and holds no line ({PRESET}); choose another folder")
    if real is None or real_test is None:
        _copy(out, None)
        line = rendered(out.resolve())
        counts = [max(2, count // (QUICK if quick else 1)) for count in (TRAIN_SCENES, TEST_SCENES)]
        train, test = (_stand_in(line, role, count) for role, count in zip(STAND_INS, counts, strict=True))
        return replace(line, train=train, test=test, stand_in=True)
    whole = real.resolve(), real_test.resolve()
    both = [read_labels(path, role, ("bolt", "nut", "washer")) for path, role in zip(whole, STAND_INS, strict=True)]
    check_apart(both[0], both[1])
    _copy(out, FASTENERS)
    return replace(rendered(out.resolve()), train=both[0][0], test=both[1][0])


def _copy(out: Path, preset: str | None) -> None:
    """Make the folder of the line, where it is not there yet: the preset comes last, so that a part is no line."""
    from pipelines.line.contents import PRESET
    from simgen.dataset.store.files import write_atomically

    if (out / PRESET).is_file():
        return
    out.mkdir(parents=True, exist_ok=True)
    if preset is None:
        shutil.copytree(EXAMPLE, out, ignore=shutil.ignore_patterns(PRESET), dirs_exist_ok=True)
        preset = (EXAMPLE / PRESET).read_text("utf-8")
    write_atomically(out / PRESET, preset.encode())


def _stand_in(line: Line, role: str, scenes: int) -> Labelled:
    """What stands in for the photos of a role, before it is rendered."""
    from pipelines.line.contents import Labelled as Photos
    from pipelines.line.steps import DATA

    path = line.folder / DATA / f"standin-{role}"
    return Photos(path, line.categories, scenes, f"{scenes} scenes of {STAND_IN}, seed {STAND_INS[role][1]}")


def ask(line: Line, out: Path, workers: int, quick: bool = False, again: bool = False) -> Ask:
    """What the demo asks of the line: its sizes, and both detectors to compare."""
    from pipelines.line.sizes import FINE_TUNE, PHOTOS_ALONE, PRETRAIN, Costs, Sizes
    from pipelines.line.work import Ask

    divisor = QUICK if quick else 1
    pretrain, photos = PRETRAIN_STEPS // divisor, PHOTO_STEPS // divisor
    steps = {PRETRAIN: pretrain, FINE_TUNE: photos, PHOTOS_ALONE: photos}
    costs = Costs(
        scene_s=_scene_s(workers), render_start_s=START_S, step_s=STEP_S, train_start_s=TRAIN_START_S,
        report_s=REPORT_S, export_s=EXPORT_S,
    )  # fmt: skip
    return Ask(
        quick=quick, again=again, compare=True, workers=workers, costs=costs, small=True, first=_first(line, workers),
        sizes=Sizes(scenes=SIM_SCENES // divisor, steps=steps),
        whole=f"python -m pipelines.demo --out {out} --again",
    )  # fmt: skip


def _scene_s(workers: int) -> float:
    return SCENE_S / max(1, min(workers, os.cpu_count() or 1))


def _first(line: Line, workers: int) -> list[Step]:
    """Render the stand-in, where there are no photos."""
    from pipelines.line.running.engine import Step
    from pipelines.line.steps import render_command

    steps = []
    for role, data in zip(STAND_INS, (line.train, line.test), strict=True):
        if line.stand_in and data is not None:
            title, seed = STAND_INS[role]
            command = render_command(STAND_IN, data.photos, seed, data.path.relative_to(line.folder), workers)
            seconds, result = START_S + data.photos * _scene_s(workers), data.path / "manifest.json"
            made_of = {"scenes": data.photos}
            steps.append(Step(f"standin-{role}", f"render {title}", seconds, command, result, "render", made_of))
    return steps


app = options.single_app(main, EPILOG)

if __name__ == "__main__":
    app()
