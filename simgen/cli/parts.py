"""simgen parts add, list, show and check: parts from CAD files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simgen.cli.common import app, clear_errors, fail
from simgen.spec.text.printable import printable

parts = typer.Typer(help="Your own parts, from CAD files.", no_args_is_help=True)
app.add_typer(parts, name="parts")
Line = Annotated[Path, typer.Argument(help="The line's folder, or a folder of parts.", metavar="[FOLDER]")]
MOST_BODIES = 20  # that are listed


@parts.command(
    epilog="simgen parts add bracket.step --category bracket --material aluminium --to my_line\n\n"
    "simgen parts add clip.stl --unit mm --density 1050 --to my_line\n\n"
    "simgen parts add assembly.step --body 2 --name lid --to my_line\n\n"
    "simgen parts add gripper.urdf --pose finger_joint=0.02 --to my_line"
)
def add(
    file: Annotated[Path, typer.Argument(help="STEP, STL, OBJ, PLY, GLB, glTF, OFF, 3MF or URDF.", metavar="FILE")],
    to: Annotated[
        Path, typer.Option(help="The line's folder; the part goes into its parts/.", metavar="FOLDER")
    ] = Path("."),
    unit: Annotated[
        str | None,
        typer.Option(help="Unit of the file's lengths: mm, cm, m or in. STL, OBJ, PLY and OFF do not say theirs."),
    ] = None,
    category: Annotated[str | None, typer.Option(help="The label of the part; by default its name.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the part and its files; by default that of FILE.")] = None,
    material: Annotated[
        str | None, typer.Option(help="What it is made of, for its mass, such as steel, aluminium, brass, abs.")
    ] = None,
    density: Annotated[float | None, typer.Option(min=1, max=30000, help="Its density in kg/m3, instead.")] = None,
    body: Annotated[
        list[int] | None, typer.Option(min=1, help="Take this body of an assembly alone. May be given several times.")
    ] = None,
    pose: Annotated[
        list[str] | None, typer.Option(metavar="JOINT=VALUE", help="A joint of a URDF, in radians or metres.")
    ] = None,
    triangles: Annotated[int, typer.Option(min=100, max=200_000, help="The most triangles that it keeps.")] = 20_000,
    seconds: Annotated[int, typer.Option(min=10, help="The most processor time for reading the file.")] = 300,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a part that is there already.")] = False,
) -> None:
    """Import a part: repair it, weigh it, find how it rests, and write parts/NAME.glb and a page parts/NAME.html.

    A file with several bodies becomes one part, unless --body chooses.
    """
    with clear_errors():
        from simgen.assets.cad.request import Request, name_from
        from simgen.library.adding import add_part

        known_as = name or name_from(file)
        check_unit(unit)
        _check_name(known_as)
        request = Request(
            file=file,
            name=known_as,
            category=category or known_as,
            unit=unit,
            material=material,
            density_kg_m3=density or density_of(material, "; or give --density"),
            bodies=tuple(body or ()),
            pose=_pose(pose or []),
            most_triangles=triangles,
        )
        added = add_part(request, to, overwrite=overwrite, seconds=seconds)
        from simgen.library.facts import facts

        for line in _found(added.report.bodies, bool(body)):
            typer.echo(line)
        for key, value in facts(added.part):
            typer.echo(f"{key}: {printable(value)}")
    typer.echo(f"{added.file}: look at it in {added.page}")


def check_unit(unit: str | None) -> None:
    """Refuse a unit that there is not, before any work is done."""
    from simgen.assets.cad.request import UNITS

    if unit is not None and unit not in UNITS:
        fail(f"--unit: no unit {unit!r}; there are {', '.join(UNITS)}")


def _check_name(name: str) -> None:
    """Refuse a name that cannot be, before any work is done."""
    import re

    from simgen.assets.cad.facts import NAME

    if not re.fullmatch(NAME, name):
        fail(f"--name: needs letters, digits, dots, dashes or underscores, 64 at most, got {name!r}")


def density_of(material: str | None, remedy: str = "") -> float:
    """The density in kg/m3 of the material, or of steel. `remedy` ends the message where there is no such material."""
    from simgen.assets.cad.request import DENSITIES_KG_M3

    if material is not None and material not in DENSITIES_KG_M3:
        fail(f"--material: no material {material!r}; there are {', '.join(DENSITIES_KG_M3)}{remedy}")
    return DENSITIES_KG_M3[material or "steel"]


def _pose(texts: list[str]) -> tuple[tuple[str, float], ...]:
    pairs = []
    for text in texts:
        joint, _, value = text.partition("=")
        try:
            pairs.append((joint, float(value)))
        except ValueError:
            fail(f"--pose: needs JOINT=VALUE such as finger_joint=0.5, got {text!r}")
    return tuple(pairs)


def _found(bodies: tuple, chosen: bool) -> list[str]:  # type: ignore[type-arg]
    """The lines that list the bodies of an assembly."""
    if len(bodies) < 2:
        return []
    lines = [f"{len(bodies)} bodies" + ("" if chosen else ", joined to one part; --body N takes one") + ":"]
    for number, body in enumerate(bodies[:MOST_BODIES], 1):
        x, y, z = (1000 * side for side in body.size_m)
        lines.append(
            f"  {number}: {printable(body.name) or 'body'}, {x:.4g} x {y:.4g} x {z:.4g} mm, {body.triangles} triangles"
        )
    return lines + ([f"  and {len(bodies) - MOST_BODIES} more"] if len(bodies) > MOST_BODIES else [])


@parts.command("list", epilog="simgen parts list my_line")
def list_parts(folder: Line = Path(".")) -> None:
    """List the parts of a line: name, category, size, mass, resting poses."""
    with clear_errors():
        from simgen.library.looking import part_files, read_part

        for file in part_files(folder):
            part = read_part(file)
            x, y, z = (1000 * side for side in part.size_m)
            typer.echo(
                f"{part.name}: {printable(part.category)}, {x:.4g} x {y:.4g} x {z:.4g} mm, "
                f"{part.mass_kg * 1000:.4g} g, {len(part.resting_poses)} resting poses, {len(part.triangles)} triangles"
            )


@parts.command(epilog="simgen parts show bracket my_line")
def show(
    name: Annotated[str, typer.Argument(help="Name of the part, or its .glb file.", metavar="NAME")],
    folder: Line = Path("."),
) -> None:
    """Print all that is known of a part."""
    with clear_errors():
        from simgen.library.facts import facts
        from simgen.library.looking import named, read_part

        file = Path(name) if name.endswith(".glb") and Path(name).is_file() else named(folder, name)
        part = read_part(file)
        typer.echo(f"{part.name} ({file})")
        for key, value in facts(part):
            typer.echo(f"{key}: {printable(value)}")
        for number, resting in enumerate(part.resting_poses, 1):
            share = f"{100 * resting.probability:.1f} % ({100 * resting.drop_share:.1f} % of the drops)"
            typer.echo(f"pose {number}: {share}, its centre {1000 * resting.height_m:.4g} mm above the table")


@parts.command(epilog="simgen parts check my_line")
def check(folder: Line = Path(".")) -> None:
    """Read every part of a line, and say which ones cannot be used. Exit status 1 if there are any."""
    with clear_errors():
        from simgen.library.looking import part_files, read_part
        from simgen.spec.errors import PartFileError

        wrong = 0
        files = part_files(folder)
        for file in files:
            try:
                read_part(file)
            except PartFileError as error:
                wrong += 1
                typer.echo(printable(str(error)))
    if wrong:
        fail(f"{folder}: {wrong} of {len(files)} parts cannot be used", 1)
    typer.echo(f"{folder}: {len(files)} part{'s' * (len(files) > 1)}, nothing wrong")
