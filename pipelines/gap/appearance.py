"""Image statistics: properties of pictures and of the parts in them, without a detector.

A statistic maps one image and its boxes to numbers. Images are uint8 RGB [h, w, 3]; boxes are xyxy in pixels, max
exclusive. How two sets are compared: see `pipelines.gap.sections.why`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Image = UInt8[np.ndarray, "h w 3"]
Boxes = Float[np.ndarray, "n 4"]
Values = dict[str, list[Float[np.ndarray, "_"]]]  # by statistic: one array for each image
BLOCK_PX = 16
ROUNDING = 0.29  # grey levels: the standard deviation of rounding to whole ones, 1 / sqrt(12)


@dataclass(frozen=True)
class Statistic:
    """A property of images, and how to change it in simulation."""

    title: str
    unit: str
    of: Callable[[Image, Boxes], Float[np.ndarray, " m"]]  # one number for the image, or one for each box
    knobs: str  # the simgen config keys that change it
    lower: str  # advice where the simulated images have less of it than the real ones
    higher: str  # advice where they have more
    of_parts: bool = False  # it needs boxes
    floor: float | None = None  # the least value that can be told from 0
    follows: tuple[tuple[str, str], ...] = ()  # (own side, statistic and its side): if that is beyond, this may follow


def _grey(image: Image) -> Float[np.ndarray, "h w"]:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)


def brightness(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Mean grey level."""
    return np.array([_grey(image).mean()])


