"""What each package loads, as a process sees it. import-linter reads the sources; these tests load the modules.

Each case runs in a fresh interpreter whose import system refuses some packages.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKER = """
import sys
blocked, allowed = {blocked!r}, {allowed!r}
class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in blocked or (allowed and top not in allowed and top not in sys.stdlib_module_names):
            raise ImportError(f"blocked: {{name}}")
sys.meta_path.insert(0, Block())
"""
HEAVY = ("torch", "torchvision", "pybullet", "cv2", "scipy", "matplotlib", "albumentations")


def run(code: str, blocked: tuple[str, ...] = (), allowed: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run `code` where `blocked` cannot be imported; where `allowed` is given, of third parties nothing else can."""
    script = BLOCKER.format(blocked=set(blocked), allowed=set(allowed)) + code
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=600)


def modules(package: str) -> list[str]:
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / package).rglob("*.py")]
    return sorted(".".join(part for part in file.parts if part != "__init__") for file in files)


def test_the_blocker_blocks() -> None:
    assert "blocked: torch" in run("import torch", ("torch",)).stderr
    assert "blocked: yaml" in run("import json, yaml", allowed=("numpy",)).stderr


def test_training_needs_no_pybullet() -> None:
    names = modules("hybrid") + modules("pipelines")
    assert {"hybrid.training.loop", "pipelines.train_sim"} <= set(names)
    done = run(f"import {', '.join(names)}", ("pybullet", "pybullet_data"))
    assert done.returncode == 0, done.stderr


def test_shards_are_read_with_numpy_and_the_standard_library() -> None:
    names = [
        name
        for name in modules("simgen")
        if name.startswith(("simgen.dataset.format", "simgen.dataset.store", "simgen.spec"))
        and name != "simgen.spec.text.yaml_text"  # the reader of YAML
    ]
    assert "simgen.dataset.format.reader" in names
    for_annotations = ("jaxtyping", "typeguard")  # the second is what the first looks for
    done = run(f"import {', '.join(names)}", allowed=("simgen", "numpy", *for_annotations))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["simgen", "hybrid", "pipelines"])
def test_a_package_itself_loads_nothing_but_the_standard_library(package: str) -> None:
    done = run(f"import {package}; dir({package})", allowed=(package,))
    assert done.returncode == 0, done.stderr


def test_simgen_never_imports_torch_or_hybrid() -> None:
    names = modules("simgen")
    assert len(names) > 10
    done = run(f"import {', '.join(names)}", ("torch", "torchvision", "hybrid", "pipelines"))
    assert done.returncode == 0, done.stderr


def test_help_loads_nothing_heavy() -> None:
    done = run("sys.argv = ['simgen', '--help']; from simgen.cli import main; main()", HEAVY)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_the_import_rules_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    if not linter.is_file():
        pytest.skip("import-linter is not installed beside this interpreter")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
