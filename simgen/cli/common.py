"""Shared by the subcommands: the app, errors in one line, opening a data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from simgen.spec.errors import SimgenError
from simgen.spec.text.printable import printable

if TYPE_CHECKING:
    from simgen.dataset.format.reader import DataSet
    from simgen.scene.config import SceneConfig


app = typer.Typer(
    help="Labelled frame sequences of manufactured parts, from a seed.",
    epilog="Start with: [bold]simgen render --preset conveyor --scenes 8 --out out/first[/]\n\n"
    "then: [bold]simgen preview out/first[/]    (what a command takes: simgen render --help)",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
Folder = Annotated[str, typer.Argument(help="Folder or URL of a data set.", metavar="DIR")]


def _version(asked: bool) -> bool:
    if asked:
        from simgen import __version__

        typer.echo(f"simgen {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Options of the command itself. The help of `app` stands above."""


def preset_names() -> list[str]:
    """The names of the presets that come with simgen, for the shell's completion; nothing heavy is imported."""
    return sorted(path.stem for path in (Path(__file__).parents[1] / "presets").glob("*.yaml"))


def fail(message: str, status: int = 2) -> NoReturn:
    """Print a message on stderr, and exit."""
    for line in message.splitlines():
        typer.echo(f"simgen: {printable(line)}", err=True)
    raise typer.Exit(status)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Print an error that the user can put right in one line, without a traceback, and exit with its status."""
    try:
        yield
    except SimgenError as error:
        fail(str(error), error.status)
    except BrokenPipeError:  # `simgen ... | head`: typer ends quietly
        raise
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror or error}")


def chosen_renderer(renderer: str) -> str:
    """The renderer that "auto" stands for, chosen once, so that every worker and replay use the same one."""
    from simgen.scene.quiet import quiet_stderr

    with quiet_stderr():
        from simgen.renderers import AUTO, RENDERERS, choose
    if renderer not in (AUTO, *RENDERERS):
        fail(f"--renderer: no renderer {renderer!r}; there are {', '.join((AUTO, *sorted(RENDERERS)))}")
    if renderer != AUTO:
        return renderer
    chosen, why = choose()
    typer.echo(f"simgen: renderer {chosen}: {why}", err=True)
    return chosen


def say_notes(config: SceneConfig) -> None:
    """Say on stderr what of a config a user will hardly want."""
    from simgen.presets.notes import notes

    for note in notes(config):
        typer.echo(f"simgen: note: {note}", err=True)


def say_left_out(reasons: list[str]) -> None:
    """Say on stderr what was left out: how many, and the first of them with the reason."""
    for reason in reasons[:5]:
        typer.echo(f"simgen: note: left out: {printable(reason)}", err=True)
    if len(reasons) > 5:
        typer.echo(f"simgen: note: left out: {len(reasons) - 5} more, {len(reasons)} in all", err=True)


def data_set(folder: str) -> DataSet:
    """Open the data set at a folder or URL.

    Raises:
        ShardError: there is none.
    """
    from simgen.dataset.format.reader import DataSet
    from simgen.dataset.store.locations import location

    return DataSet(location(folder))
