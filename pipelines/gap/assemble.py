"""A report from runs and data: measured once, then each section is made from the measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from hybrid.core.progress import Together
from hybrid.core.types import Detections
from hybrid.data.clips import ClipSource, skipped_lines
from hybrid.weights.checkpoint import load
from pipelines.common.data import STAND_IN, data_hash, split_to_measure
from pipelines.common.record import weights_hash
from pipelines.gap.advice.advise import Advice, advice
from pipelines.gap.advice.labelling import Labelling
from pipelines.gap.advice.photos import next_photos
from pipelines.gap.advice.trial_progress import CLIPS, STILLS, Sizes, TrialProgress
from pipelines.gap.advice.trials import SEEDS, TrialWishes, try_out
from pipelines.gap.effects.crossed import crossed
from pipelines.gap.effects.drawn import drawn_values
from pipelines.gap.features.compared import Compared, Side, compared
from pipelines.gap.finished import FinishedRun
from pipelines.gap.ledger import Ledger, Purpose, count_reading
from pipelines.gap.measure import detect_made, device, measure
from pipelines.gap.panels import run_pictures
from pipelines.gap.schema.effects import Pasted
from pipelines.gap.schema.figure import counted, not_measured
from pipelines.gap.schema.report import Report
from pipelines.gap.schema.sections import Answer, DataSet, Knob, Named, Performance, Trust, Where
from pipelines.gap.sections.answer import do_next, headline, lead, no_labels, sentence
from pipelines.gap.sections.efficiency import label_efficiency
from pipelines.gap.sections.knobs import areas_of, knobs, photo_changes
from pipelines.gap.sections.over_time import followed_clips, has_clips, over_time
from pipelines.gap.sections.performance import comparisons, gap, performance, smallest
from pipelines.gap.sections.pool import Pool, chosen_score
from pipelines.gap.sections.runs import Measured, RunGroup, draws_of, grouped, run_row, run_to_look_at
from pipelines.gap.sections.scenes import scenes
from pipelines.gap.sections.where import NOWHERE, where
from pipelines.gap.sections.where import Side as OfRun
from pipelines.gap.sections.why import Looks, alikeness, looks, no_pictures, why
from pipelines.gap.sessions import levels_of
from pipelines.gap.sets import NO_LABELS, ReportInputs, ReportSets, with_labels_of
from pipelines.gap.stats.errors import Area, check_area
from pipelines.gap.stats.grouping import PhotoSessions, group
from pipelines.gap.stats.interval import LEAST_SESSIONS, mean_figure, share_figure
from pipelines.gap.stats.objects import object_looks
from pipelines.gap.stats.resampled import DRAWS, Resampled, resampled
from simgen.dataset.store.locations import Location
from simgen.spec.text.printable import redacted

Role = Literal["simulated", "test", "pool"]
NO_POOL = "Photos beside the test photos are needed: give --look."


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a report shall hold."""

    out: Path
    made: str
    command: str
    photos: bool = True  # show them
    quick: bool = False  # leave out what takes long
    final: bool = False
    look_at: str | None = None  # the run that the sections are about; None: see `run_to_look_at`
    sessions: str | None = None  # a regular expression; None: guess
    area: Area | None = None  # where parts can be in the test photos; None: round the labelled boxes
    recall: float | None = None  # wanted in use; None: the best F1
    unlabelled: Path | None = None  # a folder of photos of which the next to label are chosen
    config: Path | None = None  # where the wider ranges shall be written as a preset
    iterate: int = 0  # changes to try by rendering and training
    trial_scenes: int = 64
    trial_steps: int = 200
    show: Together = field(default_factory=Together)  # the one display of what is done

    @property
    def cache(self) -> Path:
        return self.out.with_name(f"{self.out.stem}-cache")

    @property
    def preset_folder(self) -> Path:
        """Where the preset with the wider ranges will lie: its base is named from there."""
        return (self.out if self.config is None else self.config).parent


