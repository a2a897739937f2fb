"""The first screen in words, and what to do next. Every sentence is made from figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from pipelines.gap.advice.advise import Advice
from pipelines.gap.advice.labelling import Labelling
from pipelines.gap.advice.widening import STATISTIC_OF, Change, in_words
from pipelines.gap.appearance import STATISTICS
from pipelines.gap.schema.effects import Pasted
from pipelines.gap.schema.figure import Figure, not_measured
from pipelines.gap.schema.sections import (
    Action,
    Comparison,
    Coverage,
    DoNext,
    Knob,
    LabelEfficiency,
    Named,
    Performance,
    Where,
)
from pipelines.gap.sections.knobs import SURROUNDINGS
from pipelines.gap.stats.errors import INSIDE, OUTSIDE

POINTS = "points of AP50"
SIGNIFICANT = 0.05
MOST_ACTIONS = 6


def headline(rows: Sequence[Performance]) -> Performance:
    """The group that the first sentence is about: simulation first with the most photos. Never by its test AP50."""
    after_simulation = [row for row in rows if row.arm == "simulation" and row.photos is not None]
    return max(after_simulation, key=lambda row: row.photos or 0, default=rows[0])


def sentence(rows: Sequence[Performance], photos: str) -> str:
    """One sentence with figures. `photos` is what the test data are called: photos, or stand-in photos."""
    top = headline(rows)
    value = _with_interval(top.real.ap50)
    if value is None:
        return f"Nothing could be measured on these {photos}: {top.real.ap50.note}"
    alone = _alone(rows, top)
    beside = ""
    if alone is not None and (other := _with_interval(alone.real.ap50)) is not None:
        beside = f"; with the {top.photos} {photos} alone, {other}"
    if top.arm == "simulation" and top.photos:
        way = f"With simulation and {top.photos} labelled {photos}"
    elif top.arm == "simulation" and top.photos is None:
        way = f"With simulation and labelled {photos} whose number is not known"
    elif top.arm == "simulation":
        way = "With simulation alone"
    elif top.photos:
        way = f"With {top.photos} labelled {photos} alone"
    else:
        way = f"Trained on data that are not known, {top.name}:"
    where = f"the test {photos}" if photos == "photos" else f"the {photos}"
    return f"{way} the detector reaches AP50 {value} on {where}{beside}."


def no_labels(photos: int, coverage: Sequence[Coverage]) -> str:
    """The first sentence where the photos have no labels."""
    beyond = [one.title for one in coverage if one.verdict == "beyond"]
    known = sum(one.verdict != "too_few" for one in coverage)
    if not known:
        return f"The {photos} photos have no labels, and they are too few to say whether the simulation covers them."
    how = f"beyond it in {', '.join(beyond)}" if beyond else "not shown to be beyond it in anything"
    return f"The {photos} photos have no labels, so there is no AP; beside the simulated range they are {how}."


def lead(rows: Sequence[Performance], pairs: Sequence[Comparison], efficiency: LabelEfficiency, photos: str) -> str:
    """Two or three more sentences."""
    top, said = headline(rows), []
    simulation = next((row for row in rows if row.arm == "simulation" and row.photos == 0), None)
    if simulation is not None and simulation is not top and (value := _with_interval(simulation.real.ap50)):
        said.append(f"Simulation alone reaches {value}.")
    alone = _alone(rows, top)
    if alone is not None and (found := _between(pairs, top.name, alone.name)) is not None:
        said.append(f"Simulation first {_changes(found)} AP50 {_against(found)}.")
    if efficiency.worth.status == "measured":
        said.append(f"Simulation is worth {efficiency.worth_in_words}.")
    if top.real.ap50.value is not None and top.real.ap50.low is None:
        said.append(top.real.ap50.note)
    ways = "way of training was" if len(rows) == 1 else "ways of training were"
    return " ".join(said) or f"{len(rows)} {ways} measured on these {photos}."


def _alone(rows: Sequence[Performance], top: Performance) -> Performance | None:
    """The photos alone, as many as `top` was trained on, where `top` saw simulation too."""
    others = [row for row in rows if row.arm == "photos" and top.photos and row.photos == top.photos]
    return None if top.arm == "photos" else next(iter(others), None)


def _between(pairs: Sequence[Comparison], first: str, second: str) -> tuple[float, Figure] | None:
    """The value of first minus second, and the figure."""
    for pair in pairs:
        if (pair.first, pair.second) == (first, second) and pair.difference.value is not None:
            return pair.difference.value, pair.difference
        if (pair.first, pair.second) == (second, first) and pair.difference.value is not None:
            return -pair.difference.value, pair.difference
    return None


def _changes(found: tuple[float, Figure]) -> str:
    value, _ = found
    return "raises" if value > 0 else "lowers" if value < 0 else "leaves"


def _against(found: tuple[float, Figure]) -> str:
    value, figure = found
    if figure.low is None:
        return f"by {abs(value):.1f} points; whether that is chance is not known"
    return f"by {abs(value):.1f} points, {'beyond chance' if _sure(figure) else 'which may be chance'}"


def _sure(figure: Figure) -> bool:
    return figure.p_holm is not None and figure.p_holm < SIGNIFICANT


def _with_interval(figure: Figure) -> str | None:
    if figure.value is None:
        return None
    return f"{figure.value:.2f}" + ("" if figure.low is None else f" [{figure.low:.2f}, {figure.high:.2f}]")


def do_next(
    coverage: Sequence[Coverage], knobs: Sequence[Knob], where: Where, efficiency: LabelEfficiency, advised: Advice,
    label: Labelling, pasted: Pasted | None = None,
) -> DoNext:  # fmt: skip
    """Actions, the best evidence first. Nothing inside the simulated range is advised, no range narrowed."""
    actions = [*_of_knobs(knobs), *_of_pasted(pasted), *_of_coverage(coverage)]
    actions += [*_of_errors(where.errors), *_of_runs(efficiency)]
    return DoNext(
        actions=tuple(_with_range(one, advised.changes) for one in actions[:MOST_ACTIONS]),
        next_config=advised.preset, label=label.photos, label_note=label.note,
    )  # fmt: skip


def _with_range(action: Action, widened: Sequence[Change]) -> Action:
    """The action with the ranges of its preset, where it has one."""
    own = [one for one in widened if any(_is_of(one.key, knob) for knob in action.knob.split(", "))]
    if action.evidence not in ("up_to", "coverage", "measured") or not own:
        return action
    first, more = own[0], f" and {len(own) - 1} more" if len(own) > 1 else ""
    return replace(action, knob=first.key + more, from_value=in_words(first.before), to_value=in_words(first.after))


def _is_of(key: str, knob: str) -> bool:
    """Whether a key is one of a knob with * for any name. Words behind the knob's key are left out."""
    return fnmatchcase(key, knob.split(" ")[0])


