"""What the subcommands share: the app, errors in one line, opening a data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from simgen.dataset.format.reader import DataSet
    from simgen.generate.engines import Plan
    from simgen.scene.config import SceneConfig


app = typer.Typer(
    help="Labelled frame sequences of manufactured parts, from a seed.",
    epilog="Start with: [bold]simgen render --preset conveyor --scenes 8 --out out/first[/]",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
UNFINISHED = 3  # exit status of a run whose budget ended before it did
Folder = Annotated[str, typer.Argument(help="Folder or URL of a data set.", metavar="DIR")]


def fail(message: str, status: int = 2) -> NoReturn:
    for line in message.splitlines():
        typer.echo(f"simgen: {line}", err=True)
    raise typer.Exit(status)


@contextmanager
def clear_errors() -> Iterator[None]:
    """What a user can put right is told in a line, without a traceback."""
    from simgen.dataset.export.errors import ExportError
    from simgen.generate.engines import EngineError
    from simgen.generate.run import BudgetSpent, GenerateError, Interrupted
    from simgen.presets.fit_camera.errors import CameraError
    from simgen.presets.fit_finish.errors import FinishError
    from simgen.spec.errors import ConfigError, RendererLost, RendererUnavailable, ShardError

    try:
        yield
    except Interrupted as error:
        fail(str(error), 130)
    except BudgetSpent as error:
        fail(str(error), UNFINISHED)
    except (
        CameraError, ConfigError, EngineError, ExportError, FinishError, GenerateError, RendererLost,
        RendererUnavailable, ShardError,
    ) as error:  # fmt: skip
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror or error}")


def chosen_renderer(renderer: str) -> str:
    """What draws, chosen once, here: the config says it, for every worker and for replay."""
    from simgen.scene.quiet import quiet_stderr

    with quiet_stderr():
        from simgen.render import AUTO, choose
    if renderer != AUTO:
        return renderer
    chosen, why = choose()
    typer.echo(f"simgen: renderer {chosen}: {why}", err=True)
    return chosen


def plan_of(
    config: SceneConfig, name: str, seed: int, scenes: int, shard_scenes: int, scene_limit_s: float
) -> tuple[Plan, tuple[str, ...]]:
    from simgen import __version__
    from simgen.dataset.format.manifest import Request
    from simgen.generate.engines import Plan
    from simgen.scene.quiet import quiet_stderr

    with quiet_stderr():
        from simgen.generate.clip import categories, machinery, make_clip
    request = Request(
        simgen=__version__,
        preset=name,
        config=config.model_dump(mode="json"),
        seed=seed,
        scenes=scenes,
        shard_scenes=shard_scenes,
        renderer=machinery(config),
    )
    return Plan(request, config, make_clip, scene_limit_s, machinery), categories(config)


def data_set(folder: str) -> DataSet:
    from simgen.dataset.format.reader import DataSet
    from simgen.dataset.store.locations import place

    return DataSet(place(folder))