def report_of(inputs: ReportInputs, sets: ReportSets, runs: Sequence[FinishedRun], wishes: Wishes) -> Report:
    """Measure what is not measured yet, and make all sections.

    Raises:
        DataError: a run is named twice, the run to look at is none of them, sessions do not fit the names, or the work
            area does not fit the photos.
    """
    if wishes.area is not None:
        check_area(wishes.area, sets.target.frames)
    sim = group(sets.sim, None, scenes=True)
    real = group(sets.target, wishes.sessions, scenes=sets.word == STAND_IN)
    chosen, looked_at = run_to_look_at(runs, wishes.look_at)
    _expect(sets, runs, wishes)
    trials = _trials(sets, chosen, wishes)
    measured = [_measured(run, sets, sim, real, wishes) for run in runs]
    groups, looked = grouped(measured), next(one for one in measured if one.run is chosen)
    rows = [performance(one, sim, real) for one in groups]
    pairs, efficiency = comparisons(groups, real), label_efficiency(groups, real, None, scenes(groups, real))
    pool, seen = _pool(inputs, sets, wishes)
    coverage = no_pictures(NO_POOL) if seen is None or pool is None else why(seen, _compared(pool, inputs))
    score = _score(looked.run, pool, wishes)
    found = _where(looked, sets, sim, real, score, wishes.area, wishes.sessions) if sets.labelled else NOWHERE
    effects = () if wishes.quick or pool is None or seen is None else _knobs(looked.run, pool, seen, wishes)
    pasted = None if pool is None else _pasted(looked.run, pool, sets, wishes)
    on_sim = with_labels_of(sets.sim, looked.run)
    drawn = drawn_values(looked.run, inputs.sim, on_sim, looked.sim.detections, score, wishes.show)
    advised = advice(inputs.sim, coverage.coverage, effects, wishes.preset_folder, wishes.made)
    tried = try_out(advised, looked.run, pool, trials)
    advised, effects = tried.advice, (*tried.effects, *effects)
    label = _to_label(looked.run, pool, wishes)
    seen_as = _features(looked.run, sets, pool, wishes)
    top = groups[[id(row) for row in rows].index(id(headline(rows)))]
    photos = "photos" if sets.word != STAND_IN else "stand-in photos"
    return Report(
        made=wishes.made,
        title=Path(redacted(str(inputs.target))).parent.name or redacted(str(inputs.target)),
        target=sets.word,
        mode="final" if wishes.final else "quick" if wishes.quick else "full",
        categories=sets.target.categories,
        answer=Answer(
            sentence=sentence(rows, photos) if sets.labelled else no_labels(len(sets.target.frames), coverage.coverage),
            lead=lead(rows, pairs, efficiency, photos) if sets.labelled else f"{NO_LABELS}.",
            looked_at=looked_at,
            in_use=_in_use(top, real, _score(top.first, pool, wishes), wishes) if sets.labelled else (),
            gap=gap(next(one for one in groups if looked in one.members), sim, real)
            if sets.labelled
            else not_measured(NO_LABELS, "points of AP50"),
        ),
        performance=tuple(rows),
        comparisons=pairs,
        label_efficiency=efficiency,
        where=found,
        why=replace(coverage, features=seen_as.rows, map=seen_as.points),
        knobs=effects,
        do_next=do_next(coverage.coverage, effects, found, efficiency, advised, label, pasted),
        trust=_trust(inputs, sets, groups, rows, real, seen, wishes, advised),
        runs=tuple(run_row(one) for one in measured),
        data=_data(inputs, sets),
        command=wishes.command,
        pictures=run_pictures(sets, looked.run, looked.sim, looked.real, wishes.photos)
        | seen_as.pictures | label.pictures,
        pasted=pasted,
        drawn=drawn,
    )  # fmt: skip


def _expect(sets: ReportSets, runs: Sequence[FinishedRun], wishes: Wishes) -> None:
    """Announce how many pictures the runs will look at. What is stored already is taken out when it is found."""
    for run in runs:
        wishes.show.expect(f"{run.folder.name} on simulated", len(sets.sim.frames))
        wishes.show.expect(f"{run.folder.name} on {sets.word}", len(sets.target.frames))


def _trials(sets: ReportSets, run: FinishedRun, wishes: Wishes) -> TrialWishes:
    """What is to be tried; as much as it may take is announced now."""
    scene, picture = sets.sim.frames[0], sets.target_images.frames[0]
    sizes = Sizes.of(
        scenes=wishes.trial_scenes, steps=wishes.trial_steps, pictures=len(sets.target_images.frames), seeds=len(SEEDS),
        picture_px=picture.width_px * picture.height_px,
        scene_px=scene.width_px * scene.height_px * max(len(clip.frames) for clip in sets.sim.clips),
        step_px=run.tile_px**2 * (CLIPS if run.model.tracks else STILLS),
    )  # fmt: skip
    progress = TrialProgress(wishes.show, sizes, wishes.iterate + 2 if wishes.iterate else 0)
    return TrialWishes(
        wishes.iterate, wishes.trial_scenes, wishes.trial_steps, wishes.out.with_name(f"{wishes.out.stem}-trials"),
        wishes.cache, wishes.preset_folder, wishes.made, progress,
    )  # fmt: skip


