"""simgen new: a folder that is a whole project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from simgen.cli.common import app, clear_errors, fail, say_left_out
from simgen.cli.parts import check_unit, density_of

SEVERAL = ("--part", "--empty")  # options that take several values: --empty a.jpg b.jpg


def spread(words: list[str]) -> list[str]:
    """The words of a command with `--empty a b` written as `--empty a --empty b`, which is what the parser knows."""
    out: list[str] = []
    option, is_first = "", False
    for word in words:
        if word.startswith("-"):
            option, is_first = (word if word in SEVERAL else ""), True
            out.append(word)
        else:
            out += [option, word] if option and not is_first else [word]
            is_first = False
    return out


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))


@app.command(
    cls=_Command,
    epilog="simgen new my_line --part bracket.step lid.stl --unit mm --empty empty1.jpg empty2.jpg --photos frames/\n\n"
    "simgen new my_line --part bracket.step --empty empty.jpg --camera calib.yaml --height-m 0.8 --tilt-deg 30\n\n"
    "cd my_line && simgen render --preset line.yaml --scenes 10 --out out/look && simgen preview out/look",
)
def new(
    folder: Annotated[Path, typer.Argument(help="The folder to write, new or empty.", metavar="FOLDER")],
    part: Annotated[list[Path], typer.Option(help="CAD file of a part; several may follow.")],
    empty: Annotated[list[Path], typer.Option(help="Photo of the empty place, or folder of such; several may follow.")],
    unit: Annotated[str | None, typer.Option(help="Unit of the CAD files' lengths: mm, cm, m or in.")] = None,
    material: Annotated[str | None, typer.Option(help="What the parts are made of, such as steel, aluminium.")] = None,
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photos of the busy place, without labels: sharpness and noise.")
    ] = None,
    camera: Annotated[
        Path | None, typer.Option(help="Calibration: OpenCV's YAML or JSON, or ROS's camera_info.")
    ] = None,
    height_m: Annotated[float | None, typer.Option(help="Height of the camera over the ground, in metres.")] = None,
    tilt_deg: Annotated[float | None, typer.Option(help="Tilt of the camera; 0 looks straight down.")] = None,
    view_m: Annotated[
        float | None, typer.Option(help="Width of the ground that a photo shows, in place of --height-m.")
    ] = None,
    work_area: Annotated[
        Path | None,
        typer.Option(
            help="COCO JSON with the four corners of the work surface in each photo of --empty; see --area-m."
        ),
    ] = None,
    area_m: Annotated[
        tuple[float, float] | None, typer.Option(help="Its two sides in metres, such as --area-m 1.2 0.8.")
    ] = None,
) -> None:
    """Make a folder for your line: your parts, photos of the empty place, and a preset that renders both together.

    What the photos say of the camera is measured. What is not known is guessed, and said so.
    """
    with clear_errors():
        from simgen.assets.cad.request import Request, name_from
        from simgen.dataset.export.common.building import building
        from simgen.library.adding import add_part
        from simgen.presets.new_line.make import NewLine, look, write_line

        names = [name_from(file) for file in part]
        if len(set(names)) < len(names):
            fail(f"--part: two files of one name ({', '.join(names)}); rename one")
        check_unit(unit)
        density = density_of(material)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            fail(f"{folder}: is there already; give a new folder")
        asked = NewLine(tuple(empty), photos, camera, height_m, tilt_deg, view_m, work_area, area_m)
        left_out, said, sizes_m = list[str](), list[str](), {}
        seen = look(asked, left_out.append)
        with building(folder) as hidden:
            for file, name in zip(part, names, strict=True):
                typer.echo(f"simgen: importing {file}", err=True)
                request = Request(
                    file=file, name=name, category=name, unit=unit, material=material, density_kg_m3=density
                )
                added = add_part(request, hidden)
                sizes_m[name] = max(added.part.size_m)
                said.append(f"{name}: {' x '.join(f'{1000 * side:.3g}' for side in added.part.size_m)} mm")
            write_line(hidden, folder.resolve().name, asked, seen, sizes_m, said.append)
        say_left_out(left_out)
    for line in said:
        typer.echo(line)
    typer.echo(f"{folder}: now see {folder / 'README.md'}")
