"""Pictures without parts, photos to match and pasted parts: what is added to the sources, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from hybrid.core.errors import DataError
from hybrid.data.coco import read_coco
from hybrid.training.config import AugmentConfig
from hybrid.training.samples.sampler import WeightedSource
from pipelines.common.extras import Extras
from tests.hybrid.photos import coco_document, write_coco


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "ab":
        cv2.imwrite(str(folder / f"{name}.png"), np.full((40, 50, 3), 90, np.uint8))
    (folder / "c.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def labelled(tmp_path: Path) -> WeightedSource:
    return WeightedSource(read_coco(write_coco(tmp_path / "data", coco_document(2, boxes=2))), 0.7)


def test_without_options_the_sources_and_the_augmentation_are_as_before(labelled: WeightedSource) -> None:
    assert Extras().shares([labelled], [True]) == [labelled]
    assert Extras().augmentation() == AugmentConfig()


def test_empty_pictures_are_a_source_of_the_asked_share_and_are_counted(
    labelled: WeightedSource, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = Extras(empty=photos, empty_share=0.2).shares([labelled], [True])
    assert first == labelled
    assert second.weight / (first.weight + second.weight) == pytest.approx(0.2)
    assert [(clip.name, len(clip.frames[0].labels)) for clip in second.source.clips] == [("a.png", 0), ("b.png", 0)]
    assert second.source.categories == first.source.categories
    said = capsys.readouterr().err
    assert "2 pictures are taken as background, in 20% of the samples" in said
    assert "1, such as c.png" in said


def test_only_rendered_sources_get_the_look_of_the_photos(labelled: WeightedSource, photos: Path) -> None:
    extras = Extras(match=photos, match_by="both", match_share=0.6)
    real, rendered = extras.shares([labelled, replace(labelled, weight=0.3)], [False, True])
    assert real.look is None
    assert rendered.look is not None
    assert len(rendered.look) == 2
    augment = extras.augmentation(occluders=0.1)
    assert (augment.fourier, augment.histogram, augment.occluders) == (0.3, 0.3, 0.1)
    with pytest.raises(DataError, match="changes rendered tiles; there are none"):
        extras.shares([labelled], [False])


def test_mistakes_are_told_before_anything_is_trained(labelled: WeightedSource, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labelled part can be cut out"):
        Extras(copy_paste=0.3).shares([labelled], [True])
    for values, message in (
        ({"copy_paste": 1.5}, "--copy-paste: needs a share from 0 to 1, got 1.5"),
        ({"match": tmp_path / "no"}, "--match .*no: is no folder of pictures"),
        ({"empty": photos, "empty_share": 1.0}, "--empty-share: needs a share between 0 and 1, got 1.0"),
    ):
        with pytest.raises(DataError, match=message):
            Extras(**values)
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        Extras(empty=bare).shares([labelled], [True])
