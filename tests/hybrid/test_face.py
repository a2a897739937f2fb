"""The public face: `import hybrid` is light, every public name loads, and its docstring has an example that runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hybrid
import simgen
from hybrid.core.config import tiny
from hybrid.model.network import Network
from hybrid.weights.checkpoint import save_detector
from hybrid.weights.record import RUN
from tests.hybrid.photos import CATEGORIES, coco_document, write_coco

ROOT = Path(__file__).parents[2]
NAMES = [name for name in hybrid.__all__ if name != "__version__"]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_face_is_what_the_documentation_lists() -> None:
    assert set(NAMES) == {
        "Detector", "Result", "VideoClassifier", "ModelConfig", "TrainConfig", "train", "evaluate", "read_coco",
        "read_yolo", "read_shards", "ClipSource", "load", "HybridError",
    }  # fmt: skip
    assert set(NAMES) == set(hybrid._MODULES)
    assert set(NAMES) <= set(dir(hybrid))
    assert hybrid.__version__ == simgen.__version__
    with pytest.raises(AttributeError, match="module 'hybrid' has no attribute 'nosuch'"):
        hybrid.nosuch  # noqa: B018


def test_importing_hybrid_loads_nothing_heavy() -> None:
    heavy = "('torch', 'torchvision', 'cv2', 'numpy', 'pydantic', 'scipy', 'matplotlib', 'simgen', 'rich')"
    assert run(f"import sys, hybrid; print([m for m in {heavy} if m in sys.modules])") == "[]\n"


def test_reading_data_loads_neither_torch_nor_opencv() -> None:
    code = "import sys, hybrid; hybrid.read_coco, hybrid.read_yolo, hybrid.read_shards, hybrid.ClipSource"
    assert run(f"{code}; print([m for m in ('torch', 'cv2', 'pydantic') if m in sys.modules])") == "[]\n"
    earlier = "from hybrid.data import from_coco, from_yolo, DataError, read_image, LARGEST_IMAGE_PX, read_coco"
    assert run(f"{earlier}; print(from_coco is read_coco, issubclass(DataError, ValueError))") == "True True\n"


def test_a_submodule_never_replaces_a_public_name() -> None:
    submodules = {module.name for module in pkgutil.iter_modules(hybrid.__path__)}
    assert {"training", "data", "core"} <= submodules
    assert not submodules & set(NAMES)
    loop = importlib.import_module("hybrid.training.loop")
    assert hybrid.train is loop.train


@pytest.fixture(scope="module")
def examples(tiny_data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the examples run in: photos, a simulated data set, a finished run."""
    folder = tmp_path_factory.mktemp("examples")
    write_coco(folder / "photos", coco_document()).rename(folder / "photos/photos.json")
    yolo = folder / "photos-yolo"
    (yolo / "train/images").mkdir(parents=True)
    (yolo / "train/labels").mkdir()
    (yolo / "data.yaml").write_text("names: [bolt, washer]\ntrain: train/images\n")
    (yolo / "train/labels/a.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    from PIL import Image

    Image.fromarray(np.full((50, 100, 3), 90, np.uint8)).save(yolo / "train/images/a.png")
    (folder / "data").mkdir()
    (folder / "data/sim").symlink_to(tiny_data_set)
    finished = folder / "out/run"
    finished.mkdir(parents=True)
    save_detector(finished / "ema.safetensors", Network(tiny(CATEGORIES)))
    (finished / RUN).write_text(json.dumps({"train": {"tile_px": 256}, "operating_point": None}))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_an_example_that_runs(name: str, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = getattr(hybrid, name)
    names = {key: getattr(hybrid, key) for key in NAMES} | {"Path": Path, "np": np}
    finder = doctest.DocTestFinder(recurse=False)
    (test,) = finder.find(one, name, module=inspect.getmodule(one), globs=names)
    assert test.examples, f"hybrid.{name}: its docstring has no example"
    runner, report = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS), []
    monkeypatch.chdir(examples)
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