def _measured(run: FinishedRun, sets: ReportSets, sim: PhotoSessions, real: PhotoSessions, wishes: Wishes) -> Measured:
    on_sim, on_real = with_labels_of(sets.sim, run), with_labels_of(sets.target, run)
    first = measure(run, on_sim, wishes.cache, f"{run.folder.name} on simulated", wishes.show)
    second = measure(run, on_real, wishes.cache, f"{run.folder.name} on {sets.word}", wishes.show)
    return Measured(run, first, second, draws_of(first, on_sim, sim), draws_of(second, on_real, real))


def _pool(inputs: ReportInputs, sets: ReportSets, wishes: Wishes) -> tuple[Pool | None, Looks | None]:
    if inputs.look is None and sets.labelled:
        return None, None  # test photos are not looked at
    sessions = group(sets.target_images, wishes.sessions, scenes=sets.word == STAND_IN)
    pool = Pool(sets.target_images, inputs.look or inputs.target, sessions)
    return pool, looks(sets.sim_images, sets.target_images, sessions)


def _compared(pool: Pool, inputs: ReportInputs) -> str:
    if inputs.look is None:
        return f"Compared with --real, photos without labels: {pool.sessions.in_words()}."
    return f"Compared with --look: {pool.sessions.in_words()}. None of them is a test photo."


def _score(run: FinishedRun, pool: Pool | None, wishes: Wishes) -> float | None:
    """The score in use, chosen on photos of the pool that the run was not trained on; None: there are none."""
    part = None if pool is None else pool.unseen(run)
    if part is None:
        return None
    source, _ = part
    found = measure(run, source, wishes.cache, f"{run.folder.name} on --look", wishes.show)
    return chosen_score(found.detections, source, wishes.recall)


def _where(
    looked: Measured,
    sets: ReportSets,
    sim: PhotoSessions,
    real: PhotoSessions,
    score: float | None,
    area: Area | None,
    pattern: str | None,
) -> Where:
    of_sim, of_real = with_labels_of(sets.sim, looked.run), with_labels_of(sets.target, looked.run)
    sides = (
        OfRun.of(looked.sim.detections, of_sim.frames, sim),
        OfRun.of(looked.real.detections, of_real.frames, real),
    )
    seen = (object_looks(of_sim.frames), object_looks(of_real.frames))
    levels = levels_of([frame.name for frame in of_real.frames], pattern)
    found = where(*sides, of_real.categories, score, area, seen, levels)
    if not has_clips(of_real):
        return found
    used = looked.run.score if score is None else score
    simulated = followed_clips(looked.sim.detections, of_sim, sim, used)
    return replace(found, time=over_time(simulated, followed_clips(looked.real.detections, of_real, real, used), used))


def _knobs(run: FinishedRun, pool: Pool, seen: Looks, wishes: Wishes) -> tuple[Knob, ...]:
    part = pool.unseen(run)
    if part is None:
        return ()
    source, sessions = part
    draws = DRAWS if sessions.count >= LEAST_SESSIONS else 0

    def drawn(found: Sequence[Detections]) -> Resampled:
        return resampled(found, source.frames, sessions.of_frame, draws)

    changes = {f"{run.folder.name}, {one.name} changed": one for one in photo_changes(seen, areas_of(source, sessions))}
    for title in changes:
        wishes.show.expect(title, len(source.frames))
    plain = measure(run, source, wishes.cache, f"{run.folder.name} on --look", wishes.show).detections
    detections = [
        detect_made(run, source, wishes.cache, one.key, one.made, title, wishes.show) for title, one in changes.items()
    ]
    return knobs(list(changes.values()), detections, drawn, drawn(plain), sessions)


def _pasted(run: FinishedRun, pool: Pool, sets: ReportSets, wishes: Wishes) -> Pasted | None:
    part = pool.unseen(run)
    if part is None:
        return None
    source, sessions = part
    plain = measure(run, source, wishes.cache, f"{run.folder.name} on --look", wishes.show).detections
    scenes = with_labels_of(sets.sim, run)
    return crossed(run, source, sessions, plain, scenes, wishes.cache, wishes.show)


