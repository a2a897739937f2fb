"""A report with every section filled, for tests. Its figures are invented."""

from __future__ import annotations

from dataclasses import replace

from pipelines.common.record import DataKind
from pipelines.gap.schema.effects import Cell, Drawn, DrawnValue, Exchange, From, Pasted
from pipelines.gap.schema.figure import Figure, counted, not_measured, too_few
from pipelines.gap.schema.over_time import ClipCount, OverTime, TimeRow
from pipelines.gap.schema.report import Report
from pipelines.gap.schema.sections import (
    Action,
    Answer,
    Comparison,
    Coverage,
    CurvePoint,
    DataSet,
    DoNext,
    Features,
    Group,
    Knob,
    LabelEfficiency,
    MapPoint,
    Measures,
    Named,
    Performance,
    Picture,
    Reading,
    Run,
    Scenes,
    ScenesPoint,
    Table,
    ToLabel,
    Trust,
    Where,
    Why,
)
from pipelines.gap.sections.where import SCORES_OFF

SQUARE = (  # a grey JPEG of 8 x 8 pixels
    "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQER"
    "XRTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/wAALCAAIAAgBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEA"
    "wUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmN"
    "kZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09"
    "fb3+Pn6/9oACAEBAAA/ACv/2Q=="
)
BY_SESSIONS = "t interval on the logit scale over sessions and seeds"


def ap(value: float, half: float = 0.06) -> Figure:
    """An AP with its interval."""
    return Figure(
        status="measured", value=value, low=value - half, high=min(value + half, 1.0), unit="AP50", method=BY_SESSIONS,
        n=24, n_units=6, seeds=2,
    )  # fmt: skip


def points(value: float, half: float = 2.0, p: float = 0.02) -> Figure:
    """A paired difference with its interval."""
    return Figure(
        status="measured", value=value, low=value - half, high=value + half, unit="points of AP50", n=24, n_units=6,
        method="paired by sessions, t interval", seeds=1, p=p, p_holm=min(3 * p, 1.0),
    )  # fmt: skip


def share(value: float, half: float = 0.03) -> Figure:
    return Figure(
        status="measured", value=value, low=max(value - half, 0.0), high=value + half, unit="share", n=52, n_units=13,
        method="t interval over sessions", p=0.01, p_holm=0.1,
    )  # fmt: skip


def measures(ap50: float) -> Measures:
    return Measures(ap=ap(ap50 * 0.7), ap50=ap(ap50), ap75=ap(ap50 * 0.75), recall=ap(ap50 * 0.8))


def example_report() -> Report:
    """All sections, with figures of every status."""
    runs = (("sim", "630 simulated scenes", 0, 0.87, 0.71), ("sim10", "10 photos, from sim", 10, 0.84, 0.88))
    return Report(
        made="2026-11-29 14:00 UTC",
        title="bolts_washers",
        target="real",
        mode="final",
        categories=("bolt", "washer"),
        answer=Answer(
            sentence="With simulation and 10 photos the detector reaches AP50 0.88 [0.82, 0.94] on these photos.",
            lead="Simulation alone reaches 0.71 [0.65, 0.77]; the 10 photos alone 0.83 [0.77, 0.89].",
            looked_at="sim: named with --run-to-look-at",
            in_use=(
                Named(label="Parts found", figure=share(0.93), so="93 of 100"),
                Named(label="False alarms a photo", figure=counted(1.2, "false alarms a photo", 24)),
                Named(label="At score", figure=counted(0.35, "score"), so="chosen on the pool"),
            ),
            gap=points(16.5, 5.0),
        ),
        performance=tuple(
            Performance(
                name=name, runs=(f"{name}-s0", f"{name}-s1"), trained_on=words, photos=photos, arm="simulation",
                simulated=measures(simulated), real=measures(real), by_seed=(real - 0.01, real + 0.01),
            )
            for name, words, photos, simulated, real in runs
        ),
        comparisons=(Comparison(first="sim10", second="sim", difference=points(17.0, 4.0)),),
        label_efficiency=_label_efficiency(),
        where=_where(),
        why=_why(),
        knobs=(
            Knob(
                name="white balance", change="photos as by the simulation's mean", kind="change the photos",
                effect=points(0.4, 1.0, 0.4), so="costs nothing that can be told",
            ),
            Knob(
                name="noise", change="photos denoised", kind="change the photos",
                effect=too_few("4 sessions: an interval takes five", "points of AP50", 16, 4), so="not known",
            ),
        ),
        do_next=_do_next(),
        trust=Trust(
            sessions=6,
            sessions_made="pattern",
            sessions_in_words="6 sessions of 24 photos, by the pattern ^(.*)\\d\\.jpg",
            icc=(Named(label="brightness", figure=counted(0.71, "ICC", 24)),),
            readings=(Reading(time="2026-11-22 10:00 UTC", runs="sim, sim10", purpose="final"),),
            readings_in_words="The test photos were read once before.",
            smallest_difference=counted(6.0, "points of AP50", 24),
            seeds="two for 10 photos, one for simulation alone: no training noise is in the latter",
            left_out=("2 photos without a size",),
        ),
        runs=tuple(
            Run(
                name=f"{name}-s0", trained_on=words, branches="cnn", steps=400, steps_on_target=400 if photos else 0,
                steps_in_all=2400, seconds=812.5, simulated=measures(simulated), real=measures(real),
            )
            for name, words, photos, simulated, real in runs
        ),
        data=(
            DataSet(role="simulated", path="data/sim", images=44, boxes=800, note="44 of 350: those no run trained on"),
            DataSet(role="test", path="photos/test.json", images=24, boxes=500, note="", left_out=("no size: 2",)),
        ),
        command="python -m pipelines.gap_report plan.yaml",
        pictures={
            "sim-0": Picture(caption="scene 21", kind="pair", of="simulated", uri=SQUARE),
            "real-0": Picture(caption="bolt, 1-1_g4.jpg", kind="pair", of="real", uri=SQUARE, pair="sim-0"),
            "missed-0": Picture(caption="bolt, 0-8_c4.jpg", kind="missed", of="real", uri=None),
        },
        pasted=_pasted(),
        drawn=_drawn(),
    )  # fmt: skip


