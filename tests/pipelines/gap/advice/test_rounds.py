"""Which changes are kept, and how often the pool is asked. Rendering, training and measuring are injected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from hybrid.core.errors import DataError, RunError
from hybrid.core.progress import Progress, Together, silent
from pipelines.gap.advice import trials as module
from pipelines.gap.advice.advise import Advice
from pipelines.gap.advice.preset import Rendered
from pipelines.gap.advice.rounds import Answer, Trial, answer_of, checked, effects, rounds
from pipelines.gap.advice.trial_progress import Sizes, TrialProgress
from pipelines.gap.advice.trials import TrialWishes, render_words, train_words, try_out
from pipelines.gap.advice.widening import NOT_KNOWN, Change
from pipelines.gap.schema.figure import Figure
from pipelines.gap.sections.pool import Pool
from pipelines.gap.stats.interval import spread
from pipelines.gap.stats.resampled import DRAWS
from simgen.presets.read import load_config
from tests.pipelines.gap.scenes import scattered, source_of
from tests.pipelines.gap.sections.measured import SESSIONS, invented


def change(key: str) -> Change:
    return Change(key, (1.0, 2.0), (0.5, 2.0), "coverage", "because", NOT_KNOWN, "")


A, B, C = (change(key) for key in ("sensor.exposure", "sensor.saturation", "parts.count"))


def answer(at_least: float) -> Answer:
    figure = Figure(status="measured", value=at_least + 1, low=at_least, high=at_least + 2, p=0.01)
    return Answer(figure, at_least)


class Asked:
    """A pool that answers by the sum of what the changes win."""

    def __init__(self, wins: dict[str, float], times: int = 99) -> None:
        self.wins, self.times, self.questions = wins, times, list[tuple[list[str], list[str]]]()

    def __call__(self, kept: tuple[Change, ...], candidate: tuple[Change, ...]) -> Answer | None:
        if len(self.questions) >= self.times:
            return None
        self.questions.append(([one.key for one in kept], [one.key for one in candidate]))
        return answer(sum(self.wins[one.key] for one in candidate))


def test_all_changes_together_are_kept_at_once_where_they_help() -> None:
    ask = Asked({A.key: 1.0, B.key: 1.0})
    got = rounds([A, B], 5, ask)
    assert [one.key for one in got.kept] == [A.key, B.key]
    assert {one.evidence for one in got.kept} == {"measured"}
    assert len(ask.questions) == 1


def test_where_all_together_do_not_help_each_is_tried_on_top_of_those_kept() -> None:
    ask = Asked({A.key: 1.0, B.key: -5.0, C.key: 0.5})
    got = rounds([A, B, C], 9, ask)
    assert [one.key for one in got.kept] == [A.key, C.key]
    assert ask.questions == [
        ([], [A.key, B.key, C.key]), ([], [A.key]), ([A.key], [B.key]), ([A.key], [C.key]),
    ]  # fmt: skip


def test_a_win_of_which_the_lower_end_is_not_above_nothing_is_not_kept() -> None:
    assert rounds([A], 3, lambda _, __: answer(0.0)).kept == ()
    none = replace(answer(1.0), at_least=None)
    assert rounds([A], 3, lambda _, __: none).kept == ()
    assert rounds([], 3, Asked({})).trials == ()


@pytest.mark.parametrize(("most", "times", "asked"), [(2, 99, 2), (9, 1, 1), (9, 99, 4)])
def test_no_more_is_asked_than_was_said_or_is_allowed(most: int, times: int, asked: int) -> None:
    ask = Asked(dict.fromkeys((A.key, B.key, C.key), -1.0), times)
    assert len(rounds([A, B, C], most, ask).trials) == asked == len(ask.questions)


def test_the_lower_end_is_that_of_one_side_over_sessions_and_seeds() -> None:
    rng = np.random.default_rng(0)
    clear = 0.05 + 0.01 * rng.standard_normal((3, 201))
    clear[:, 0] = [0.04, 0.05, 0.06]
    got = answer_of(clear, 6, 18)
    assert got.helps
    assert got.figure.value == pytest.approx(5.0)
    assert got.figure.low is not None
    assert got.at_least is not None
    assert got.figure.low < got.at_least < 5.0  # 90 % on one side is narrower than 95 % on both
    own = spread([4.0, 5.0, 6.0], 100 * clear[:, 1:], 6)
    assert own is not None
    assert got.at_least == pytest.approx(5.0 - student.ppf(0.9, own.freedom) * own.error)
    noisy = clear + np.array([[0.2], [0.0], [-0.2]])
    assert not answer_of(noisy, 6, 18).helps  # the seeds differ by more than that
    assert answer_of(clear, 4, 18).at_least is None
    assert answer_of(np.full((3, 5), np.nan), 6, 18).at_least is None


def test_rows_of_the_report_have_p_corrected_over_all_trials() -> None:
    tried = rounds([A, B], 5, Asked({A.key: 1.0, B.key: -5.0}))
    rows = effects(tried, 200, 64)
    assert [row.name for row in rows] == ["sensor.exposure and 1 more", "sensor.exposure", "sensor.saturation"]
    assert rows[0].effect.p_holm == pytest.approx(0.03)
    assert [row.so.split(":")[0] for row in rows] == ["not kept", "kept", "not kept"]
    assert {row.kind for row in rows} == {"retrain"}
    assert Trial((A,), answer(1.0)).name == A.key


def test_a_change_that_is_none_is_asked_last_and_where_it_would_be_kept_nothing_is() -> None:
    found = rounds([A], 3, Asked({A.key: 1.0}))
    fair, unfair = checked(found, lambda: answer(-1.0)), checked(found, lambda: answer(0.1))
    assert ([one.key for one in fair.kept], unfair.kept) == ([A.key], ())
    rows, bad = effects(fair, 200, 64), effects(unfair, 200, 64)
    assert [row.name for row in rows] == [row.name for row in bad] == [A.key, "no change"]
    assert [row.so.split(":")[0] for row in rows] == ["kept", "wins nothing for sure, as it should be"]
    assert [row.so.split(":")[0] for row in bad] == ["not kept", "wins as much as a change that would be kept"]
    assert rows[0].effect.p_holm == pytest.approx(0.02)  # of two questions
    assert checked(found, lambda: None).kept == found.kept  # the pool may not be asked any more
    nothing = rounds([A], 3, Asked({A.key: -1.0}))
    assert checked(nothing, lambda: pytest.fail("asked for nothing")) == nothing


class Machine:
    """Renders and trains by writing down that it was told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, gain: float, other: float = 0.0) -> None:
        self.told, self.photos, gains = list[Sequence[str | Path]](), scattered(18, 1, missed=0.5), gain
        self.source = source_of(self.photos[1])
        self.path = folder / "pool.json"
        self.path.write_text("{}")
        monkeypatch.setattr(module, "open_run", lambda path: replace(invented(str(path), 0, 0, True), folder=path))
        monkeypatch.setattr(module, "weights_hash", lambda path: f"{path}"[-20:])
        monkeypatch.setattr(Pool, "unseen", lambda *_: (self.source, SESSIONS))

        def ap50(trial: object, run: object) -> np.ndarray:
            rng = np.random.default_rng(0)
            name = str(run.folder)  # type: ignore[attr-defined]
            won = gains if "with-" in name else other if "other-" in name else 0.0
            return 0.5 + 0.01 * rng.standard_normal(DRAWS + 1) * (1 if "without-" in name else 2) + won

        monkeypatch.setattr(module._Trial, "ap50", ap50)

    def __call__(self, words: Sequence[str | Path], progress: Progress) -> None:
        self.told.append(words)

    @property
    def pool(self) -> Pool:
        return Pool(self.source, self.path, SESSIONS)


