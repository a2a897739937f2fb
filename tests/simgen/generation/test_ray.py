"""The engine ray on a real cluster of three raylets, one of which is killed, and a bucket: see ray_runs.py."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from simgen.assets.cad.packed import write_packed
from simgen.dataset.format.manifest import MANIFEST
from simgen.dataset.store.locations import location, sizes
from simgen.generation.engines import ENGINES, choose_engine, processes
from simgen.generation.run import PARTIAL
from simgen.spec.errors import EngineError
from simgen.spec.install import install_hint
from tests.simgen import clips, photos, s3
from tests.simgen.assets.cad.packed_parts import packed_box
from tests.simgen.cli.test_cli import simgen
from tests.simgen.generation.test_generate import contents, in_this_process, run
from tests.simgen.loopback import need
from tests.simgen.patient import PATIENT

ROOT = Path(__file__).parents[3]
LIMIT_S = 900.0  # a free machine takes one minute, one that is busy many
needs_ray = need("ray", "s3fs", "moto")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What each run ended with and told; under "folder" the folder with what it made, under "url" what is there."""
    folder = tmp_path_factory.mktemp("ray")
    with s3.server():
        url = f"s3://{s3.BUCKET}/on/ray"
        done = subprocess.run(
            [sys.executable, "-m", "tests.simgen.ray_runs", folder, url],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=LIMIT_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        there = location(url)
        result = {name: (there / name).read_bytes() for name in sizes(there)}
    return {**json.loads((folder / "runs.json").read_text()), "folder": folder, "url_contents": result}


def own_line(folder):
    """A preset with an imported part on a photo. Both are read by the driver alone: a task gets them with its plan."""
    (folder / "box.glb").write_bytes(write_packed(packed_box()))
    photos.folder(folder / "empty", 1)
    stage = {"photo": {"files": "empty"}, "belt_speed_m_s": 0}
    kinds = {"box": {"weight": 1, "mesh": "box.glb"}}
    preset = {"base": "tiny", "parts": {"kinds": kinds, "only": ["box"], "count": 4}, "stage": stage}
    (folder / "line.yaml").write_text(yaml.safe_dump(preset))
    return folder / "line.yaml"


def made_here(folder, **asked):
    """The same data set by the plainest engine there is."""
    run(folder, engine=in_this_process, **asked)
    return contents(folder)


@pytest.mark.slow
@needs_ray
def test_the_bytes_are_those_of_one_machine(runs, tmp_path):
    expected = made_here(tmp_path)
    assert runs["calm"]["end"] == runs["one"]["end"] == runs["url"]["end"] == "made"
    assert contents(runs["folder"] / "calm") == contents(runs["folder"] / "one") == expected
    assert runs["url_contents"] == expected
    assert runs["calm"]["scenes"] == list(range(7)), "each scene is told, once"


@pytest.mark.slow
@needs_ray
def test_four_workers_make_the_same_bytes(runs, tmp_path):
    assert runs["four"]["end"] == "made"
    assert runs["four"]["in_flight"] == 4
    assert contents(runs["folder"] / "four") == made_here(tmp_path, make=clips.make_slowly, scenes=8, shard_scenes=1)


@pytest.mark.slow
@needs_ray
def test_no_more_tasks_are_in_flight_than_there_are_cpus_or_workers(runs):
    assert (runs["calm"]["in_flight"], runs["one"]["in_flight"]) == (2, 1)


@pytest.mark.slow
@needs_ray
def test_a_raylet_that_is_killed_costs_nothing_but_time(runs, tmp_path):
    assert runs["nodes"] == 2, "one of three is gone"
    assert runs["node"]["end"] == "made"
    assert runs["node"]["again"] == ["its machine was lost"]
    assert runs["node"]["lost"] == [], "no scene is blamed"
    assert contents(runs["folder"] / "node") == made_here(tmp_path, scenes=24, shard_scenes=4)


@pytest.mark.slow
@needs_ray
def test_scenes_that_raise_kill_or_hang_are_left_out_as_on_one_machine(runs, tmp_path):
    reasons = [[1, "RuntimeError: scene 1 will not do"], [6, "RuntimeError: scene 6 will not do"]]
    assert runs["raises"]["lost"] == reasons
    assert contents(runs["folder"] / "raises") == made_here(tmp_path / "raises", make=clips.make_or_raise)
    assert runs["dies"]["lost"] == [[3, "its worker died, 2 times"]]
    assert runs["dies"]["again"] == ["a worker died at scene 3"] * 2
    assert runs["hangs"]["lost"] == [[4, "its worker took longer than 1 s, 2 times"]]
    assert runs["hangs"]["again"] == ["a worker took longer than 1 s at scene 4"] * 2
    whole = made_here(tmp_path / "whole")
    for name, hurt in (("dies", "shard-00001.tar"), ("hangs", "shard-00002.tar")):
        there = contents(runs["folder"] / name)
        assert there.keys() == whole.keys()
        assert sorted(file for file in whole if there[file] != whole[file]) == [MANIFEST, hurt]


@pytest.mark.slow
@needs_ray
def test_what_ends_a_run_says_why_and_leaves_nothing_half_made(runs):
    ends = {
        "full": "shard-0000[01].tar: No space left on device; finished shards stay",
        "unloadable": "a worker raised RuntimeError: will not load before its first scene: .* 2 times",
        "unlike": "draws with 'tests', where the data set is drawn with 'by another'; a run needs machines of one kind",
    }
    for name, pattern in ends.items():
        with pytest.raises(RuntimeError, match=pattern):
            raise RuntimeError(runs[name]["end"])
        assert [path.name for path in (runs["folder"] / name).iterdir()] == [PARTIAL]


@pytest.mark.slow
@needs_ray
def test_ctrl_c_and_a_spent_budget_leave_what_resume_finishes(runs, tmp_path):
    assert runs["ctrl-c"]["end"].startswith("Interrupted: ")
    assert all(name == PARTIAL or name.endswith(".tar") for name in runs["left"])
    assert 1 <= len(runs["left"]) - 1 < 6
    assert runs["budget"]["end"].startswith("BudgetSpent: ")
    assert runs["budget"]["in_flight"] == 0
    assert runs["resumed"]["end"] == "made"
    made = len(runs["resumed"]["scenes"])  # a shard that was finished in the moment of Ctrl-C may not be in the journal
    assert 24 - 4 * (len(runs["left"]) - 1) <= made <= 20, "a shard that was reported is not made again"
    assert contents(runs["folder"] / "stopped") == made_here(tmp_path, scenes=24, shard_scenes=4)


@pytest.mark.slow
@needs_ray
def test_what_was_broken_off_is_not_gone_on_with_in_the_same_process(runs, tmp_path):
    """A process whose import was interrupted raises at the next one: OpenCV and NumPy load once or not at all."""
    assert runs["broken_off"]["end"].startswith("Interrupted: ")
    assert (runs["after"]["end"], runs["after"]["lost"], runs["after"]["again"]) == ("made", [], [])
    assert contents(runs["folder"] / "broken_off") == made_here(tmp_path, scenes=24, shard_scenes=4)


@pytest.mark.slow
@needs_ray
def test_a_driver_that_is_killed_is_gone_on_from(runs, tmp_path):
    assert 2 <= runs["killed_at"] < 6
    assert runs["killed"]["end"] == "made"
    assert len(runs["killed"]["scenes"]) < 24, "shards of the killed run are kept"
    assert contents(runs["folder"] / "killed") == made_here(tmp_path, scenes=24, shard_scenes=4)


@pytest.mark.slow
@needs_ray
@pytest.mark.parametrize("own", [False, True], ids=["parametric parts", "an imported part on a photo"])
def test_the_command_makes_the_same_bytes_on_a_cluster_of_its_own(own, tmp_path):
    pytest.importorskip("pybullet", reason="rendering needs PyBullet, which has wheels for Python 3.11 and older")
    preset = own_line(tmp_path) if own else "tiny"
    line = ["render", "--preset", preset, "--scenes", "4", "--shard-scenes", "1", "--workers", "2", "--out"]
    simgen(*line, tmp_path / "local")
    done = subprocess.run(
        [sys.executable, "-c", "from simgen.cli import main; main()", *line, tmp_path / "ray", "--engine", "ray"],
        cwd=ROOT, env={**os.environ, **PATIENT, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "4 clips, 8 frames" in done.stdout
    made = contents(tmp_path / "ray")
    assert made == contents(tmp_path / "local")
    assert {name.split("/")[0] for name in made if "/" in name} == ({"meshes", "photos"} if own else set())


def test_engines_are_a_table_with_one_contract():
    assert sorted(ENGINES) == ["local", "ray"]
    assert choose_engine("local") is processes
    with pytest.raises(EngineError, match=r"no engine 'spark'; there are \['local', 'ray'\]"):
        choose_engine("spark")
    with pytest.raises(EngineError, match="has no address, got 'auto'"):
        choose_engine("local", "auto")


def test_an_engine_whose_package_is_missing_says_what_to_install(monkeypatch):
    monkeypatch.setattr("simgen.generation.engines.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=re.escape(install_hint("ray"))):
        choose_engine("ray")


@needs_ray
def test_a_cluster_that_is_not_there_is_reported(tmp_path):
    code = (
        "from simgen.generation.engines import choose_engine\n"
        "from tests.simgen.generation import test_generate as t\nimport sys\n"
        f"try: t.run({str(tmp_path)!r} and t.Path({str(tmp_path / 'out')!r}), engine=choose_engine('ray', 'auto'))\n"
        "except t.GenerateError as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "RAY_TMPDIR": str(tmp_path), "RAY_ADDRESS": ""},
        capture_output=True, text=True, timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "no Ray cluster at auto: " in done.stderr.splitlines()[-1]


def test_the_slices_of_the_slurm_recipe_are_all_shards_once(tmp_path):
    fake = tmp_path / "simgen"
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    result: list[int] = []
    for task in range(7):
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": str(task), "SCENES": "330",
            "SLURM_ARRAY_TASK_COUNT": "7", "SLURM_CPUS_PER_TASK": "4",
        }  # fmt: skip
        line = subprocess.run(
            ["bash", ROOT / "docs/slurm-array.sh"], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        first, _, last = line[line.index("--shards") + 1].partition(":")
        result += range(int(first), int(last))
    assert result == list(range(21)), "330 scenes are 21 shards of 16"


@needs_ray
def test_ray_accepts_the_recipe_of_a_cluster():
    jsonschema = pytest.importorskip("jsonschema", reason="ray needs it")
    package = Path(importlib.util.find_spec("ray").origin).parent
    schema = json.loads((package / "autoscaler/ray-schema.json").read_text())
    config = yaml.safe_load((ROOT / "docs/ray-cluster.yaml").read_text())
    jsonschema.validate(config, schema)
    assert config["head_node_type"] in config["available_node_types"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "max_workers": "many"}, schema)
