"""Laws of the report's pictures: what counts as hit, miss and false alarm, and that nothing is fetched from outside."""

import base64

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.overlap import iou
from pipelines.gap.pictures import crop, judge, to_uri

TRUTH = np.array([[10.0, 10.0, 30.0, 30.0], [50.0, 50.0, 80.0, 70.0]])
LABELS = np.array([0, 1])


def test_truth_itself_is_all_hits() -> None:
    outcome = judge(TRUTH, LABELS, TRUTH, LABELS)
    assert (len(outcome.hits), len(outcome.false_alarms), len(outcome.misses)) == (2, 0, 0)


def test_the_right_box_of_the_wrong_category_is_a_false_alarm_and_a_miss() -> None:
    outcome = judge(TRUTH[:1], np.array([1]), TRUTH, LABELS)
    assert outcome.false_alarms.tolist() == [0]
    assert outcome.misses.tolist() == [0, 1]


def test_a_second_detection_of_one_part_is_a_false_alarm() -> None:
    outcome = judge(TRUTH[[0, 0]], LABELS[[0, 0]], TRUTH, LABELS)
    assert outcome.hits.tolist() == [0]
    assert outcome.false_alarms.tolist() == [1]
    assert outcome.misses.tolist() == [1]


def test_no_truth_and_no_detections_are_no_trouble() -> None:
    none, no_labels = np.zeros((0, 4)), np.zeros(0, int)
    assert judge(TRUTH, LABELS, none, no_labels).false_alarms.tolist() == [0, 1]
    assert judge(none, no_labels, TRUTH, LABELS).misses.tolist() == [0, 1]


@given(st.lists(st.tuples(*[st.floats(0, 90)] * 2, *[st.floats(1, 50)] * 2), max_size=8), st.integers(0, 99))
def test_every_detection_and_every_truth_is_counted_once(corners: list[tuple[float, ...]], seed: int) -> None:
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in corners]).reshape(-1, 4)
    labels = np.random.default_rng(seed).integers(0, 2, len(boxes))
    outcome = judge(boxes, labels, TRUTH, LABELS)
    assert sorted([*outcome.hits, *outcome.false_alarms]) == list(range(len(boxes)))
    assert len(outcome.hits) + len(outcome.misses) == len(TRUTH)


def test_overlap_of_halves_is_a_third() -> None:
    a, b = np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([[5.0, 0.0, 15.0, 10.0]])
    assert iou(a, b)[0, 0] == 1 / 3


def test_a_crop_shows_the_middle_of_its_box() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[60:66, 20:26] = (200, 10, 10)
    view = crop(image, np.array([18.0, 58.0, 28.0, 68.0]), (0, 255, 0), 96)
    assert view.shape == (96, 96, 3)
    assert view[48, 48].tolist() == [200, 10, 10]


def test_a_picture_stands_for_itself() -> None:
    uri = to_uri(np.full((40, 2000, 3), (250, 20, 20), np.uint8), longest_px=100)
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    assert max(decoded.shape) == 100
    assert decoded[1, 50, 2] > 200  # still red, not blue
