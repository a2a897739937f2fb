"""How two sets of pictures differ, before any detector sees them: the first 'why' of a gap.

A statistic maps one picture and its boxes to numbers. Pictures are uint8 RGB [h, w, 3]; boxes xyxy in pixels, max
exclusive.
A difference is the Wasserstein-1 distance between the two sets' numbers, in units of their pooled spread, set against
the distance that two random halves of the real set have: below that floor it is chance.
It says what differs in the pixels. It does not say which difference costs the detector most: an ablation does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.stats import wasserstein_distance

Image = UInt8[np.ndarray, "h w 3"]
Boxes = Float[np.ndarray, "n 4"]
Samples = dict[str, list[Float[np.ndarray, "_"]]]  # for each statistic the numbers of each picture


@dataclass(frozen=True)
class Statistic:
    title: str
    unit: str
    of: Callable[[Image, Boxes], Float[np.ndarray, " m"]]
    knobs: str  # the simgen config keys that move it
    lower: str  # what to do where simulation lies below reality
    higher: str


@dataclass(frozen=True)
class Difference:
    name: str
    title: str
    unit: str
    sim_median: float
    real_median: float
    distance: float  # Wasserstein-1, in pooled standard deviations
    floor: float  # the same between random halves of the real set: 95th percentile
    knobs: str
    advice: str


def _grey(image: Image) -> Float[np.ndarray, "h w"]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)


def brightness(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    return np.array([_grey(image).mean()])


def contrast(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    return np.array([_grey(image).std()])


def noise(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Standard deviation of the noise, in grey levels: the median absolute response to Immerkaer's mask.

    J. Immerkaer, "Fast Noise Variance Estimation", CVIU 64(2), 1996; the median in place of the mean forgets edges.
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
    response = np.abs(cv2.filter2D(_grey(image), -1, mask))[1:-1, 1:-1]
    return np.array([np.median(response) / 0.6745 / 6.0])


def sharpness(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Natural logarithm of the Laplacian's variance inside each box: blur lowers it."""
    laplacian = cv2.Laplacian(_grey(image), -1)
    crops = [laplacian[y0:y1, x0:x1] for x0, y0, x1, y1 in np.round(boxes).astype(int).clip(0)]
    return np.array([np.log(crop.var() + 1e-3) for crop in crops if crop.size >= 16])


def saturation(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    return np.array([cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1].mean() / 255.0])


