"""simgen background: pictures of the empty place from photos of the busy one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simgen.cli.common import app, clear_errors, say_left_out

background = typer.Typer(help="Make pictures of the empty place, to render parts on.", no_args_is_help=True)
app.add_typer(background, name="background")


@background.callback()
def _background() -> None:
    """Make typer treat this as a group, although it has one command."""


@background.command(
    "from",
    epilog="simgen background from frames/ --out backgrounds/    (a camera that stands still: the median)\n\n"
    "simgen background from photos/ --boxes photos/labels.json --out backgrounds/    (boxes are filled in)\n\n"
    "simgen render --preset bolts_on_table --set stage.photo=backgrounds --scenes 20 --out out/on-photos",
)
def from_photos(
    photos: Annotated[Path, typer.Argument(help="Folder of photos in which parts lie.", metavar="FOLDER")],
    out: Annotated[Path, typer.Option(help="The folder to write, new or empty.")] = Path("backgrounds"),
    boxes: Annotated[
        Path | None, typer.Option(help="COCO JSON with a box for each part: the boxes are filled in.")
    ] = None,
) -> None:
    """Make pictures of the empty place from photos in which parts lie, and a sheet that shows them beside the photos.

    With --boxes what the boxes hold is filled in from its surroundings, photo by photo. Without them the photos must
    be of a camera that stands still, and the result is one picture: the median.
    """
    with clear_errors():
        from simgen.dataset.contact_sheet import encoded
        from simgen.dataset.export.common.building import building
        from simgen.dataset.store.files import write_atomically
        from simgen.presets.empty_place import inpainted, median_of, sheet
        from simgen.presets.photos import files_of
        from simgen.spec.errors import BadPhoto

        left_out: list[str] = []
        with building(out) as folder:
            shown = []
            made = (
                inpainted(boxes, photos, left_out.append) if boxes else [median_of(files_of(photos), left_out.append)]
            )
            for place in made:
                (folder / f"{place.name}.png").write_bytes(encoded(place.image, ".png"))
                shown.append(place)
            say_left_out(left_out)
            if not shown:
                raise BadPhoto(f"{boxes}: no photo of it can be used")
            picture = encoded(sheet(shown), ".jpg")
        sheet_path = out.with_name(f"{out.name}-sheet.jpg")
        write_atomically(sheet_path, picture)
    typer.echo(f"{out}: {len(shown)} pictures; beside the photos: {sheet_path}")
