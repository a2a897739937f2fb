"""The files beside a report: the wider ranges as a preset, and the list of photos to label next."""

from __future__ import annotations

from pathlib import Path

from hybrid.core.errors import DataError
from pipelines.common.data import note
from pipelines.gap.schema.report import Report
from simgen.dataset.store.files import write_atomically

FIRST_WORDS = b"# Wider ranges"  # of a preset that a report wrote


def check_preset_file(path: Path, overwrite: bool) -> None:
    """Check that a preset can be written there. One that a report wrote is replaced; any other file is not.

    Raises:
        DataError: it is no .yaml, is a folder, or another file is in the way.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise DataError(f"--write-config: {path} must end in .yaml")
    if path.is_dir() or not path.parent.is_dir():
        raise DataError(f"--write-config: {path} is a folder, or its folder does not exist")
    if path.exists() and not overwrite:
        with path.open("rb") as file:
            if file.read(len(FIRST_WORDS)) != FIRST_WORDS:
                raise DataError(f"--write-config: {path} exists; choose another name, or say --overwrite")


def list_of(out: Path) -> Path:
    """Where the photos to label next are listed: beside the page."""
    return out.with_name(f"{out.stem}-label-next.txt")


def write_advice(report: Report, out: Path, unlabelled: Path | None, config: Path | None) -> None:
    """Write the preset and the list, as far as they are asked for. Notes say where, or why not.

    Raises:
        OSError: a file cannot be written.
    """
    if config is not None:
        text = report.do_next.next_config
        if text:
            write_atomically(config, text.encode(errors="replace"))
            note(f"{config}: what to widen, as a preset: simgen render --preset {config} ...")
        else:
            reasons = [one for one in report.trust.left_out if one.startswith("The wider ranges")]
            note(
                f"{config}: not written: {reasons[0] if reasons else 'no figure of the report asks for a wider range'}"
            )
    if unlabelled is not None and report.do_next.label:
        out.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{unlabelled / one.photo}\n" for one in report.do_next.label)
        write_atomically(list_of(out), lines.encode(errors="surrogateescape"))
        note(f"{list_of(out)}: {len(report.do_next.label)} photos to label next")
