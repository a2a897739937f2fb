"""Labelled video clips of manufactured parts, simulated from a seed.

    config = simgen.load_config("conveyor")                       what may vary
    spec = simgen.sample(config, seed=7, index=41)                one scene: all its numbers
    trajectory = simgen.simulate(spec)                            the poses of its parts, frame by frame
    frames = simgen.render(spec, trajectory)                      linear light, depth and ids
    clip = simgen.make_clip(config, seed=7, index=41)             all of it at once, with images and labels
    data = simgen.generate(config, "out/belt", scenes=100)        many clips, in a folder or at a URL
    simgen.check("out/belt"); simgen.export(data, "coco", "out/belt_coco")

Each name is imported when it is first used, so `import simgen` is fast and needs neither OpenCV nor PyBullet.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simgen.dataset.check import check
    from simgen.dataset.export import export
    from simgen.dataset.format.reader import DataSet
    from simgen.generation.clip import make_clip
    from simgen.generation.plan import generate
    from simgen.presets.read import load_config
    from simgen.renderers import render
    from simgen.scene.config import SceneConfig
    from simgen.scene.sampling.sample import sample
    from simgen.scene.simulate import simulate
    from simgen.spec.errors import SimgenError
    from simgen.spec.scene import SceneSpec

__version__ = "0.1.0"
__all__ = [
    "DataSet",
    "SceneConfig",
    "SceneSpec",
    "SimgenError",
    "__version__",
    "check",
    "export",
    "generate",
    "load_config",
    "make_clip",
    "render",
    "sample",
    "simulate",
]
# No package or module directly below simgen may have one of these names: importing it would replace the function.
_MODULES = {
    "DataSet": "simgen.dataset.format.reader",
    "SceneConfig": "simgen.scene.config",
    "SceneSpec": "simgen.spec.scene",
    "SimgenError": "simgen.spec.errors",
    "check": "simgen.dataset.check",
    "export": "simgen.dataset.export",
    "generate": "simgen.generation.plan",
    "load_config": "simgen.presets.read",
    "make_clip": "simgen.generation.clip",
    "render": "simgen.renderers",
    "sample": "simgen.scene.sampling.sample",
    "simulate": "simgen.scene.simulate",
}


def __getattr__(name: str) -> Any:
    """Import a name of the public face when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
