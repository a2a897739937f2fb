"""What `import simgen` offers: every name works and has an example that runs, and the import itself loads nothing."""

import doctest
import inspect
import json
import pkgutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import simgen
from simgen.generation import plan
from tests.simgen.generation.test_generate import in_this_process

NAMES = sorted(set(simgen.__all__) - {"__version__"})
HEAVY = ("torch", "cv2", "pybullet", "numpy", "pydantic", "scipy", "typer", "yaml")


def loaded(code: str) -> set[str]:
    """The modules in a fresh interpreter after `code`."""
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_import_loads_nothing_heavy_and_nothing_of_the_package() -> None:
    modules = loaded("import simgen")
    assert not modules & set(HEAVY)
    assert {name for name in modules if name.startswith("simgen")} == {"simgen"}


def test_reading_a_data_set_needs_no_renderer() -> None:
    assert not loaded("import simgen; simgen.DataSet; simgen.SimgenError; simgen.SceneSpec") & {
        "torch", "cv2", "pybullet", "pydantic", "scipy",
    }  # fmt: skip


def test_the_face_is_what_it_says() -> None:
    assert len(NAMES) == 12
    assert set(simgen.__all__) <= set(dir(simgen))
    with pytest.raises(AttributeError, match="no attribute 'rendre'"):
        simgen.rendre  # noqa: B018


def test_no_module_can_take_the_place_of_a_name() -> None:
    """`import simgen.x` sets simgen.x to the module, whatever stood there."""
    assert not {module.name for module in pkgutil.iter_modules(simgen.__path__)} & set(simgen.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_typed_as_it_is_loaded(name: str) -> None:
    """The imports under TYPE_CHECKING lead to the same object as the lazy ones."""
    source = Path(simgen.__file__).read_text()
    assert f"    from {simgen._MODULES[name]} import {name}\n" in source
    assert getattr(simgen, name).__module__ == simgen._MODULES[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_name_runs(
    name: str, tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/belt").symlink_to(tiny_data_set)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "run_plan", partial(plan.run_plan, engine=in_this_process))
    face = {each: getattr(simgen, each) for each in NAMES}
    doc = inspect.getdoc(face[name])
    assert doc is not None
    example = doctest.DocTestParser().get_doctest(doc, face, name, None, None)
    assert example.examples, f"simgen.{name} has no example"
    log: list[str] = []
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=log.append).failed == 0, "".join(log)


def test_a_data_set_opens_from_text_and_says_where_it_is(tiny_data_set: Path) -> None:
    data = simgen.DataSet(str(tiny_data_set))
    assert data.folder == tiny_data_set
    assert repr(data) == f"DataSet({str(tiny_data_set)!r})"


def test_generate_stores_what_was_requested_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "run_plan", partial(plan.run_plan, engine=in_this_process))
    config = simgen.load_config("tiny", ["parts.count.low=1", "parts.count.high=1"])
    out = str(tmp_path / "bolts")
    request = simgen.generate(config, out, scenes=1, seed=5, name="tiny").manifest.request
    assert (request.scenes, request.seed, request.preset, request.simgen) == (1, 5, "tiny", simgen.__version__)
    assert request.config == config.model_dump(mode="json")
    with pytest.raises(simgen.SimgenError, match="--resume accepts it"):
        simgen.generate(config, out, scenes=1, seed=5, name="tiny")
    assert len(simgen.generate(config, out, scenes=1, seed=5, name="tiny", resume=True)) == 1
