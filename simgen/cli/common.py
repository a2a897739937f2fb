"""Shared by the subcommands: the app, errors in one line, opening a data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from simgen.spec.errors import SimgenError

if TYPE_CHECKING:
    from simgen.dataset.format.reader import DataSet
    from simgen.generation.engines import Plan
    from simgen.scene.config import SceneConfig


app = typer.Typer(
    help="Labelled frame sequences of manufactured parts, from a seed.",
    epilog="Start with: [bold]simgen render --preset conveyor --scenes 8 --out out/first[/]",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
Folder = Annotated[str, typer.Argument(help="Folder or URL of a data set.", metavar="DIR")]


def fail(message: str, status: int = 2) -> NoReturn:
    """Print a message on stderr, and exit."""
    for line in message.splitlines():
        typer.echo(f"simgen: {line}", err=True)
    raise typer.Exit(status)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Print an error that the user can put right in one line, without a traceback, and exit with its status."""
    try:
        yield
    except SimgenError as error:
        fail(str(error), error.status)
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror or error}")


def chosen_renderer(renderer: str) -> str:
    """The renderer that "auto" stands for, chosen once, so that every worker and replay use the same one."""
    from simgen.scene.quiet import quiet_stderr

    with quiet_stderr():
        from simgen.renderers import AUTO, choose
    if renderer != AUTO:
        return renderer
    chosen, why = choose()
    typer.echo(f"simgen: renderer {chosen}: {why}", err=True)
    return chosen


def plan_of(
    config: SceneConfig, name: str, seed: int, scenes: int, shard_scenes: int, scene_limit_s: float
) -> tuple[Plan, tuple[str, ...]]:
    """The plan of a data set, and the categories that its scenes may hold."""
    from simgen.scene.quiet import quiet_stderr

    with quiet_stderr():
        from simgen.generation.clip import categories
        from simgen.generation.plan import make_plan
    plan = make_plan(
        config, scenes=scenes, seed=seed, name=name, shard_scenes=shard_scenes, scene_limit_s=scene_limit_s
    )
    return plan, categories(config)


def data_set(folder: str) -> DataSet:
    """Open the data set at a folder or URL.

    Raises:
        ShardError: there is none.
    """
    from simgen.dataset.format.reader import DataSet
    from simgen.dataset.store.locations import location

    return DataSet(location(folder))
