"""simgen presets: list, print, explain and copy the presets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from simgen.cli.common import app, clear_errors, fail, preset_names

EXAMPLES = """simgen presets

simgen presets conveyor

simgen presets conveyor --knobs

simgen presets conveyor --copy my_line.yaml"""


@app.command(epilog=EXAMPLES)
def presets(
    name: Annotated[
        str | None,
        typer.Argument(help="A preset's name, or a YAML file of your own.", autocompletion=preset_names),
    ] = None,
    knobs: Annotated[
        bool, typer.Option("--knobs", help="Print every knob: its value, unit, bounds and meaning.")
    ] = False,
    copy: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="Write a copy to change. An existing file is left alone.")
    ] = None,
) -> None:
    """List the presets that come with simgen. With NAME: print that one, explain its knobs, or copy it."""
    with clear_errors():
        from simgen.presets.layers import find
        from simgen.presets.layers import presets as known

        if name is None:
            if knobs or copy:
                fail(f"{'--knobs' if knobs else '--copy'}: needs the NAME of a preset, such as conveyor")
            descriptions = known()
            width = max(map(len, descriptions))
            for one, description in descriptions.items():
                typer.echo(f"{one:<{width}}  {description}")
        elif knobs:
            for line in _explained(name):
                typer.echo(line)
        elif copy:
            _copy(find(name, Path(), ""), copy)
        else:
            typer.echo(find(name, Path(), "").read_text("utf-8"), nl=False)


def _explained(preset: str) -> Iterator[str]:
    """Two lines for each knob: its key and value, then its bounds and meaning."""
    from simgen.presets.knobs import ABSENT
    from simgen.presets.knobs import knobs as all_knobs
    from simgen.presets.read import load_config

    config = load_config(preset)
    for knob in all_knobs():
        value, unit = knob.value_in(config), f" {knob.unit}" if knob.unit else ""
        yield f"{knob.path}: {value}{unit if value != ABSENT else ''}"
        yield f"    {knob.meaning}" + (f" [{knob.bounds}{unit}]" if knob.bounds else "")


def _copy(preset: Path, copy: Path) -> None:
    """Write a copy of a preset, to a new file."""
    if copy.suffix not in (".yaml", ".yml"):
        fail(f"--copy: {copy}: needs a name that ends in .yaml")
    from simgen.presets.meshes import moved

    text = moved(preset.read_text("utf-8"), preset.parent, copy.parent)
    try:
        with copy.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        fail(f"--copy: {copy} is there already, and is left as it is; give another name")
    typer.echo(f"{copy}: change it, then: simgen render --preset {copy} --scenes 8 --out out/{copy.stem}")