MORE_OF = {  # what to do where the name of the change is no property that a simulation varies
    SURROUNDINGS: "Cut the photos to the work area, or put such things around it in simulation",
    "larger": "Let the simulation vary the size of parts more",
    "smaller": "Let the simulation vary the size of parts more",
}


def _of_knobs(knobs: Sequence[Knob]) -> list[Action]:
    """Changes of the photos that gained beyond chance: what they change costs AP today."""
    gained = [one for one in knobs if _sure(one.effect) and (one.effect.value or 0.0) > 0]
    return [
        Action(
            action=MORE_OF.get(one.name, f"Let the simulation vary {one.name} more"), knob=_keys(one.name),
            from_value="", to_value="",
            because=f"{one.change}, the same detector gains on the photos", evidence="up_to", effect=one.effect,
            cost="render and train again",
        )
        for one in sorted(gained, key=lambda one: -(one.effect.value or 0.0))
    ]  # fmt: skip


def _of_pasted(pasted: Pasted | None) -> list[Action]:
    """Parts or grounds of the photos that cost beyond chance."""
    words = {
        "parts": ("Let the simulated parts vary more: finishes, shapes, edges", "parts.kinds, texture.finishes"),
        "grounds": ("Let what lies under and beside the parts vary more", "texture.top, clutter"),
    }  # fmt: skip
    return [
        Action(
            action=words[one.name][0], knob=words[one.name][1], from_value="", to_value="",
            because=f"with simulated {one.name} in place of the photos' own, the same detector gains",
            evidence="up_to", effect=one.effect, cost="render and train again",
        )
        for one in (() if pasted is None else pasted.exchanges)
        if _sure(one.effect) and (one.effect.value or 0.0) > 0
    ]  # fmt: skip


