"""Laws of the image statistics: each moves as its name says, and a difference by chance is recognized."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.gap.appearance import (
    STATISTICS,
    Values,
    box_elongation,
    box_size,
    brightness,
    causes,
    contrast,
    image_statistics,
    noise,
    part_brightness,
    part_contrast,
    part_tint,
    parts_per_image,
    pooled,
    saturation,
    sharpness,
    warmth,
)

BOXES = np.array([[8.0, 8.0, 40.0, 40.0], [20.0, 30.0, 60.0, 62.0]])


def picture(seed: int, level: float = 120.0, sigma: float = 4.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.normal(level, 20.0, (6, 6, 3)), (64, 64), interpolation=cv2.INTER_CUBIC)
    return (smooth + rng.normal(0.0, sigma, (64, 64, 3))).clip(0, 255).astype(np.uint8)


def statistics(seeds: range, **options: float) -> Values:
    return image_statistics((picture(seed, **options), BOXES) for seed in seeds)


@pytest.mark.parametrize("sigma", [0.3, 0.5, 0.7, 1.0, 2.0, 5.0, 10.0])
def test_noise_of_a_known_strength_is_measured_beside_texture_and_with_that_of_rounding(sigma: float) -> None:
    rng = np.random.default_rng(0)
    ramp = np.tile(np.linspace(60, 180, 256), (192, 1))
    ramp[:, 128:] += cv2.GaussianBlur(rng.normal(0.0, 100.0, (192, 128)), (0, 0), 2.0)
    grey = np.repeat(np.round(ramp + rng.normal(0.0, sigma, ramp.shape)).clip(0, 255).astype(np.uint8)[..., None], 3, 2)
    assert noise(grey, BOXES)[0] == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.06)
    assert STATISTICS["noise"].floor == pytest.approx(np.sqrt(1 / 12), abs=0.002)


def test_clipped_blocks_do_not_hide_noise() -> None:
    rng = np.random.default_rng(0)
    grey = 120 + rng.normal(0.0, 4.0, (128, 256))
    grey[:, 64:] = 255
    assert noise(np.repeat(grey.astype(np.uint8)[..., None], 3, 2), BOXES)[0] == pytest.approx(4.0, rel=0.1)


def test_an_image_smaller_than_a_block_has_a_noise_too() -> None:
    assert noise(np.zeros((10, 300, 3), np.uint8), BOXES).tolist() == [0.0]


def test_blur_lowers_sharpness_of_every_part() -> None:
    sharp = picture(0)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 1.5)
    assert (sharpness(blurred, BOXES) < sharpness(sharp, BOXES)).all()


@pytest.mark.parametrize("exposure", [1.0, 0.5])
def test_a_parts_colour_against_the_background_does_not_depend_on_exposure(exposure: float) -> None:
    image = np.full((64, 64, 3), 200.0)
    image[16:48, 16:48] = (80.0, 100.0, 140.0)
    picture, boxes = np.uint8(image * exposure), np.array([[16.0, 16.0, 48.0, 48.0]])
    assert part_brightness(picture, boxes) == pytest.approx([np.log(100 / 200)], abs=0.02)
    assert part_tint(picture, boxes) == pytest.approx([np.log(80 / 140)], abs=0.02)


def test_a_box_without_background_or_inside_is_left_out() -> None:
    image = np.full((64, 64, 3), 200, np.uint8)
    boxes = np.array([[0.0, 0.0, 64.0, 64.0], [5.0, 5.0, 5.0, 9.0], [60.0, 60.0, 64.0, 64.0]])
    assert len(part_tint(image, boxes)) == 1


def flat(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((32, 32, 3), (red, green, blue), np.uint8)


def test_brightness_and_contrast_are_the_mean_and_the_spread_of_grey() -> None:
    halves = flat(0, 0, 0)
    halves[:, 16:] = 200
    assert brightness(halves, BOXES).tolist() == [100.0]
    assert contrast(halves, BOXES).tolist() == [100.0]
    assert contrast(flat(90, 90, 90), BOXES).tolist() == [0.0]


def test_green_counts_more_for_brightness_than_red_and_red_more_than_blue() -> None:
    levels = [float(brightness(flat(*colour), BOXES)[0]) for colour in ((0, 0, 200), (200, 0, 0), (0, 200, 0))]
    assert levels == sorted(levels)
    assert levels[0] < levels[1] < levels[2]  # images are RGB, not BGR


def test_warmth_is_zero_for_grey_and_changes_its_sign_with_the_cast() -> None:
    assert warmth(flat(120, 120, 120), BOXES).tolist() == [0.0]
    red, blue = warmth(flat(160, 120, 80), BOXES), warmth(flat(80, 120, 160), BOXES)
    assert red == pytest.approx(-blue)
    assert red == pytest.approx([np.log(161 / 81)])


def test_saturation_is_zero_for_grey_and_one_for_a_pure_colour() -> None:
    assert saturation(flat(90, 90, 90), BOXES).tolist() == [0.0]
    assert saturation(flat(200, 0, 0), BOXES).tolist() == [1.0]
    assert saturation(flat(200, 100, 100), BOXES) == pytest.approx([0.5], abs=0.01)


def test_contrast_on_parts_ignores_what_is_outside_the_boxes() -> None:
    image = picture(3)
    image[8:40, 8:40] = 120
    assert part_contrast(image, BOXES[:1]).tolist() == [0.0]
    assert contrast(image, BOXES)[0] > 1.0


@pytest.mark.parametrize("statistic", [sharpness, part_contrast])
def test_a_box_of_few_pixels_inside_the_image_is_left_out(statistic: Callable[..., np.ndarray]) -> None:
    boxes = np.array([[-20.0, -20.0, 3.0, 3.0], [60.0, 60.0, 90.0, 64.0], [8.0, 8.0, 40.0, 40.0]])
    assert len(statistic(picture(0), boxes)) == 2  # 9, 16 and 1024 pixels are inside


@given(st.floats(1, 200), st.floats(1, 200))
def test_size_and_elongation_of_a_box_do_not_depend_on_its_orientation(width: float, height: float) -> None:
    boxes = np.array([[10.0, 20.0, 10.0 + width, 20.0 + height], [10.0, 20.0, 10.0 + height, 20.0 + width]])
    sizes, elongations = box_size(flat(0, 0, 0), boxes), box_elongation(flat(0, 0, 0), boxes)
    assert sizes == pytest.approx([np.sqrt(width * height)] * 2)
    assert elongations == pytest.approx([max(width, height) / min(width, height)] * 2)
    assert elongations.min() >= 1.0


def test_every_statistic_takes_an_image_without_boxes() -> None:
    values = image_statistics([(picture(0), np.zeros((0, 4)))])
    of_the_image = {name for name, rows in values.items() if len(pooled(rows)) == 1}
    assert of_the_image == {"brightness", "contrast", "noise", "saturation", "warmth", "parts_per_image"}
    assert parts_per_image(picture(0), np.zeros((0, 4))).tolist() == [0.0]
    assert all(len(pooled(rows)) == 0 for name, rows in values.items() if name not in of_the_image)


def parts_on(ground: np.ndarray, count: int, side: int, level: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    """So many squares on a ground, each of 8 x 8 spots of many grey levels, and their boxes."""
    image, boxes, rng = ground.astype(float), [], np.random.default_rng(0)
    for k in range(count):
        x, y = 8 + 40 * (k % 4), 8 + 40 * (k // 4)
        spots = np.kron(level * rng.uniform(0.4, 1.6, (8, 8)), np.ones((side // 8, side // 8)))
        image[y : y + side, x : x + side] = spots[..., None]
        boxes.append([x, y, x + side, y + side])
    return image.clip(0, 255).astype(np.uint8), np.array(boxes, float)


GROUND = np.full((168, 168, 3), 180, np.uint8)
FEW, MANY, FAR = parts_on(GROUND, 4, 32), parts_on(GROUND, 12, 32), parts_on(GROUND, 12, 16)
LARGE, SMALL = parts_on(GROUND // 2, 4, 32, 90.0), parts_on(GROUND // 2, 4, 8, 90.0)  # as bright as their ground
WARM, COOL = (np.tile(np.uint8(colour), (32, 32, 1)) for colour in ((140, 120, 110), (110, 120, 140)))
WARMER, COOLER = (np.tile(np.uint8(colour), (32, 32, 1)) for colour in ((180, 120, 80), (80, 120, 180)))
Seen = tuple[np.ndarray, np.ndarray]


@pytest.mark.parametrize(
    ("before", "after", "cause", "follower"),
    [
        (FEW, (FEW[0] // 2, FEW[1]), "brightness", "contrast"),
        ((FEW[0] // 2, FEW[1]), FEW, "brightness", "contrast"),
        (FEW, MANY, "parts_per_image", "contrast"),
        (MANY, FEW, "parts_per_image", "contrast"),
        ((WARM, BOXES), (WARMER, BOXES), "saturation", "warmth"),
        ((COOL, BOXES), (COOLER, BOXES), "saturation", "warmth"),
        (LARGE, (cv2.blur(LARGE[0], (5, 5)), LARGE[1]), "sharpness", "part_contrast"),
        ((cv2.blur(LARGE[0], (5, 5)), LARGE[1]), LARGE, "sharpness", "part_contrast"),
        (FEW, parts_on(GROUND, 4, 32, 20.0), "part_brightness", "part_contrast"),
        (parts_on(GROUND, 4, 32, 20.0), FEW, "part_brightness", "part_contrast"),
        (FEW, FAR, "box_size", "parts_per_image"),
        (FAR, FEW, "box_size", "parts_per_image"),
    ],
)
def test_what_follows_from_a_cause_moves_with_it_and_waits_for_it(
    before: Seen, after: Seen, cause: str, follower: str
) -> None:
    side = {}
    for name in (cause, follower):
        first, second = (float(STATISTICS[name].of(*seen).mean()) for seen in (before, after))
        assert first != second
        side[name] = "above" if second > first else "below"
    assert causes({name: [one] for name, one in side.items()}) == {follower: (cause,)}
    other = {"above": "below", "below": "above"}[side[follower]]
    if follower != "warmth":  # a stronger tint moves it to the side on which it is
        assert causes({cause: [side[cause]], follower: [other]}) == {}


def test_the_same_blur_takes_more_of_a_small_part() -> None:
    left = [
        (part_contrast(cv2.blur(image, (3, 3)), boxes) / part_contrast(image, boxes)).mean()
        for image, boxes in (SMALL, LARGE)
    ]
    assert left[0] < left[1]
    assert causes({"box_size": ["below"], "part_contrast": ["below"]}) == {"part_contrast": ("box_size",)}
    assert causes({"box_size": ["above"], "part_contrast": ["below"]}) == {}
