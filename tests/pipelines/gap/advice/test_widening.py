"""Laws of the wider ranges: they reach as far as the photos, are never narrower, and make a preset that loads."""

from __future__ import annotations

import json
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

from hybrid.core.errors import DataError
from pipelines.gap.advice import preset
from pipelines.gap.advice.advise import advice
from pipelines.gap.advice.preset import Rendered, check_preset, preset_text, rendered_with
from pipelines.gap.advice.widening import BY_HAND, MOST, RULES, Change, changes
from pipelines.gap.advice.written import check_preset_file, list_of, write_advice
from pipelines.gap.appearance import STATISTICS
from pipelines.gap.schema.figure import Figure, counted
from pipelines.gap.schema.sections import Coverage, Knob, ToLabel
from simgen.presets.knobs import knobs as all_knobs
from simgen.presets.read import load_config
from simgen.spec.differences import differences
from tests.pipelines.gap.example_report import example_report

TABLE = load_config("bolts_on_table")


def side(share: float) -> Figure:
    """The share of values beyond; 10 % or more is sure."""
    return Figure(status="measured", value=share, unit="share", p=0.001, p_holm=0.001 if share >= 0.1 else 1.0)


def beyond(name: str, simulated: tuple[float, float], real: tuple[float, float]) -> Coverage:
    """A statistic whose real 2.5 % and 97.5 % quantiles lie outside the simulated 5 % and 95 % ones, or not."""
    low, high, least, most = (float(value) for value in (*simulated, *real))
    return Coverage(
        name=name, title=name, unit="",
        below=side(0.3 if least < low else 0.0), above=side(0.2 if most > high else 0.0),
        simulated=(low - 1, low, low, 0.5 * (low + high), high, high, high + 1), real=(least, *[0.0] * 5, most),
        distance=counted(1.0, ""), verdict="beyond", so="", knobs="",
    )  # fmt: skip


def test_every_statistic_has_a_rule_for_a_knob_that_exists_or_words() -> None:
    assert RULES.keys() | BY_HAND.keys() == STATISTICS.keys()
    assert not RULES.keys() & BY_HAND.keys()
    assert {rule.knob for rule in RULES.values()} <= {row.path for row in all_knobs()}


@pytest.mark.parametrize(
    ("row", "key", "after"),
    [
        (beyond("brightness", (100, 150), (100, 165)), "sensor.exposure", (0.4, 1.1 * 1.1**2.2)),
        (beyond("brightness", (110, 150), (100, 150)), "sensor.exposure", (0.4 / 1.1**2.2, 1.1)),
        (beyond("noise", (2, 4), (1, 4)), "sensor.read_noise_e", (1.5, 30)),
        (beyond("saturation", (0.2, 0.4), (0.2, 0.5)), "sensor.saturation", (0.8, 1.25 * 1.25)),
        (beyond("box_size", (20, 80), (20, 100)), "camera.distance_m", (0.65 / 1.25, 1.35)),  # larger parts: nearer
        (beyond("box_size", (20, 80), (10, 80)), "camera.distance_m", (0.65, 2.7)),
        (beyond("box_size", (20, 80), (5, 80)), "camera.distance_m", (0.65, 3 * 1.35)),  # three times at most
        (beyond("parts_per_image", (20, 40), (15, 61)), "parts.count", (18, 68)),  # 44 * 61 / 40 = 67.1
        (beyond("warmth", (-0.1, 0.1), (-0.3, 0.1)), "sensor.white_balance", (0.76 / 1.10517, 1.25 * 1.10517)),
        (beyond("sharpness", (3, 5), (-9, 5)), "sensor.blur_sigma_px", (0.35, 3 * 1.2)),  # three times at most
    ],
)
def test_the_violated_bound_moves_as_far_as_the_photos_lie_beyond(
    row: Coverage, key: str, after: tuple[float, float]
) -> None:
    (one,) = changes([row], [], TABLE)
    assert (one.key, one.evidence, one.effect.status) == (key, "coverage", "not_measured")
    assert one.after == pytest.approx(after, rel=0.006)


def test_a_bound_that_stays_keeps_all_its_digits() -> None:
    exact = load_config("bolts_on_table", ("sensor.exposure.high=1.1049",))
    (one,) = changes([beyond("brightness", (110, 150), (100, 150))], [], exact)
    assert one.after[1] == 1.1049


@pytest.mark.parametrize(("p", "count"), [(0.04, 1), (0.06, 0)])
def test_a_change_of_the_photos_counts_where_its_p_is_under_a_twentieth(p: float, count: int) -> None:
    row = example_report().knobs[0]
    gained = replace(row, effect=replace(row.effect, p=p / 4, p_holm=p))
    assert len(changes([], [gained], TABLE)) == count