def _features(run: FinishedRun, sets: ReportSets, pool: Pool | None, wishes: Wishes) -> Compared:
    """Parts in the detector's features: those of the pool beside simulated ones. The test photos are not looked at."""
    if pool is None or not sum(pool.source.counts().values()):
        return Compared()
    sim = Side(sets.sim_images, group(sets.sim_images, None, scenes=True))
    word: Literal["real", "stand-in"] = "stand-in" if sets.word == STAND_IN else "real"
    return compared(load(run.folder, device=device()), sim, Side(pool.source, pool.sessions), word, wishes.photos)


def _to_label(run: FinishedRun, pool: Pool | None, wishes: Wishes) -> Labelling:
    """The photos of --unlabelled to label next."""
    if wishes.unlabelled is None:
        return Labelling()
    labelled = None if pool is None or not sum(pool.source.counts().values()) else pool.source
    return next_photos(wishes.unlabelled, run, labelled, wishes.sessions, wishes.cache, wishes.photos, wishes.show)


def _in_use(top: RunGroup, real: PhotoSessions, score: float | None, wishes: Wishes) -> tuple[Named, ...]:
    """What the detector of the first sentence finds at the score in use."""
    labels = ("Parts found", "False alarms a photo", "At score")
    if score is None:
        missing = (
            f"{NO_POOL} Those that {top.members[0].name} was trained on do not count, and at least 5 others are needed."
        )
        units = ("share", "false alarms a photo", "score")
        return tuple(Named(label=a, figure=not_measured(missing, unit)) for a, unit in zip(labels, units, strict=True))
    one, photos = top.members[0].on_real, len(real.of_frame)
    found, alarms = one.found(score), one.false_alarms(score)
    chosen = "best F1" if wishes.recall is None else f"a recall of {wishes.recall:g}"
    return (
        Named(
            label=labels[0], so=f"by {top.members[0].name}",
            figure=share_figure([float(found[0])], found[None, 1:], real.count, "share", photos),
        ),
        Named(
            label=labels[1],
            figure=mean_figure([float(alarms[0])], alarms[None, 1:], real.count, "false alarms a photo", photos),
        ),
        Named(label=labels[2], figure=counted(score, "score"), so=f"chosen on the photos of --look, for {chosen}"),
    )  # fmt: skip


def _trust(
    inputs: ReportInputs, sets: ReportSets, groups: Sequence[RunGroup], rows: Sequence[Performance],
    real: PhotoSessions, seen: Looks | None, wishes: Wishes, advised: Advice,
) -> Trust:  # fmt: skip
    runs = [one.run for own in groups for one in own.members]
    purpose: Purpose = "final" if wishes.final else "look"
    ledger = _counted(inputs.target, runs, purpose, wishes.made) if sets.labelled else Ledger(None, (), whole=True)
    return Trust(
        sessions=real.count,
        sessions_made=real.made,
        sessions_in_words=real.in_words("photos" if sets.word != STAND_IN else "stand-in photos"),
        icc=() if seen is None else alikeness(seen),
        readings=ledger.readings,
        readings_in_words=ledger.in_words() if sets.labelled else "Photos without labels are not counted.",
        smallest_difference=smallest(groups, real),
        seeds="; ".join(f"{row.name}: {len(row.runs)}" for row in rows),
        left_out=(
            *skipped_lines(sets.target.skipped),
            *(note for note in (sets.target_note, advised.left_out) if note),
        ),
    )


def _counted(data: Location, runs: Sequence[FinishedRun], purpose: Purpose, made: str) -> Ledger:
    named = [(run.folder.name, weights_hash(run.folder)) for run in runs]
    return count_reading(data, data_hash(data, split_to_measure(data)), named, purpose, made)


def _data(inputs: ReportInputs, sets: ReportSets) -> tuple[DataSet, ...]:
    rows = [data_set("simulated", inputs.sim, sets.sim, sets.note)]
    rows.append(data_set("test", inputs.target, sets.target, sets.target_note))
    if inputs.look is not None:
        rows.append(data_set("pool", inputs.look, sets.target_images, "looked at, and chosen on"))
    return tuple(rows)


def data_set(role: Role, path: Location, source: ClipSource, note: str) -> DataSet:
    """A data set's row in the table of data."""
    boxes = sum(source.counts().values())
    where_from = redacted(str(path))
    return DataSet(
        role=role, path=where_from, images=len(source.frames), boxes=boxes, note=note,
        left_out=tuple(skipped_lines(source.skipped)),
    )  # fmt: skip