def warmth(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Logarithm of red over blue: the cast that light and white balance leave."""
    red, _, blue = image.reshape(-1, 3).mean(axis=0) + 1.0
    return np.array([np.log(red / blue)])


def part_contrast(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Standard deviation of grey inside each box: highlights and shadows on the parts themselves."""
    grey = _grey(image)
    crops = [grey[y0:y1, x0:x1] for x0, y0, x1, y1 in np.round(boxes).astype(int).clip(0)]
    return np.array([crop.std() for crop in crops if crop.size >= 16])


def _against_ground(image: Image, boxes: Boxes) -> Float[np.ndarray, "m 3"]:
    """Logarithm of red, green and blue in the middle half of each box over those in a rim round it."""
    found = []
    for x0, y0, x1, y1 in np.round(boxes).astype(int):
        wide, high = x1 - x0, y1 - y0
        middle = image[max(y0 + high // 4, 0) : y1 - high // 4, max(x0 + wide // 4, 0) : x1 - wide // 4]
        rim = max(2, (wide + high) // 16)
        out = image[max(y0 - rim, 0) : y1 + rim, max(x0 - rim, 0) : x1 + rim]
        whole = image[max(y0, 0) : y1, max(x0, 0) : x1]
        around = out.shape[0] * out.shape[1] - whole.shape[0] * whole.shape[1]
        if middle.size and around > 0:
            ground = (out.sum(axis=(0, 1)) - whole.sum(axis=(0, 1))) / around
            found.append(np.log((middle.mean(axis=(0, 1)) + 1) / (ground + 1)))
    return np.array(found).reshape(-1, 3)


def part_brightness(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Logarithm of green in the middle of each box over that round it."""
    return _against_ground(image, boxes)[:, 1]


def part_tint(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Logarithm of red over blue in the middle of each box, over that round it: the part's own colour."""
    logarithms = _against_ground(image, boxes)
    return np.asarray(logarithms[:, 0] - logarithms[:, 2])


def box_size(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(0.0)
    return np.asarray(np.sqrt(sides.prod(axis=1)))


def box_elongation(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(1.0)
    return np.asarray(sides.max(axis=1) / sides.min(axis=1))


def parts_per_image(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    return np.array([float(len(boxes))])


STATISTICS = {
    "brightness": Statistic(
        "brightness", "grey level", brightness, "sensor.exposure, light.key_intensity, light.ambient_intensity",
        "raise exposure or light", "lower exposure or light",
    ),
    "contrast": Statistic(
        "contrast", "grey level", contrast, "light.ambient_intensity, sensor.gamma, texture.*.contrast",
        "less ambient light, more contrast in textures", "more ambient light, less contrast in textures",
    ),
    "noise": Statistic(
        "noise", "grey level", noise, "sensor.read_noise_e, sensor.full_well_e, sensor.denoise",
        "more read noise, a smaller full well or less denoising", "less read noise, a larger well or more denoising",
    ),
    "sharpness": Statistic(
        "sharpness of parts", "log variance", sharpness, "sensor.blur_sigma_px, sensor.sharpen, sensor.motion_blur_px",
        "less blur or more sharpening", "more blur or less sharpening",
    ),
    "saturation": Statistic(
        "saturation", "share", saturation, "sensor.saturation, texture.*.colour.saturation",
        "raise saturation", "lower saturation",
    ),
    "warmth": Statistic(
        "colour cast", "log red/blue", warmth, "light.temperature_k, light.ambient_temperature_k, sensor.white_balance",
        "warmer light (lower kelvin) or more red gain", "cooler light (higher kelvin) or more blue gain",
    ),
    "part_contrast": Statistic(
        "contrast on parts", "grey level", part_contrast, "light.glow_intensity, light.glow_count, texture.finishes",
        "stronger or more glows, smoother finishes", "weaker or fewer glows, rougher finishes",
    ),
    "part_brightness": Statistic(
        "brightness of parts on their ground", "log ratio", part_brightness,
        "texture.finishes.*.colour.value (simgen finish fit finds it), texture.top.colour.value",
        "brighter finishes or darker ground", "darker finishes or brighter ground",
    ),
    "part_tint": Statistic(
        "tint of parts on their ground", "log red/blue ratio", part_tint,
        "texture.finishes.*.colour (simgen finish fit finds it), parts.kinds.*.finishes",
        "redder finishes", "bluer finishes",
    ),
    "box_size": Statistic(
        "size of parts", "px", box_size, "camera.distance_m, camera.focal_px, parts.kinds.*.diameter_mm",
        "bring the camera nearer or use larger parts", "move the camera away or use smaller parts",
    ),
    "box_elongation": Statistic(
        "elongation of boxes", "ratio", box_elongation, "parts.kinds.*.length_mm, parts.standing_share",
        "longer parts, fewer standing", "shorter parts, more standing",
    ),
    "parts_per_image": Statistic(
        "parts in a picture", "parts", parts_per_image, "parts.count, parts.spread", "more parts", "fewer parts",
    ),
}  # fmt: skip


def sample(pictures: Iterable[tuple[Image, Boxes]]) -> Samples:
    """Every statistic's numbers over a set of pictures, read once."""
    numbers: Samples = {name: [] for name in STATISTICS}
    for image, boxes in pictures:
        for name, statistic in STATISTICS.items():
            numbers[name].append(statistic.of(image, boxes))
    return numbers


def pooled(values: list[Float[np.ndarray, "_"]]) -> Float[np.ndarray, "_"]:
    """A statistic's numbers over all pictures."""
    return np.concatenate([np.zeros(0), *values])


def _distance(a: np.ndarray, b: np.ndarray, spread: float) -> float:
    return float(wasserstein_distance(a, b)) / spread if min(len(a), len(b)) else 0.0


def _floor(values: list[np.ndarray], spread: float, halvings: int = 200) -> float:
    """Halves are of pictures: the parts of one picture share its light and its lens."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(values)) for _ in range(halvings)]
    half = len(values) // 2
    halves = [([values[i] for i in order[:half]], [values[i] for i in order[half:]]) for order in orders]
    return float(np.percentile([_distance(pooled(a), pooled(b), spread) for a, b in halves], 95))


def compare(sim: Samples, real: Samples) -> list[Difference]:
    """What differs, the largest excess over its floor first. Under two numbers a side, it is left out."""
    found = []
    for name, statistic in STATISTICS.items():
        a, b = pooled(sim[name]), pooled(real[name])
        if min(len(a), len(b)) < 2:
            continue
        spread = float(np.sqrt((a.var() + b.var()) / 2.0)) or 1.0
        below = float(np.median(a)) < float(np.median(b))
        distance, floor = _distance(a, b, spread), _floor(real[name], spread)
        advice = (statistic.lower if below else statistic.higher) if distance > floor else "within chance: leave it"
        found.append(
            Difference(
                name, statistic.title, statistic.unit, float(np.median(a)), float(np.median(b)),
                distance, floor, statistic.knobs, advice,
            )
        )  # fmt: skip
    return sorted(found, key=lambda d: d.floor - d.distance)
