"""Laws of the image statistics: each moves as its name says, and a difference by chance is recognized."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from pipelines.gap.appearance import (
    STATISTICS,
    WITHIN_CHANCE,
    Difference,
    Values,
    box_elongation,
    box_size,
    brightness,
    compare,
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


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0])
def test_noise_of_a_known_strength_is_measured(sigma: float) -> None:
    flat = np.full((128, 128), 120.0) + np.random.default_rng(0).normal(0.0, sigma, (128, 128))
    grey = np.repeat(flat.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    assert noise(grey, BOXES)[0] == pytest.approx(sigma, rel=0.15)


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


def test_two_draws_of_one_world_differ_by_chance_only() -> None:
    differences = compare(statistics(range(40)), statistics(range(40, 80)))
    assert len(differences) == len(STATISTICS) == 12
    assert sum(one.advice != WITHIN_CHANCE for one in differences) <= 2


def test_nineteen_in_twenty_halves_of_one_set_differ_by_less_than_the_floor() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(120.0, 10.0, 30)
    samples = {name: [np.array([v]) for v in values] if name == "brightness" else [] for name in STATISTICS}
    (difference,) = compare(samples, samples)
    orders = [rng.permutation(30) for _ in range(400)]
    apart = [wasserstein_distance(values[one[:15]], values[one[15:]]) / values.std() for one in orders]
    assert np.mean(np.array(apart) < difference.floor) == pytest.approx(0.95, abs=0.03)


def test_the_advice_for_a_darker_simulation_is_more_light() -> None:
    differences = compare(statistics(range(30), level=70.0), statistics(range(30, 60)))
    brightness = next(one for one in differences if one.name == "brightness")
    assert brightness.sim_median < brightness.real_median
    assert brightness.distance > 2 * brightness.floor
    assert brightness.advice == "raise exposure or light"


def test_noise_ranks_first_where_noise_alone_differs() -> None:
    differences = compare(statistics(range(30), sigma=1.0), statistics(range(30, 60), sigma=9.0))
    assert differences[0].name in {"noise", "sharpness"}
    assert differences[0].advice in {STATISTICS["noise"].lower, STATISTICS["sharpness"].lower}


def test_an_empty_set_is_left_out_not_divided_by() -> None:
    assert compare(image_statistics([]), statistics(range(5))) == []


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


def test_a_set_and_itself_do_not_differ() -> None:
    values = statistics(range(6))
    assert [one.distance for one in compare(values, values)] == [0.0] * len(STATISTICS)


def test_a_distance_does_not_depend_on_the_unit_nor_on_which_set_is_simulated() -> None:
    rng = np.random.default_rng(2)
    empty: Values = {name: [] for name in STATISTICS}
    sim, real = rng.normal(3.0, 1.0, 40), rng.normal(7.0, 2.0, 30)

    def difference(a: np.ndarray, b: np.ndarray) -> Difference:
        (one,) = compare(empty | {"noise": [np.array([v]) for v in a]}, empty | {"noise": [np.array([v]) for v in b]})
        return one

    plain, scaled, swapped = difference(sim, real), difference(sim * 7, real * 7), difference(real, sim)
    assert scaled.distance == pytest.approx(plain.distance)
    assert scaled.floor == pytest.approx(plain.floor)
    assert swapped.distance == pytest.approx(plain.distance)
    assert (plain.advice, swapped.advice) == (STATISTICS["noise"].lower, STATISTICS["noise"].higher)


def test_differences_are_ranked_by_what_exceeds_chance() -> None:
    differences = compare(statistics(range(12), level=90.0), statistics(range(20, 32), sigma=8.0))
    excess = [one.distance - one.floor for one in differences]
    assert excess == sorted(excess, reverse=True)
    assert all((one.advice == WITHIN_CHANCE) == (one.distance <= one.floor) for one in differences)
    assert len({one.advice == WITHIN_CHANCE for one in differences}) == 2
