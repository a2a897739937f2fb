"""A data set from a config, in one call."""

from __future__ import annotations

from simgen import __version__
from simgen.camera.sensor.video import require_h264
from simgen.dataset.contents import contents_of
from simgen.dataset.format.manifest import Request
from simgen.dataset.format.reader import DataSet
from simgen.dataset.store.locations import Location, location
from simgen.generation.engines import SCENE_LIMIT_S, Plan
from simgen.generation.run import default_shard_scenes, run_plan
from simgen.scene.config import SceneConfig
from simgen.scene.quiet import quiet_stderr


def make_plan(
    config: SceneConfig,
    *,
    scenes: int,
    seed: int = 0,
    name: str = "",
    shard_scenes: int | None = None,
    scene_limit_s: float = SCENE_LIMIT_S,
) -> tuple[Plan, tuple[str, ...]]:
    """The plan of a data set, and the categories that its scenes may hold.

    The plan has the request, as the manifest stores it, and the functions that make the scenes.

    Args:
        name: of the preset. The manifest stores it; the scenes do not depend on it.
        shard_scenes: scenes in each shard; by default `default_shard_scenes`.

    Raises:
        RendererUnavailable: the config's renderer cannot run on this machine.
        VideoUnavailable: the config needs PyAV, which is not installed.
        MissingContent: a file that the scenes are made of was not read by this process.
    """
    with quiet_stderr():  # PyBullet prints its build time when it is imported
        from simgen.generation.clip import categories, machinery, make_clip
    if config.sensor.video_crf.high > 0:
        require_h264()
    request = Request(
        simgen=__version__,
        preset=name,
        config=config.model_dump(mode="json"),
        seed=seed,
        scenes=scenes,
        shard_scenes=default_shard_scenes(scenes) if shard_scenes is None else shard_scenes,
        renderer=machinery(config),
    )
    contents = contents_of(request.config)
    return Plan(request, config, make_clip, scene_limit_s, machinery, contents=contents), categories(config)


def generate(
    config: SceneConfig,
    out: Location | str,
    *,
    scenes: int,
    seed: int = 0,
    name: str = "",
    workers: int | None = None,
    resume: bool = False,
) -> DataSet:
    """Render a data set into the folder or URL `out`. `simgen render` does the same, with more options.

    Worker processes are spawned, so a script needs `if __name__ == "__main__":` around the call.

    Args:
        scenes: how many; each becomes a clip.
        seed: another seed gives other scenes. Scene k depends on (config, seed, k) alone.
        name: of the preset, for the manifest.
        workers: processes that render at the same time. The bytes do not depend on it.
        resume: continue an interrupted run, or accept a finished one, of the same config and seed. Fewer scenes grow.

    Raises:
        GenerateError: `out` holds something else, the disk is full, or no scene can be made.
        RendererUnavailable: the config's renderer cannot run on this machine.

    >>> config = load_config("tiny")
    >>> data = generate(config, "out/bolts", scenes=2, seed=7)
    >>> len(data), data.categories
    (2, ('bolt', 'nut', 'washer'))
    """
    folder = location(out)
    plan, categories = make_plan(config, scenes=scenes, seed=seed, name=name)
    run_plan(plan, categories, folder, workers=workers, resume=resume)
    return DataSet(folder)
