"""plan.yaml: what it may hold, and how it goes together with the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hybrid.core.errors import DataError
from pipelines.gap.plan import polygon, read_plan
from pipelines.gap_report import Asked, asked, command, pairs
from simgen.spec.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    (folder / "plan.yaml").write_text(text)
    return folder / "plan.yaml"


def test_paths_are_those_of_the_plans_folder_and_urls_stay(tmp_path: Path) -> None:
    plan = written(
        tmp_path, "sim: s3://b/sim\nreal: photos/test.json\nruns: [a, b]\nout: /abs/r.html\nrename: {Bolt: bolt}\n"
    )
    assert read_plan(plan) == {
        "sim": "s3://b/sim", "real": str(tmp_path / "photos/test.json"), "out": "/abs/r.html",
        "runs": [tmp_path / "a", tmp_path / "b"], "rename": ["Bolt=bolt"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simm: a", r"plan\.yaml:1: simm: no such key; did you mean 'sim'\?"),
        ("sim: a\nrun-to-look-at: b", r":2: run-to-look-at: no such key; did you mean 'run_to_look_at'\?"),
        ("zzzz: 1", "there are sim, real"),
        ("runs: a", "runs: needs a list of texts, got 'a'"),
        ("runs: []", "runs: needs a list"),
        ("runs: [1]", "runs: needs a list"),
        ("quick: 1", "quick: needs true or false, got 1"),
        ("sim_clips: true", "sim_clips: needs a whole number, got True"),
        ("wanted_recall: high", "wanted_recall: needs a number"),
        ("rename: [a]", "rename: needs pairs such as Bolt: bolt"),
        ("work_area: [[1, 2], [3]]", r"work_area: needs corners: \[\[120, 80\]"),
        ("- a", "needs groups"),
        ("sim: [", "not YAML"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_plan(written(tmp_path, text))


def none(**given: Any) -> dict[str, Any]:
    return dict.fromkeys(("sim", "real", "runs", "quick"), None) | given


def test_the_command_line_goes_before_the_plan_and_the_plan_before_the_defaults(tmp_path: Path) -> None:
    plan = written(tmp_path, "sim: a\nreal: b\nquick: true\nsim_clips: 7\nout: r.html\n")
    got = asked(plan, none(real="mine.json", runs=[Path("run")]))
    assert (got.sim, got.real, got.quick, got.sim_clips) == (str(tmp_path / "a"), "mine.json", True, 7)
    assert (got.runs, got.out) == ((Path("run"),), tmp_path / "r.html")
    assert asked(None, none(quick=True)).sim_clips == 20
    assert asked(None, none()).sim_clips == 40


def test_the_command_says_all_that_is_asked() -> None:
    wish = Asked(sim="a b", real="r", runs=(Path("x"), Path("y")), out=Path("r.html"), quick=True, wanted_recall=0.9)
    assert command(wish) == (
        "python -m pipelines.gap_report --sim 'a b' --real r --runs x y --out r.html --sim-clips 40 "
        "--wanted-recall 0.9 --quick"
    )


def test_renames_are_pairs_and_a_name_may_hold_an_equals_sign() -> None:
    assert pairs(("Bolt=bolt", "a=b=c")) == (("Bolt", "bolt"), ("a=b", "c"))
    for text in ("bolt", "=bolt", "bolt="):
        with pytest.raises(DataError, match="needs OLD=NEW"):
            pairs((text,))


def test_a_work_area_has_three_corners_or_more_and_encloses_something(tmp_path: Path) -> None:
    plan = written(tmp_path, "work_area: [[0, 0], [10.5, 0], [0, 20]]\n")
    got = asked(plan, none())
    assert got.work_area == "0,0 10.5,0 0,20"
    assert polygon(got.work_area).tolist() == [[0, 0], [10.5, 0], [0, 20]]
    for text in ("", "1,2", "0,0 1,1", "0,0 1,1 2,2", "a,b c,d e,f", "0,0 1 2,2", "0,0 nan,1 2,2", "0,0 -5,1 2,2"):
        with pytest.raises(DataError, match=r"work_area: .*needs three corners"):
            polygon(text)
