"""Laws of the picture statistics: each moves the way its name says, and chance is told from difference."""

import cv2
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from pipelines.gap.appearance import STATISTICS, compare, noise, part_brightness, part_tint, sample, sharpness

BOXES = np.array([[8.0, 8.0, 40.0, 40.0], [20.0, 30.0, 60.0, 62.0]])


def picture(seed: int, level: float = 120.0, sigma: float = 4.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.normal(level, 20.0, (6, 6, 3)), (64, 64), interpolation=cv2.INTER_CUBIC)
    return (smooth + rng.normal(0.0, sigma, (64, 64, 3))).clip(0, 255).astype(np.uint8)


def pictures(seeds: range, **options: float) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(picture(seed, **options), BOXES) for seed in seeds]


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0])
def test_noise_is_found_again(sigma: float) -> None:
    flat = np.full((128, 128), 120.0) + np.random.default_rng(0).normal(0.0, sigma, (128, 128))
    grey = np.repeat(flat.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    assert noise(grey, BOXES)[0] == pytest.approx(sigma, rel=0.15)


def test_blur_lowers_sharpness_of_every_part() -> None:
    sharp = picture(0)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 1.5)
    assert (sharpness(blurred, BOXES) < sharpness(sharp, BOXES)).all()


@pytest.mark.parametrize("exposure", [1.0, 0.5])
def test_a_parts_colour_is_told_against_its_ground_whatever_the_exposure(exposure: float) -> None:
    image = np.full((64, 64, 3), 200.0)
    image[16:48, 16:48] = (80.0, 100.0, 140.0)
    picture, boxes = np.uint8(image * exposure), np.array([[16.0, 16.0, 48.0, 48.0]])
    assert part_brightness(picture, boxes) == pytest.approx([np.log(100 / 200)], abs=0.02)
    assert part_tint(picture, boxes) == pytest.approx([np.log(80 / 140)], abs=0.02)


def test_a_box_without_ground_or_inside_is_left_out() -> None:
    image = np.full((64, 64, 3), 200, np.uint8)
    boxes = np.array([[0.0, 0.0, 64.0, 64.0], [5.0, 5.0, 5.0, 9.0], [60.0, 60.0, 64.0, 64.0]])
    assert len(part_tint(image, boxes)) == 1


def test_two_draws_of_one_world_differ_by_chance_alone() -> None:
    found = compare(sample(pictures(range(40))), sample(pictures(range(40, 80))))
    assert len(found) == len(STATISTICS) == 12
    assert sum(d.advice != "within chance: leave it" for d in found) <= 2


def test_nineteen_in_twenty_halves_of_one_set_differ_by_less_than_the_floor() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(120.0, 10.0, 30)
    samples = {name: [np.array([v]) for v in values] if name == "brightness" else [] for name in STATISTICS}
    (found,) = compare(samples, samples)
    orders = [rng.permutation(30) for _ in range(400)]
    apart = [wasserstein_distance(values[one[:15]], values[one[15:]]) / values.std() for one in orders]
    assert np.mean(np.array(apart) < found.floor) == pytest.approx(0.95, abs=0.03)


def test_a_darker_simulation_is_told_to_raise_the_light() -> None:
    found = compare(sample(pictures(range(30), level=70.0)), sample(pictures(range(30, 60))))
    worst = next(d for d in found if d.name == "brightness")
    assert worst.sim_median < worst.real_median
    assert worst.distance > 2 * worst.floor
    assert worst.advice == "raise exposure or light"


def test_noise_ranks_first_where_noise_alone_differs() -> None:
    found = compare(sample(pictures(range(30), sigma=1.0)), sample(pictures(range(30, 60), sigma=9.0)))
    assert found[0].name in {"noise", "sharpness"}
    assert found[0].advice in {STATISTICS["noise"].lower, STATISTICS["sharpness"].lower}


def test_an_empty_set_is_left_out_not_divided_by() -> None:
    assert compare(sample([]), sample(pictures(range(5)))) == []