def test_sharper_photos_ask_for_less_blur_and_duller_ones_for_more() -> None:
    (less,), (more,) = (changes([beyond("sharpness", (3, 5), real)], [], TABLE) for real in ((3, 6), (2, 5)))
    assert less.after[0] < less.before[0]
    assert less.after[1] == less.before[1]
    assert more.after[0] == more.before[0]
    assert more.after[1] > more.before[1]


def test_no_bound_leaves_what_is_possible_or_moves_far_and_no_range_is_narrower() -> None:
    far = {"brightness": 240, "part_brightness": 9.0, "parts_per_image": 90_000, "noise": 1e6}
    rows = [beyond(name, (1, 2), (1, most)) for name, most in far.items()]
    found = changes(rows, [], TABLE)
    assert {one.key.split(".")[0] for one in found} == {"sensor", "texture", "parts"}
    for one in found:
        assert one.after[0] <= one.before[0]
        assert one.after[1] >= one.before[1]
        assert one.after[1] <= MOST * one.before[1] + 1
        if one.key.startswith("texture"):
            assert one.after[1] == 1.0  # a colour's value is a share


@pytest.mark.parametrize(
    ("rows", "keys"),
    [
        ({"box_size": (10, 80), "parts_per_image": (20, 90)}, {"camera.distance_m"}),  # farther: smaller and more
        ({"box_size": (20, 90), "parts_per_image": (10, 80)}, {"camera.distance_m"}),
        ({"box_size": (10, 80), "parts_per_image": (10, 80)}, {"camera.distance_m", "parts.count"}),  # smaller, fewer
        ({"box_size": (10, 80), "parts_per_image": (10, 90)}, {"camera.distance_m", "parts.count"}),  # only one side
        ({"saturation": (20, 90), "warmth": (10, 90)}, {"sensor.saturation"}),
        ({"saturation": (10, 80), "warmth": (10, 80)}, {"sensor.saturation", "sensor.white_balance"}),
        ({"parts_per_image": (20, 90), "contrast": (20, 90)}, {"parts.count"}),
        ({"warmth": (10, 80), "parts_per_image": (20, 90)}, {"sensor.white_balance", "parts.count"}),
    ],
)
def test_what_may_follow_from_another_statistic_waits_for_it(
    rows: dict[str, tuple[float, float]], keys: set[str]
) -> None:
    found = changes([beyond(name, (20, 80), real) for name, real in rows.items()], [], TABLE)
    assert {one.key for one in found} == keys


def test_no_statistic_waits_for_one_that_waits_for_it() -> None:
    follows = {name: {cause.split()[0] for _, cause in one.follows} for name, one in STATISTICS.items()}
    assert all(causes <= RULES.keys() for causes in follows.values())  # each cause has a range to widen
    TopologicalSorter(follows).prepare()


@pytest.mark.parametrize("verdict", ["covered", "not_decided", "cannot_be_told", "too_few"])
def test_what_is_not_beyond_is_left_alone(verdict: str) -> None:
    row = replace(beyond("noise", (2, 4), (1, 4)), verdict=verdict)  # type: ignore[arg-type]
    assert changes([row], [], TABLE) == ()


def effect(name: str, value: float, p_holm: float) -> Knob:
    ends = value - 1, value + 1
    figure = Figure(status="measured", value=value, low=ends[0], high=ends[1], p=p_holm, p_holm=p_holm)
    return Knob(name=name, change=f"photos without {name}", kind="change the photos", effect=figure, so="")


def test_a_change_of_the_photos_that_gains_widens_both_sides_and_joins_what_the_photos_say() -> None:
    rows = [effect("noise", 3.0, 0.01), effect("saturation", 3.0, 0.2), effect("sharpness", -3.0, 0.01)]
    (one,) = changes([], rows, TABLE)
    assert (one.key, one.evidence, one.effect.value) == ("sensor.read_noise_e", "up_to", 3.0)
    assert one.after == pytest.approx((2.4, 37.5))
    (both,) = changes([beyond("noise", (2, 4), (1, 4))], rows, TABLE)
    assert both.after == pytest.approx((1.5, 37.5))
    assert both.because.count(";") == 1


def some_changes() -> tuple[Change, ...]:
    rows = [beyond("brightness", (100, 150), (90, 165)), beyond("part_brightness", (-0.2, 0.2), (-0.4, 0.2))]
    return changes([*rows, beyond("parts_per_image", (20, 40), (15, 61))], [], TABLE)