def wishes(folder: Path, most: int = 3) -> TrialWishes:
    return TrialWishes(most, 8, 20, folder / "trials", folder / "cache", folder, "2026-11-29", progress_of(most))


def progress_of(most: int) -> TrialProgress:
    return TrialProgress(Together(), Sizes(scenes=8, steps=20, pictures=18, seeds=3), most + 1 if most else 0)


def advised() -> Advice:
    config = load_config("tiny")
    exposure = config.sensor.exposure
    wide = replace(A, before=(exposure.low, exposure.high), after=(exposure.low / 2, exposure.high))
    return Advice((wide,), Rendered(config, "tiny", {}), "base: tiny\n")


@pytest.mark.parametrize(("gain", "other", "kept"), [(0.1, 0.0, 1), (-0.1, 0.0, 0), (0.1, 0.1, 0)])
def test_both_sides_get_the_same_scenes_steps_and_seeds_and_the_pool_counts_each_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gain: float, other: float, kept: int
) -> None:
    machine, run = Machine(tmp_path, monkeypatch, gain, other), invented("sim", 0, 0, True)
    seen: list[tuple[int, int]] = []
    show = Together(lambda done, total, values: seen.append((done, total)))
    asked = replace(wishes(tmp_path), progress=TrialProgress(show, progress_of(3).sizes, 5))
    got = try_out(advised(), run, machine.pool, asked, machine)
    sets = 3 if gain > 0 else 2  # with it, without, and where it helps other scenes without
    assert seen[0] == (8, 3 * (8 + 3 * (20 + 18)))  # one change to try: three sets of the five that might have come
    assert seen[-1] == (sets * (8 + 3 * 20), seen[0][1])
    assert len(got.advice.changes) == kept
    assert ("measured" in got.advice.preset) == bool(kept)
    assert got.effects[0].so.split(":")[0] == ("kept" if kept else "not kept")
    assert len(got.effects) == sets - 1
    renders = [words for words in machine.told if "render" in words]
    trainings = [words for words in machine.told if "pipelines.train_sim" in words]
    assert (len(renders), len(trainings)) == (sets, 3 * sets)
    same = [[word for word in words if not isinstance(word, Path)] for words in renders]
    assert same[0] == same[1]
    assert all(words != same[0] for words in same[2:])  # other scenes
    seeds = [words[list(words).index("--seed") + 1] for words in trainings]
    assert seeds == ["0", "1", "2"] * sets
    presets = sorted((tmp_path / "trials/presets").glob("with*.yaml"))
    assert [load_config(str(path)).sensor.exposure.low for path in presets] == [
        pytest.approx(advised().changes[0].after[0]), load_config("tiny").sensor.exposure.low,
    ]  # fmt: skip
    lines = (tmp_path / "pool.json.asks.jsonl").read_text().splitlines()
    assert [json.loads(line)["purpose"] for line in lines] == ["ask"] * (sets - 1)
    try_out(advised(), run, machine.pool, wishes(tmp_path), machine)
    assert len((tmp_path / "pool.json.asks.jsonl").read_text().splitlines()) == sets - 1  # the same questions again