def _keys(change: str) -> str:
    """The keys of the simulation's config that vary what a change of the photos changes."""
    statistic = STATISTIC_OF.get(change, change)
    if change == SURROUNDINGS:
        return "clutter.count"
    return STATISTICS[statistic].knobs if statistic in STATISTICS else change


def _of_coverage(coverage: Sequence[Coverage]) -> list[Action]:
    rows = []
    for one in coverage:
        if one.verdict == "beyond":
            share = max(one.below.value or 0.0, one.above.value or 0.0)
            ends = f"{one.simulated[1]:.3g} to {one.simulated[-2]:.3g} {one.unit}"
            low = min(one.simulated[1], one.real[0]) if _sure(one.below) else one.simulated[1]
            high = max(one.simulated[-2], one.real[-1]) if _sure(one.above) else one.simulated[-2]
            wider = f"{low:.3g} to {high:.3g} {one.unit}"
            title = one.title[0].upper() + one.title[1:]
            rows.append(
                Action(
                    action=f"{title}: {one.so}", knob=one.knobs, from_value=ends, to_value=wider,
                    because=f"{share:.0%} of the values lie beyond the simulated range", evidence="coverage",
                    effect=not_measured("Not known: try it, and measure.", POINTS), cost="render and train again",
                )
            )  # fmt: skip
    return rows


def _of_errors(errors: Sequence[Named]) -> list[Action]:
    """The kind of error that costs most, where it costs beyond chance."""
    words = {
        "localisation": "Look at how boxes fit: are they drawn round the same thing in simulation and in the photos?",
        "classification": "Look at the parts that are taken for each other: are their sizes and finishes right?",
        "duplicate": "Look at parts with two boxes: heaps may be rarer in simulation than in the photos",
        "background": "Look at the false alarms: put such things into the simulated scenes",
        "both": "Look at the boxes that fit no part",
        "missed": "Look at the missed parts: are there such poses, sizes and looks in simulation?",
    }
    top = max((one for one in errors if one.label in words), key=lambda one: one.figure.value or 0.0, default=None)
    if top is None or top.figure.value is None or top.figure.value < 1.0:
        return []
    of_place, effect = {one.label: one.figure.value or 0.0 for one in errors}, top.figure
    if top.label == "background" and of_place.get(OUTSIDE, 0.0) > of_place.get(INSIDE, 0.0):
        words["background"] = "Look at the false alarms beside the work area: put such things around it in simulation"
        effect = next(one.figure for one in errors if one.label == OUTSIDE)
    return [
        Action(
            action=words[top.label], knob="", from_value="", to_value="",
            because=f"of all kinds of errors, this one costs most: {top.label}, {top.so}", evidence="counted",
            effect=effect, cost="look at the pictures of this page",
        )
    ]  # fmt: skip


def _of_runs(efficiency: LabelEfficiency) -> list[Action]:
    if not efficiency.missing:
        return []
    hours = efficiency.missing_hours
    cost = "not known" if hours.value is None else f"{hours.value:.1f} h"
    return [
        Action(
            action="Train the runs that are missing, to know how many photos simulation is worth", knob="",
            from_value="", to_value="", because="; ".join(efficiency.missing[:3]), evidence="guess",
            effect=not_measured("It changes no detector.", POINTS), cost=cost,
        )
    ]  # fmt: skip