def test_the_preset_is_the_sets_own_with_wider_ranges_and_nothing_else(tmp_path: Path) -> None:
    found = some_changes()
    rendered = Rendered(TABLE, "bolts_on_table", {})
    check_preset(rendered, found)
    path = tmp_path / "next.yaml"
    path.write_text(preset_text(rendered, found, tmp_path, "2026-11-29"))
    config = load_config(str(path))
    changed = {one.path.rpartition(".")[0] for one in differences(TABLE.model_dump(), config.model_dump())}
    changed |= {one.key for one in found if "finishes" in one.key}
    assert changed == {one.key for one in found}
    assert config.sensor.exposure.high > TABLE.sensor.exposure.high
    assert "effect not known, try" in path.read_text()
    assert preset_text(rendered, (), tmp_path, "") == ""


def data_set(folder: Path, name: str, config: object) -> Path:
    """A data set of which only the request counts."""
    request = {
        "config": config, "preset": name, "renderer": "tiny", "scenes": 1, "seed": 1, "shard_scenes": 1,
        "simgen": "0.1.0",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"categories": ["bolt"], "format": "simgen-data-set/1", "request": request, "shards": []}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_what_was_set_at_rendering_is_kept_and_a_preset_of_ones_own_is_found_beside_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.yaml").write_text("base: tiny\nsensor:\n  exposure: {low: 0.5, high: 0.9}\n")
    own = str(tmp_path / "own.yaml")
    config = load_config(own, ["timing.frames=3", "texture.finishes.zinc.weight=0.5", "sensor.read_noise_e.high=44"])
    sim = data_set(tmp_path / "result/data/sim", "own.yaml", config.model_dump(mode="json"))
    monkeypatch.chdir("/")
    got = advice(sim, [beyond("brightness", (100, 150), (100, 165))], [], tmp_path / "result", "2026")
    assert got.left_out == ""
    path = tmp_path / "result/next.yaml"
    path.write_text(got.preset)
    assert yaml.safe_load(got.preset)["base"] == "../own.yaml"
    after = load_config(str(path))
    assert (after.timing.frames, after.texture.finishes["zinc"].weight, after.sensor.read_noise_e.high) == (3, 0.5, 44)
    assert after.sensor.exposure.high == pytest.approx(0.9 * 1.1**2.2, rel=0.01)


def test_a_preset_that_is_gone_or_changed_in_more_than_numbers_is_said(tmp_path: Path) -> None:
    plain = load_config("tiny").model_dump(mode="json")
    gone = data_set(tmp_path / "a", "gone.yaml", plain)
    with pytest.raises(DataError, match=r"preset gone\.yaml, which is not here"):
        rendered_with(gone)
    assert "not here" in advice(gone, [], [], tmp_path, "").left_out
    data_set(tmp_path / "two/a", "tiny", plain)
    data_set(tmp_path / "two/b", "tiny", plain)
    with pytest.raises(DataError, match="holds 2 data sets"):
        rendered_with(tmp_path / "two")
    without = json.loads(json.dumps(plain))
    del without["parts"]["kinds"]["washer"]
    with pytest.raises(DataError, match="has changed since"):
        rendered_with(data_set(tmp_path / "b", "tiny", without))
    with pytest.raises(DataError, match=r"manifest\.json"):
        rendered_with(data_set(tmp_path / "c", "tiny", {"parts": 3}))


def test_a_range_that_makes_no_preset_is_not_written() -> None:
    rendered = Rendered(TABLE, "bolts_on_table", {})
    wrong = replace(some_changes()[0], after=(-5.0, 2.0))
    with pytest.raises(DataError, match="make no preset"):
        check_preset(rendered, [wrong])
    other = Rendered(load_config("bolts_on_table", ["sensor.gamma.low=1.8"]), "bolts_on_table", {})
    with pytest.raises(DataError, match=r"would change sensor\.gamma\.low too"):
        check_preset(other, some_changes())
    text = preset.preset_text(rendered, [wrong], Path(), "")
    assert "low: -5" in text


def test_the_files_beside_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, out, config = example_report(), tmp_path / "r.html", tmp_path / "next.yaml"
    write_advice(report, out, Path("photos"), config)
    assert config.read_text() == report.do_next.next_config
    assert list_of(out).read_text() == "photos/0-7_w3.jpg\n"
    quiet = replace(report, do_next=replace(report.do_next, next_config="", label=()))
    config.unlink()
    write_advice(quiet, out, None, config)
    assert not config.exists()
    assert "no figure of the report asks for a wider range" in capsys.readouterr().err
    assert ToLabel(photo="a", because="b").picture is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("next.txt", None, r"must end in \.yaml"),
        ("mine.yaml", "base: tiny\n", "exists; choose another name"),
        ("none/next.yaml", None, "its folder does not exist"),
    ],
)
def test_a_file_of_ones_own_is_not_overwritten(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=words):
        check_preset_file(path, overwrite=False)
    path = tmp_path / "next.yaml"
    path.write_text("# Wider ranges, as\n")
    check_preset_file(path, overwrite=False)
