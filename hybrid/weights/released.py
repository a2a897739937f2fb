"""Weights that come with the package: detectors that run before anything was trained.

Each is the folder of a finished run under `runs/`, with a model card (`README.md`): data, config, revision, command,
figures, limits. A name can be given wherever a run is asked for.
"""

from __future__ import annotations

from pathlib import Path

RUNS = Path(__file__).parent / "runs"
DEFAULT = "fasteners"  # bolts, nuts and washers, from simulation and photos without parts
FOLLOWERS = Path(__file__).parent / "followers"  # track networks
DEFAULT_FOLLOWER = "belts"  # learned from clips of the presets belt_memory and line_mix
RULES = "rules"  # in place of a track network


def released() -> tuple[str, ...]:
    """The names of the detectors that come with the package."""
    return tuple(sorted(path.name for path in RUNS.iterdir() if (path / "ema.safetensors").is_file()))


def followers() -> tuple[str, ...]:
    """The names of the track networks that come with the package."""
    return tuple(sorted(path.stem for path in FOLLOWERS.glob("*.safetensors")))


def follower_file(name: str | Path) -> Path:
    """The file that a name or a path stands for: the user's first, else one of the package's.

    >>> follower_file("mine.safetensors")
    PosixPath('mine.safetensors')
    """
    path = Path(name)
    return FOLLOWERS / f"{path}.safetensors" if not path.exists() and str(name) in followers() else path


def run_at(name: Path | str) -> Path:
    """The run that a name or a path stands for: a file or folder of the user's first, else one of the package's.

    Of a line's folder it is the run that is the line's detector.

    Raises:
        RunError: it is a line that has no detector yet.

    >>> run_at("out/my-run")
    PosixPath('out/my-run')
    """
    from hybrid.weights.line import is_line, run_of_line

    path = Path(name)
    if path.is_dir() and is_line(path):
        return run_of_line(path)
    return RUNS / path if not path.exists() and str(name) in released() else path
