"""Parts and grounds exchanged, with detectors that are invented: what fails is named, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.types import Detections
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from pipelines.gap.effects import crossed
from pipelines.gap.effects.crossed import KINDS, MOST_SCENES, Side, composed, section
from pipelines.gap.schema.effects import Pasted
from pipelines.gap.sections.answer import _of_pasted
from pipelines.gap.stats.grouping import PhotoSessions
from tests.pipelines.gap.scenes import scattered, source_of
from tests.pipelines.gap.sections.measured import invented

SESSIONS = np.repeat(np.arange(8), 3)
Misses = Callable[[str, str], float]


def right(frames: list[FrameRecord], missed: float, seed: int) -> list[Detections]:
    """The boxes of the frames as detections, without this share of them, and one false alarm in every other frame."""
    rng, found = np.random.default_rng(seed), []
    for k, one in enumerate(frames):
        kept = rng.random(len(one.labels)) >= missed
        boxes = np.concatenate(
            [one.boxes_xyxy_px[kept], np.array([[390.0, 390, 399, 399]] * (k % 2), np.float32).reshape(-1, 4)]
        )
        labels = np.concatenate([one.labels[kept], np.zeros(k % 2, np.int64)])
        scores = np.linspace(0.9, 0.5, len(labels)).astype(np.float32)
        found.append(Detections(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels)))
    return found


def sides() -> dict[str, Side]:
    _, photos = scattered(24, seed=1)
    _, scenes = scattered(30, seed=2)
    return {
        "photos": Side.of(source_of(photos), SESSIONS, range(24), 60),
        "simulation": Side.of_scenes(source_of(scenes)),
    }


def of(misses: Misses, plain: float = 0.1) -> Pasted:
    """The section of a detector that misses these shares in the four kinds of pictures."""
    both = sides()
    composers, missing = composed(both)  # type: ignore[arg-type]
    assert missing == ""
    assert tuple(composers) == KINDS
    found = {kind: right(list(both[kind[1]].pictures.frames), misses(*kind), 5) for kind in composers}
    return section(both, composers, found, right(list(both["photos"].pictures.frames), plain, 5))  # type: ignore[arg-type]


def effects(found: Pasted) -> dict[str, tuple[float | None, str]]:
    return {one.name: (one.effect.value, one.so) for one in found.exchanges}


def test_a_detector_that_fails_on_the_photos_parts_alone_says_so() -> None:
    found = of(lambda parts, ground: 0.5 if parts == "photos" else 0.1, plain=0.5)
    (parts, said), (grounds, other) = effects(found)["parts"], effects(found)["grounds"]
    assert parts is not None
    assert grounds is not None
    assert parts > 30
    assert said == "the photos' parts cost AP today: vary the parts more in simulation"
    assert abs(grounds) < 8
    assert other == "makes no difference that can be told"
    assert found.pasting.value == 0.0
    values = {(one.parts, one.grounds): one.ap50.value for one in found.cells}
    assert values["simulation", "photos"] - values["photos", "photos"] == pytest.approx(parts / 100)  # type: ignore[operator]
    assert values["photos", "simulation"] - values["photos", "photos"] == pytest.approx(grounds / 100)  # type: ignore[operator]
    (action,) = _of_pasted(found)
    assert (action.evidence, action.effect.value) == ("up_to", parts)


def test_a_detector_that_fails_on_simulated_parts_alone_gives_no_advice() -> None:
    found = of(lambda parts, ground: 0.5 if parts == "simulation" else 0.1)
    value, said = effects(found)["parts"]
    assert value is not None
    assert value < -30
    assert said == "the detector does worse with simulated parts: the photos' parts cost nothing"
    assert effects(found)["grounds"][1] == "makes no difference that can be told"
    assert _of_pasted(found) == []


def test_a_detector_that_fails_on_the_photos_grounds_alone_says_so() -> None:
    found = of(lambda parts, ground: 0.5 if ground == "photos" else 0.1, plain=0.5)
    value, said = effects(found)["grounds"]
    assert value is not None
    assert value > 30
    assert said == "the photos' grounds cost AP today: vary what lies under and around the parts more in simulation"
    assert effects(found)["parts"] == (0.0, "not known")
    assert found.exchanges[1].effect.p_holm is not None
    assert found.exchanges[1].effect.method.startswith("two data sets")


@pytest.mark.parametrize(("plain", "said"), [(0.1, False), (0.3, True)])
def test_where_pasting_alone_changes_too_much_nothing_is_said(plain: float, said: bool) -> None:
    found = of(lambda parts, ground: 0.1 if parts == "simulation" else 0.3, plain)
    statuses = {one.effect.status for one in found.exchanges}
    assert statuses == ({"measured"} if said else {"not_measured"})
    assert len(found.cells) == 4
    if not said:
        assert found.pasting.value is not None
        assert found.pasting.value < -2
        assert "more than 2, so nothing is said" in found.exchanges[0].effect.note
        assert {one.so for one in found.exchanges} == {"not known"}


def test_a_category_of_one_session_alone_cannot_be_pasted() -> None:
    both = sides()
    alone = [
        replace(one, labels=np.full(6, 1 if k < 3 else 0, np.int64))
        for k, one in enumerate(both["photos"].pictures.frames)
    ]
    both["photos"] = Side.of(source_of(alone), SESSIONS, range(24), 60)
    composers, missing = composed(both)  # type: ignore[arg-type]
    assert composers == {}
    assert missing == "No session of photos but the picture's own shows nut, to be pasted."
    found = section(both, {}, {}, right(alone, 0.1, 5), missing)  # type: ignore[arg-type]
    assert {one.effect.note for one in found.exchanges} == {missing}
    assert found.plain.value is not None


def test_of_scenes_the_middle_frame_is_taken_and_no_more_pictures_than_are_needed() -> None:
    _, records = scattered(3 * 70, seed=3)
    clips = tuple(Clip(f"{k}", tuple(records[3 * k : 3 * k + 3])) for k in range(70))
    side = Side.of_scenes(ClipSource("sim", ("bolt", "nut"), clips))
    assert len(side.pictures.frames) == MOST_SCENES
    assert side.units == MOST_SCENES
    assert {place % 3 for place in side.places} == {1}
    assert side.places[0] == 1
    assert side.places[-1] > 3 * 60
    assert [len(clip.frames) for clip in side.source.clips] == [1] * MOST_SCENES


def test_each_kind_is_looked_at_with_its_own_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both, keys = sides(), dict[str, str]()

    def made(run: object, source: ClipSource, cache: Path, name: str, make: object, title: str, show: object) -> object:
        keys[title] = name
        return right(list(source.frames), 0.3 if "parts of photos" in title else 0.1, 5)

    monkeypatch.setattr(crossed, "detect_made", made)
    monkeypatch.setattr(crossed, "content_hash", lambda frames: f"{len(frames)}")
    photos, scenes = both["photos"], both["simulation"]
    plain = right(list(photos.pictures.frames), 0.3, 5)
    found = crossed.crossed(
        invented("sim", 0, 0, True),
        photos.source,
        PhotoSessions(SESSIONS, "pattern", ""),
        plain,
        scenes.source,
        tmp_path,
    )
    assert len(set(keys)) == 4
    assert len(set(keys.values())) == 4
    assert effects(found)["parts"][1] == "the photos' parts cost AP today: vary the parts more in simulation"
    assert "24 photos of --look and 30 simulated pictures" in found.note