def test_a_pool_that_was_asked_ten_times_is_asked_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(tmp_path, monkeypatch, 0.1)
    for k in range(module.MOST_ASKS):
        module.count_reading(machine.path, "x", [("run", str(k))], "ask", "now", "asks")
    got = try_out(advised(), invented("sim", 0, 0, True), machine.pool, wishes(tmp_path), machine)
    assert (got.advice.changes, got.effects, machine.told) == ((), (), [])
    assert "was asked 10 times" in capsys.readouterr().err


def test_nothing_is_tried_without_a_wish_a_change_or_a_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine, run = Machine(tmp_path, monkeypatch, 0.1), invented("sim", 0, 0, True)
    assert try_out(advised(), run, machine.pool, wishes(tmp_path, 0), machine).advice == advised()
    assert try_out(Advice(), run, machine.pool, wishes(tmp_path), machine).effects == ()
    assert "nothing is tried" in capsys.readouterr().err
    with pytest.raises(DataError, match="needs --look with labelled photos in 5 sessions that sim was not trained on"):
        try_out(advised(), run, None, wishes(tmp_path), machine)
    assert machine.told == []


def test_the_words_are_those_of_the_commands(tmp_path: Path) -> None:
    run = invented("sim", 0, 0, True)
    words = train_words(run, tmp_path / "scenes", 20, 1, tmp_path / "out", 1)
    assert words[words.index("--init") + 1] == run.folder
    assert words[words.index("--tile") + 1] == "64"
    assert words[-2:] == ["--clip-length", "1"]
    assert "--clip-length" not in train_words(run, tmp_path, 20, 1, tmp_path, 2)
    assert "--resume" in render_words(tmp_path / "a.yaml", 8, tmp_path)
    with pytest.raises(RunError, match=r"-c import sys; sys\.exit\('no disk'\) \.\.\. ended with 1: no disk"):
        module.run_python(["-c", "import sys; sys.exit('no disk')"], silent)
