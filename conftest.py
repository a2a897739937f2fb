"""What tests share: small rendered data sets, and the folder of photos."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent
REAL_DATA = Path(os.environ.get("SIM2REAL_REAL_DATA", ROOT.parent / "shared" / "real"))

# No deadline: a machine that is busy with other tests is no failure. `make test` draws the same inputs each time, so
# that a change is never refused by chance; `make fuzz` draws new ones.
settings.register_profile("quick", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=2000)
settings.load_profile("quick")

# They begin first: a long file that begins last leaves the other processes of `make test` without work.
LONG_FILES = (
    "tests/simgen/generation/test_ray.py",
    "tests/pipelines/test_end_to_end.py",
    "tests/hybrid/training/test_overfit.py",
    "tests/hybrid/training/test_loop.py",
    "tests/hybrid/predict/test_onnx.py",
    "tests/simgen/generation/test_soak.py",
    "tests/simgen/presets/test_finish.py",
    "tests/hybrid/model/test_compile.py",
    "tests/simgen/renderers/test_pbr_matter.py",
    "tests/simgen/renderers/test_pbr.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {ROOT / name: i for i, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session")
def tiny_data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rendered clips of two small frames, with bolts, nuts and washers."""
    pytest.importorskip("pybullet", reason="rendering needs PyBullet, which has wheels for Python 3.11 and older")
    return render(tmp_path_factory.mktemp("tiny") / "data", seed=0)


@pytest.fixture(scope="session")
def other_data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As tiny_data_set, with another seed: used in the place of photos."""
    pytest.importorskip("pybullet", reason="rendering needs PyBullet, which has wheels for Python 3.11 and older")
    return render(tmp_path_factory.mktemp("other") / "data", seed=1)


@pytest.fixture(scope="session")
def occluded_data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of five frames in which many things pass in front of the parts."""
    pytest.importorskip("pybullet", reason="rendering needs PyBullet, which has wheels for Python 3.11 and older")
    crowd = ("timing.frames=5", "clutter.occluders.low=5", "clutter.occluders.high=7")
    return render(tmp_path_factory.mktemp("occluded") / "data", seed=2, scenes=4, changes=crowd)


def render(folder: Path, seed: int, scenes: int = 6, changes: tuple[str, ...] = ()) -> Path:
    """Render a data set of one shard into `folder`, without the command line."""
    from simgen.dataset.format.manifest import DATA_SET_FORMAT, MANIFEST, Manifest, Request, write_manifest
    from simgen.generation.clip import categories, make_clip
    from simgen.generation.engines import Plan, make_shard
    from simgen.presets.read import load_config

    larger = ("camera.width_px=128", "camera.height_px=96", "camera.focal_px.low=240", "camera.focal_px.high=260")
    config = load_config("tiny", larger + changes)
    request = Request(
        simgen="0", preset="tiny", config=config.model_dump(mode="json"), seed=seed, scenes=scenes, shard_scenes=scenes
    )
    folder.mkdir()
    shard = make_shard(Plan(request, config, make_clip), folder, 0, {})
    write_manifest(
        folder / MANIFEST,
        Manifest(format=DATA_SET_FORMAT, request=request, categories=categories(config), shards=(shard,)),
    )
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of photos. Skips the test where there is none."""
    if not (REAL_DATA / "bolts_washers" / "pool" / "annotations.json").is_file():
        pytest.skip(f"no photos at {REAL_DATA}; set SIM2REAL_REAL_DATA to their folder")
    return REAL_DATA
