"""The distribution: one place knows its name, every hint installs it, its wheel brings all files and three names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from simgen.spec.install import DISTRIBUTION, install_hint

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")
ROOT = Path(__file__).parents[1]
PACKAGES = ("simgen", "hybrid", "pipelines")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_the_hint_names_the_distribution_of_pyproject() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert install_hint("ray") == f'pip install "{PROJECT["name"]}[ray]"'


def test_every_hint_in_code_and_text_names_the_distribution_and_an_extra_that_exists() -> None:
    files = [f for p in (*PACKAGES, "docs", "tests", "benchmarks") for f in (ROOT / p).rglob("*") if f.is_file()]
    texts = {f: f.read_text("utf-8") for f in [*files, ROOT / "README.md"] if f.suffix in {".py", ".md", ".yaml"}}
    derived = [extra for text in texts.values() for extra in re.findall(r"install_hint\([\"'](\w+)[\"']\)", text)]
    assert len(derived) >= 6
    assert set(derived) <= EXTRAS.keys()
    written = [
        (f, *m) for f, text in texts.items() for m in re.findall(r"install[^\n]*?[\"']([\w.-]+)\[([\w,]+)\]", text)
    ]
    assert len(written) >= 2
    for file, name, extras in written:
        assert name in {DISTRIBUTION, "."}, file
        assert set(extras.split(",")) <= {*EXTRAS, "NAME"}, file
    assert not [f for f, text in texts.items() if re.search(r"(?<!/)simgen\[[a-z]", text) and f != Path(__file__)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("setuptools", reason="setuptools builds the wheel")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"]
    command = [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_packages_and_no_other_top_level_name(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    ours = {
        f.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for f in (ROOT / package).rglob("*")
        if f.is_file()
        and f.suffix in {".py", ".yaml", ".frag", ".vert", ".glsl", ".html", ".css", ".js", ".j2", ".typed"}
    }
    assert len(ours) > 200
    assert ours <= names


def test_an_installed_wheel_finds_its_presets_and_templates(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import simgen, pipelines.common\n"
        "from pathlib import Path\n"
        f"assert Path(simgen.__file__).is_relative_to({str(tmp_path)!r}), simgen.__file__\n"
        "print(simgen.load_config('tiny').camera.width_px)\n"
    )
    run = [sys.executable, "-I", "-c", script]
    done = subprocess.run(run, check=True, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert int(done.stdout) > 0