def contrast(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Standard deviation of the grey level."""
    return np.array([_grey(image).std()])


def noise(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Standard deviation of the noise in grey levels, that of rounding (0.29) included.

    The mean absolute response to Immerkaer's mask (J. Immerkaer, "Fast Noise Variance Estimation", CVIU 64(2), 1996)
    over the flattest fifth of the blocks of 16 px, of each of five levels of brightness, without clipped ones. Within
    5 % of the truth from 0.3 grey level on. A median of the responses would move in steps of a quarter of a grey level.
    """
    grey = _grey(image)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
    response, smooth = _blocks(np.abs(cv2.filter2D(grey, -1, mask))), _blocks(cv2.GaussianBlur(grey, (0, 0), 2.0))
    levels = _blocks(grey)
    free = np.flatnonzero((levels.min(1) > 0) & (levels.max(1) < 255))
    kept = free if len(free) >= 5 else np.arange(len(levels))
    by_level = np.array_split(kept[np.argsort(smooth[kept].mean(1), kind="stable")], 5)
    flat = [part[np.argsort(smooth[part].std(1), kind="stable")][: max(1, len(part) // 5)] for part in by_level]
    return np.array([np.sqrt(np.pi / 2) / 6 * response[np.concatenate(flat)].mean()])


def _blocks(values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "blocks pixels"]:
    """The values of each block of 16 px; of all as one block where the image is smaller."""
    rows, columns = values.shape[0] // BLOCK_PX, values.shape[1] // BLOCK_PX
    if not rows or not columns:
        return values.reshape(1, -1)
    cut = values[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    return cut.swapaxes(1, 2).reshape(rows * columns, -1)


def sharpness(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Natural logarithm of the Laplacian's variance inside each box. Blur lowers it."""
    return np.array([np.log(crop.var() + 1e-3) for crop in _crops(cv2.Laplacian(_grey(image), -1), boxes)])


def saturation(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Mean saturation (HSV), 0 to 1."""
    return np.array([cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1].mean() / 255.0])


def warmth(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Logarithm of mean red over mean blue: the colour cast of light and white balance."""
    red, _, blue = image.reshape(-1, 3).mean(axis=0) + 1.0
    return np.array([np.log(red / blue)])


def part_contrast(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Standard deviation of the grey level inside each box: highlights and shadows on the parts themselves."""
    return np.array([crop.std() for crop in _crops(_grey(image), boxes)])


def _crops(grey: Float[np.ndarray, "h w"], boxes: Boxes) -> list[Float[np.ndarray, "_ _"]]:
    """The pixels of each box that has at least 16 of them inside the image."""
    crops = [grey[y0:y1, x0:x1] for x0, y0, x1, y1 in np.round(boxes).astype(int).clip(0)]
    return [crop for crop in crops if crop.size >= 16]


def _part_over_background(image: Image, boxes: Boxes) -> Float[np.ndarray, "m 3"]:
    """Logarithm of mean red, green and blue in the middle half of each box over those in a rim around the box.

    A box without a middle or without a rim inside the image is left out.
    """
    ratios = []
    for x0, y0, x1, y1 in np.round(boxes).astype(int):
        width, height = x1 - x0, y1 - y0
        middle = image[max(y0 + height // 4, 0) : y1 - height // 4, max(x0 + width // 4, 0) : x1 - width // 4]
        rim_px = max(2, (width + height) // 16)
        outer = image[max(y0 - rim_px, 0) : y1 + rim_px, max(x0 - rim_px, 0) : x1 + rim_px]
        inner = image[max(y0, 0) : y1, max(x0, 0) : x1]
        pixels_in_rim = outer.shape[0] * outer.shape[1] - inner.shape[0] * inner.shape[1]
        if middle.size and pixels_in_rim > 0:
            background = (outer.sum(axis=(0, 1)) - inner.sum(axis=(0, 1))) / pixels_in_rim
            ratios.append(np.log((middle.mean(axis=(0, 1)) + 1) / (background + 1)))
    return np.array(ratios).reshape(-1, 3)


def part_brightness(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Logarithm of green in the middle of each box over green around it."""
    return _part_over_background(image, boxes)[:, 1]


def part_tint(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Logarithm of red over blue in the middle of each box, minus that around it: the part's own colour."""
    logarithms = _part_over_background(image, boxes)
    return np.asarray(logarithms[:, 0] - logarithms[:, 2])


def box_size(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Square root of each box's area, in pixels."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(0.0)
    return np.asarray(np.sqrt(sides.prod(axis=1)))


def box_elongation(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Longer side of each box over its shorter side."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(1.0)
    return np.asarray(sides.max(axis=1) / sides.min(axis=1))


def parts_per_image(image: Image, boxes: Boxes) -> Float[np.ndarray, " m"]:
    """Number of boxes."""
    return np.array([float(len(boxes))])


STATISTICS = {
    "brightness": Statistic(
        "brightness", "grey level", brightness, "sensor.exposure, light.key_intensity, light.ambient_intensity",
        "raise exposure or light", "lower exposure or light",
    ),
    "contrast": Statistic(
        "contrast", "grey level", contrast, "light.ambient_intensity, sensor.gamma, texture.*.contrast",
        "less ambient light, more contrast in textures", "more ambient light, less contrast in textures",
        follows=(
            ("below", "brightness below"), ("above", "brightness above"),  # a darker picture has fewer grey levels
            ("below", "parts_per_image below"), ("above", "parts_per_image above"),  # parts differ from the ground
        ),
    ),
    "noise": Statistic(
        "noise", "grey level", noise, "sensor.read_noise_e, sensor.full_well_e, sensor.denoise",
        "more read noise, a smaller full well or less denoising", "less read noise, a larger well or more denoising",
        floor=ROUNDING,
    ),
    "sharpness": Statistic(
        "sharpness of parts", "log variance", sharpness, "sensor.blur_sigma_px, sensor.sharpen, sensor.motion_blur_px",
        "less blur or more sharpening", "more blur or less sharpening", of_parts=True,
    ),
    "saturation": Statistic(
        "saturation", "share", saturation, "sensor.saturation, texture.*.colour.saturation",
        "raise saturation", "lower saturation",
    ),
    "warmth": Statistic(
        "colour cast", "log red/blue", warmth, "light.temperature_k, light.ambient_temperature_k, sensor.white_balance",
        "warmer light (lower kelvin) or more red gain", "cooler light (higher kelvin) or more blue gain",
        follows=(("below", "saturation above"), ("above", "saturation above")),  # it makes every tint stronger
    ),
    "part_contrast": Statistic(
        "contrast on parts", "grey level", part_contrast, "light.glow_intensity, light.glow_count, texture.finishes",
        "stronger or more glows, smoother finishes", "weaker or fewer glows, rougher finishes", of_parts=True,
        follows=(
            ("below", "sharpness below"), ("above", "sharpness above"),  # blur levels the grey inside a box
            ("below", "part_brightness below"), ("above", "part_brightness above"),  # dark parts have dark highlights
            ("below", "box_size below"),  # the same blur takes more of a small part
        ),
    ),
    "part_brightness": Statistic(
        "brightness of parts against the background", "log ratio", part_brightness,
        "texture.finishes.*.colour.value (simgen finish fit measures it), texture.top.colour.value",
        "brighter finishes or a darker background", "darker finishes or a brighter background", of_parts=True,
    ),
    "part_tint": Statistic(
        "tint of parts against the background", "log red/blue ratio", part_tint,
        "texture.finishes.*.colour (simgen finish fit measures it), parts.kinds.*.finishes",
        "redder finishes", "bluer finishes", of_parts=True,
    ),
    "box_size": Statistic(
        "size of parts", "px", box_size, "camera.distance_m, camera.focal_px, parts.kinds.*.diameter_mm",
        "bring the camera nearer or use larger parts", "move the camera away or use smaller parts", of_parts=True,
    ),
    "box_elongation": Statistic(
        "elongation of boxes", "ratio", box_elongation, "parts.kinds.*.length_mm, parts.standing_share",
        "longer parts, fewer standing", "shorter parts, more standing", of_parts=True,
    ),
    "parts_per_image": Statistic(
        "parts per image", "parts", parts_per_image, "parts.count, parts.spread", "more parts", "fewer parts",
        of_parts=True,
        follows=(("above", "box_size below"), ("below", "box_size above")),  # a far camera shows more, smaller parts
    ),
}  # fmt: skip


def causes(beyond: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """The statistics that may be beyond the simulated range only because others are, and these others.

    One change of the camera moves several statistics. The cause is widened first; what then is left is looked at again.

    Args:
        beyond: the sides (below, above) on which the photos lie beyond the range, by statistic.

    >>> causes({"box_size": ["below"], "parts_per_image": ["above"], "noise": ["above"]})
    {'parts_per_image': ('box_size',)}
    """
    sides = {f"{name} {side}" for name, own in beyond.items() for side in own}
    found = {}
    for name, own in beyond.items():
        of_sides = [
            {cause.split()[0] for mine, cause in STATISTICS[name].follows if mine == side and cause in sides}
            for side in own
        ]
        if of_sides and all(of_sides):
            found[name] = tuple(sorted(set().union(*of_sides)))
    return found


def image_statistics(images: Iterable[tuple[Image, Boxes]]) -> Values:
    """The numbers of every statistic over a set of images with boxes. Each image is read once."""
    values: Values = {name: [] for name in STATISTICS}
    for image, boxes in images:
        for name, statistic in STATISTICS.items():
            values[name].append(statistic.of(image, boxes))
    return values


def pooled(values: list[Float[np.ndarray, "_"]]) -> Float[np.ndarray, "_"]:
    """A statistic's numbers over all images."""
    return np.concatenate([np.zeros(0), *values])