def _pasted() -> Pasted:
    cells: dict[tuple[From, From], float] = {
        ("photos", "photos"): 0.70, ("simulation", "photos"): 0.78, ("photos", "simulation"): 0.72,
        ("simulation", "simulation"): 0.81,
    }  # fmt: skip
    return Pasted(
        plain=ap(0.71), pasting=points(-1.0, 1.5, 0.1),
        cells=tuple(Cell(parts=parts, grounds=grounds, ap50=ap(v)) for (parts, grounds), v in cells.items()),
        exchanges=(
            Exchange(name="parts", effect=points(8.0, 3.0, 0.001), so="the photos' parts cost AP today"),
            Exchange(name="grounds", effect=points(2.0, 6.0, 0.4), so="makes no difference that can be told"),
        ),
        note="52 photos of --look and 40 simulated pictures.",
    )  # fmt: skip


def _drawn() -> Drawn:
    lost = replace(points(24.0, 5.0, 1e-6), unit="points of F1", p_holm=1e-4)
    won = replace(points(-9.0, 8.0, 0.03), unit="points of F1", p_holm=1.0)
    return Drawn(
        loss=replace(points(31.0, 4.0), unit="points of F1", p=None, p_holm=None),
        rows=(
            DrawnValue(key="camera.distance_m", low=0.68, high=1.32, effect=lost),
            DrawnValue(key="texture.top.texture = printed", low=0.0, high=1.0, effect=won),
        ),
        tested=97, left_out=("4 values drawn in fewer than 60 scenes, such as light.glow_size_deg",),
        note="The loss of a scene is 1 - F1 of the detections of 0.35 or more.",
    )  # fmt: skip


def _label_efficiency() -> LabelEfficiency:
    points_of = {0: 0.71, 10: 0.88}
    return LabelEfficiency(
        simulation=tuple(CurvePoint(photos=n, ap50=ap(v), by_seed=(v - 0.01, v + 0.01)) for n, v in points_of.items()),
        photos=(CurvePoint(photos=10, ap50=ap(0.83), by_seed=(0.82, 0.84)),),
        worth=not_measured("4 numbers of photos for photos alone, and three seeds", "photos"),
        worth_in_words="not known",
        high_is_all=False,
        missing=("photos alone, 1 photo, seed 0", "photos alone, 2 photos, seed 0"),
        missing_hours=counted(3.2, "hours"),
        stop="Not known: the curve has two points.",
        gain_of_ten=not_measured("four numbers of photos", "points of AP50"),
        scenes=Scenes(
            points=(
                ScenesPoint(scenes=315, ap50=ap(0.66), by_seed=(0.66,)),
                ScenesPoint(scenes=630, ap50=ap(0.71), by_seed=(0.71,)),
            ),
            stop="Other scenes: twice as many of these bring less than 0.5 points of AP50.",
            gain_of_double=points(0.3, 0.1),
            left=points(21.0, 5.0),
        ),
    )


