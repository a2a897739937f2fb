"""Coverage as advice, and changes of the photos with a detector that stays."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import t as student

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from pipelines.gap.appearance import STATISTICS, brightness, contrast, image_statistics, noise, saturation, warmth
from pipelines.gap.sections.knobs import balanced, denoised, grey, knobs, lit, photo_changes
from pipelines.gap.sections.why import LEVELS, Looks, alikeness, evenly, looks, no_pictures, why
from pipelines.gap.stats.grouping import PhotoSessions
from pipelines.gap.stats.resampled import Resampled, resampled
from tests.pipelines.gap.scenes import scattered
from tests.pipelines.gap.sections.measured import SESSIONS

BOXES = np.array([[8.0, 8.0, 30.0, 30.0]])
NO_BOXES = np.zeros((0, 4))
OF_REAL = PhotoSessions(np.repeat(np.arange(8), 3), "pattern", "by hand")


def picture(seed: int, level: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(-20, 20, 48)[:, None, None]
    return (level + ramp + rng.normal(0, 3.0, (48, 48, 3))).clip(0, 255).astype(np.uint8)


@cache
def seen(simulated: tuple[float, float], real: tuple[float, float], of_parts: bool = True) -> Looks:
    """Pictures with brightness drawn between these."""
    rng, boxes = np.random.default_rng(0), BOXES if of_parts else NO_BOXES
    sides = [
        image_statistics([(picture(k, float(rng.uniform(*ends))), boxes) for k in range(count)])
        for ends, count in ((simulated, 110), (real, 24))
    ]
    return Looks(sides[0], sides[1], OF_REAL, of_parts=of_parts)


def row_of(found: Looks, name: str = "brightness") -> tuple[str, str]:
    row = next(one for one in why(found, "").coverage if one.name == name)
    return row.verdict, row.so


def test_a_simulation_that_is_wider_than_reality_is_left_alone() -> None:
    assert row_of(seen((60, 200), (120, 140))) == ("covered", "leave it")


@pytest.mark.parametrize(
    ("real", "words"), [((180, 200), "widen the range up to 19"), ((50, 60), "widen the range down to 49")]
)
def test_advice_widens_the_side_that_is_violated(real: tuple[float, float], words: str) -> None:
    verdict, so = row_of(seen((100, 140), real))
    assert verdict == "beyond"
    assert so.startswith(words)
    assert so.endswith("raise exposure or light" if real[0] > 140 else "lower exposure or light")


def test_smaller_and_more_parts_are_one_finding_of_which_the_cause_comes_first() -> None:
    found, rng = seen((60, 200), (120, 140)), np.random.default_rng(1)
    simulated = {name: list(rng.uniform(20, 80, (110, 1))) for name in ("box_size", "parts_per_image")}
    real = {"box_size": list(rng.uniform(8, 12, (24, 1))), "parts_per_image": list(rng.uniform(90, 99, (24, 1)))}
    far = Looks(found.simulated | simulated, found.real | real, OF_REAL, of_parts=True)
    verdict, so = row_of(far, "parts_per_image")
    assert (verdict, so) == ("beyond", "may follow: widen the range of size of parts first, then look again")
    assert row_of(far, "box_size")[1].startswith("widen the range down to")


def test_quantiles_are_those_of_both_sides_and_the_distance_is_a_description() -> None:
    (row,) = [one for one in why(seen((100, 140), (180, 200)), "").coverage if one.name == "brightness"]
    assert len(row.simulated) == len(row.real) == len(LEVELS)
    assert row.simulated[3] == pytest.approx(120, abs=4)
    assert row.real[3] == pytest.approx(190, abs=4)
    assert row.distance.value is not None
    assert row.distance.value > 2
    assert row.distance.note.startswith("A description")


def test_photos_without_boxes_say_nothing_of_parts() -> None:
    rows = why(seen((100, 140), (180, 200), of_parts=False), "24 photos.")
    assert {row.name for row in rows.coverage} == {name for name, one in STATISTICS.items() if not one.of_parts}
    assert rows.note.endswith("nothing is said of the parts.")
    assert {row.verdict for row in no_pictures("no photos").coverage} == {"too_few"}


def test_pictures_of_a_session_are_told_alike() -> None:
    found = seen((100, 140), (120, 140))
    by_session = np.repeat(np.linspace(100, 200, 8), 3) + np.tile([0.0, 1.0, 2.0], 8)
    alike = Looks(found.simulated, found.real | {"brightness": [np.array([v]) for v in by_session]}, OF_REAL, True)
    assert next(one for one in alikeness(alike) if one.label == "brightness").figure.value == pytest.approx(
        1.0, abs=0.01
    )


def test_frames_come_from_all_over_a_clip(tmp_path: Path) -> None:
    assert evenly(3, 5) == [0, 1, 2]
    assert evenly(10, 5) == [0, 2, 4, 6, 8]

    def frame(level: int) -> FrameRecord:
        path = tmp_path / f"{level}.png"
        cv2.imwrite(str(path), np.full((48, 48, 3), level, np.uint8))
        return FrameRecord(
            name=path.name, path=path, width_px=48, height_px=48, boxes_xyxy_px=BOXES.astype(np.float32),
            labels=np.zeros(1, np.int64),
        )  # fmt: skip

    frames = [frame(level) for level in (10, 20, 30, 40, 50, 60)]
    sim = ClipSource("sim", ("bolt",), tuple(Clip(f"{k}", tuple(frames)) for k in range(12)))
    real = ClipSource("real", ("bolt",), tuple(Clip(one.name, (one,)) for one in frames))
    got = looks(sim, real, PhotoSessions(np.array([0, 0, 1, 1, 2, 2]), "pattern", ""))
    assert len({float(values[0]) for values in got.simulated["brightness"]}) > 1
    assert [float(values[0]) for values in got.real["brightness"]] == [10, 20, 30, 40, 50, 60]
    assert got.sessions.of_frame.tolist() == [0, 0, 1, 1, 2, 2]


def test_each_change_changes_what_it_says() -> None:
    image = picture(0, 120.0)
    image[..., 0] = image[..., 0] // 2
    assert warmth(balanced(image, 0.1), BOXES)[0] == pytest.approx(0.1, abs=0.02)
    assert brightness(lit(image, 150.0), BOXES)[0] == pytest.approx(150, abs=6)
    assert noise(denoised(picture(0, 120.0)), BOXES)[0] < 0.7 * noise(picture(0, 120.0), BOXES)[0]
    assert saturation(grey(image), BOXES)[0] == 0.0
    assert contrast(grey(image), BOXES)[0] == pytest.approx(contrast(image, BOXES)[0], abs=0.5)
    names = [one.name for one in photo_changes(seen((100, 140), (120, 140)), [None])]
    assert names == ["white balance", "brightness", "noise", "sharpness", "saturation", "larger", "smaller"]


def test_boxes_found_in_a_photo_of_another_size_are_compared_where_the_parts_were() -> None:
    """A detector that finds all parts of the larger photo, where they are there: AP50 is 1 only after going back."""
    change = next(one for one in photo_changes(seen((100, 140), (120, 140))) if one.name == "larger")
    assert change.of(0, picture(0, 120.0)).shape[:2] == (60, 60)
    _, frames = scattered(18, seed=2, missed=0.5)
    found = [
        Detections(torch.from_numpy(1.25 * one.boxes_xyxy_px), torch.full((6,), 0.9), torch.from_numpy(one.labels))
        for one in frames
    ]
    nothing = [one.take(one.scores > 2.0) for one in found]

    def drawn(detections: object) -> Resampled:
        return resampled(detections, frames, SESSIONS.of_frame)  # type: ignore[arg-type]

    (got,) = knobs([change], [found], drawn, drawn(nothing), SESSIONS)
    assert got.effect.value == pytest.approx(100.0)


def test_what_lies_beside_the_work_area_becomes_grey_and_nothing_else_changes() -> None:
    image = np.random.default_rng(0).integers(0, 100, (400, 600, 3)).astype(np.uint8)
    area = np.array([[100, 100], [500, 100], [500, 300], [100, 300]], np.float32)
    changes = photo_changes(seen((100, 140), (120, 140)), [None, area])
    change = changes[-1]
    assert change.name == "surroundings"
    assert (change.of(0, image) == image).all()  # the first photo's area is not known
    got = change.of(1, image)
    assert (got[100:301, 100:501] == image[100:301, 100:501]).all()
    assert (got[92:309, 92:509] == image[92:309, 92:509]).mean() > 0.97  # so do parts that reach out a little
    assert (got[:80] == 128).all()
    assert (got[:, 520:] == 128).all()
    other = photo_changes(seen((100, 140), (120, 140)), [None, area + 1])[-1]
    assert other.key != change.key  # of another area other detections are kept


def test_a_change_that_gains_is_told_from_one_that_does_nothing() -> None:
    changes = photo_changes(seen((100, 140), (120, 140)))[:3]
    bad, frames = scattered(18, seed=2, missed=0.5)
    good = [
        Detections(torch.from_numpy(one.boxes_xyxy_px), torch.full((6,), 0.9), torch.from_numpy(one.labels))
        for one in frames
    ]
    worst = [one.take(one.scores > 2.0) for one in bad]

    def drawn(found: object) -> object:
        return resampled(found, frames, SESSIONS.of_frame)  # type: ignore[arg-type]

    got = knobs(changes, [bad, worst, good], drawn, drawn(bad), SESSIONS)  # type: ignore[arg-type]
    by_name = {one.name: one for one in got}
    assert got[0].name == "noise"
    assert by_name["white balance"].effect.value == 0.0
    assert by_name["noise"].effect.p_holm is not None
    assert by_name["noise"].so == "costs AP today: vary it more in simulation"
    assert by_name["brightness"].so == "the detector needs it: leave it in the photos"
    assert by_name["white balance"].so == "not known"


class Known(Resampled):
    """Detections whose AP50 is given, on all photos and on each draw."""

    ap50: np.ndarray = np.zeros(0)  # type: ignore[assignment]


def test_a_change_of_the_surroundings_is_no_range_to_vary() -> None:
    some = resampled(*scattered(18, seed=2), SESSIONS.of_frame, 0)
    plain, changed = (Known(some.matched, some.weights) for _ in range(2))
    object.__setattr__(plain, "ap50", np.zeros(501))
    object.__setattr__(changed, "ap50", np.full(501, 0.1) + np.random.default_rng(0).normal(0.0, 0.001, 501))
    change = photo_changes(seen((100, 140), (120, 140)), [np.eye(3, 2, dtype=np.float32)])[-1:]
    (got,) = knobs(change, [[]], lambda _: changed, plain, SESSIONS)
    assert got.so == "costs AP today: cut the photos to the work area, or put such things around it in simulation"


@pytest.mark.parametrize(
    ("p", "so"),
    [
        (0.04, "costs AP today: vary it more in simulation"),
        (0.06, "makes no difference that can be told"),
    ],
)
def test_a_change_makes_a_difference_where_its_p_is_under_a_twentieth(p: float, so: str) -> None:
    draws = np.random.default_rng(0).normal(0.0, 0.01, 500)
    value = student.isf(p / 2, 5) * draws.std(ddof=1) * np.sqrt(6 / 5)
    change = photo_changes(seen((100, 140), (120, 140)))[:1]
    some = resampled(*scattered(18, seed=2), SESSIONS.of_frame, 0)
    plain, changed = (Known(some.matched, some.weights) for _ in range(2))
    object.__setattr__(plain, "ap50", np.zeros(501))
    object.__setattr__(changed, "ap50", np.concatenate([[value], draws]))
    (got,) = knobs(change, [[]], lambda _: changed, plain, SESSIONS)
    assert (got.effect.p_holm, got.so) == (pytest.approx(p), so)