def _where() -> Where:
    return Where(
        tables=(
            Table(
                title="by class",
                rows=(
                    Group(
                        group="bolt", measure="AP50", simulated=ap(0.87), real=ap(0.55), lost=points(32.0, 6.0),
                        so="lost on the test pictures",
                    ),
                    Group(
                        group="washer", measure="AP50", simulated=ap(0.87),
                        real=too_few("9 boxes: an AP of its own takes 30", "AP50", 9),
                        lost=too_few("9 boxes: an AP of its own takes 30", "points of AP50", 9),
                    ),
                ),
            ),
        ),
        errors=(Named(label="background", figure=points(9.0), so="inside the work area"),),
        calibration=(Named(label=SCORES_OFF, figure=share(0.11), so="scores are too high"),),
        reliability=((0.1, 0.05, 40), (0.5, 0.45, 40), (0.9, 0.85, 40)),
        false_alarms=(Named(label="on photos without an object", figure=not_measured("no empty photo", "a photo")),),
        time=OverTime(
            rows=(
                TimeRow(
                    name="flicker", so="found in one of two frames in a row alone", simulated=share(0.04),
                    real=share(0.09), difference=points(5.0),
                ),
                TimeRow(
                    name="switches of identity", so="a part goes on under another track id",
                    simulated=counted(0.02, "a part"), real=not_measured("no track ids", "a part"),
                    difference=not_measured("Needs both.", "a part"),
                ),
            ),
            clips=(
                ClipCount(
                    clip="segment_1", frames=99, parts=not_measured("no track ids", "parts"),
                    tracks=counted(7.0, "parts"), labelled=counted(4.5, "parts a frame"),
                    reported=counted(4.2, "parts a frame"),
                ),
            ),
            note="1 clip with 99 frames",
        ),
    )  # fmt: skip


def _why() -> Why:
    levels = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)
    return Why(
        levels=levels,
        coverage=(
            Coverage(
                name="part_brightness", title="brightness of parts", unit="log ratio", below=share(0.07, 0.01),
                above=share(0.0, 0.0), simulated=(-1.0, -0.9, -0.3, 0.0, 0.3, 0.9, 1.0),
                real=(-1.2, -1.0, -0.5, -0.2, 0.1, 0.4, 0.5), distance=counted(0.4, "standard deviations"),
                verdict="beyond", so="darker finishes or a brighter background", knobs="texture.finishes",
            ),
            Coverage(
                name="noise", title="noise", unit="grey level", below=share(0.2), above=share(0.0, 0.0),
                simulated=(0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3), real=(0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2),
                distance=counted(0.1, "standard deviations"), verdict="cannot_be_told",
                so="under the rounding of 8 bits", knobs="sensor.read_noise_e",
            ),
        ),
        features=(
            Features(group="bolt", distance=counted(0.063, "MMD2"), floor=counted(0.057, "MMD2"), unlike=share(0.41)),
        ),
        note="52 photos of the pool in 13 sessions",
        map=(
            MapPoint(x=0.1, y=0.2, of="simulated", group="bolt", picture="sim-0"),
            MapPoint(x=0.5, y=0.2, of="simulated", group="bolt"),
            MapPoint(x=0.9, y=0.8, of="real", group="bolt", picture="missed-0"),
        ),
    )  # fmt: skip


def _do_next() -> DoNext:
    return DoNext(
        actions=(
            Action(
                action="Put things beside the table that look like bolts and are none", knob="clutter.kinds",
                from_value="letters", to_value="rods, screws", because="193 false bolts lie beside the table",
                evidence="counted", effect=not_measured("try it", "points of AP50"), cost="render and train, 2.1 h",
            ),
            Action(
                action="Fit the finishes of bolts", knob="simgen finish fit", from_value="", to_value="",
                because="7 % [6, 8] of the parts are darker than the simulated range", evidence="coverage",
                effect=not_measured("not known, try", "points of AP50"), cost="10 min",
            ),
        ),
        next_config="base: bolts_on_table\nparts:\n  count: {high: 45}\n",
        label=(ToLabel(photo="0-7_w3.jpg", because="novelty 1.58", picture="real-0"),),
        label_note="not shown to beat random",
    )  # fmt: skip


def measured_report(
    runs: dict[str, tuple[int, int, float | None, tuple[float, float] | None]],
    pair: Comparison | None = None,
    target: DataKind = "real",
    images: int = 40,
) -> str:
    """The JSON of a report of these runs: steps on the photos, steps in all, AP50, its interval."""
    example, rows, groups = example_report(), [], []
    for name, (on_target, in_all, value, interval) in runs.items():
        ap50 = too_few("no box", "AP50") if value is None else counted(value, "AP50")
        low, high = interval or (None, None)
        real = replace(example.runs[0].real, ap50=ap50)
        rows.append(replace(example.runs[0], name=name, steps_on_target=on_target, steps_in_all=in_all, real=real))
        ranged = replace(real, ap50=replace(ap50, low=low, high=high))
        groups.append(replace(example.performance[0], name=name, runs=(name,), real=ranged))
    test = DataSet(role="test", path="test.json", images=images, boxes=90, note="")
    changed = replace(
        example, target=target, runs=tuple(rows), performance=tuple(groups), data=(test,),
        comparisons=() if pair is None else (pair,),
    )  # fmt: skip
    return changed.to_json()


def difference(first: str, second: str, value: float, ends: tuple[float, float] | None) -> Comparison:
    """A paired difference, in points."""
    low, high = ends or (None, None)
    figure = replace(counted(value, "points of AP50"), low=low, high=high)
    return Comparison(first=first, second=second, difference=figure)
