"""Ranges of a preset's `sensor:` group from photographs, each with its method, or with the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from simgen.presets.fit_camera import edges, noise
from simgen.presets.fit_camera.measures import Measures, measure, values
from simgen.presets.fit_camera.photos import Photo
from simgen.scene.config.bounds import Knob
from simgen.scene.config.sensor import SensorKnobs
from simgen.spec.errors import CameraError

WHITE_CARD = 0.8  # assumed reflectance of the brightest twentieth of a picture
FEWEST_FOR_VIGNETTING = 8
SAME_LEVEL = 0.03  # flat fields whose brightness differs by less are compared
UNEVEN = 0.05  # of the mean: with more, the scene and not the lens decides the brightness over the picture
SHARE = (0.1, 0.9)  # quantiles over photos that limit a range
PATTERN_QUALITY = 92  # below it JPEG removes a fixed pattern


@dataclass(frozen=True)
class Range:
    """The range of a knob, and how it was estimated."""

    low: float
    high: float
    how: str


@dataclass(frozen=True)
class CameraFit:
    """The result of a camera fit."""

    photos: int
    size_px: tuple[int, int]  # width, height
    ranges: dict[str, Range]  # by knob
    not_estimated: dict[str, str]  # knobs that keep the values of the base, and why
    curve: noise.NoiseCurve
    model: noise.NoiseModel | None
    measures: tuple[Measures, ...]

    def to_yaml(self, base: str) -> str:
        """A preset with these ranges on top of `base`."""
        width, height = self.size_px
        lines = [
            f"# A camera fitted to {self.photos} photographs of {width} x {height} pixels.",
            "# Written by `simgen camera fit`. Blur and noise are of pictures at that size; gamma is taken to be 2.2.",
            f"base: {base}",
            "sensor:",
        ]
        lines += [f"  {name}: {{low: {r.low:g}, high: {r.high:g}}}  # {r.how}" for name, r in self.ranges.items()]
        lines += [f"  # {name}: as in the base; {why}" for name, why in self.not_estimated.items()]
        return "\n".join(lines) + "\n"


def fit_camera(photos: Sequence[Photo], flat_fields: Sequence[Photo] = ()) -> CameraFit:
    """Estimate a camera from photographs of one size. Flat fields (evenly lit empty surfaces) improve the noise.

    Raises:
        CameraError: the flat fields have another size than the photos, or are not flat.
    """
    pictures = tuple(measure(photo) for photo in photos)
    height, width = photos[0].image.shape[:2]
    flats = tuple(measure(photo) for photo in flat_fields)
    if flats:
        _check_flat(flat_fields, flats, (height, width))
    ranges: dict[str, Range] = {}
    not_estimated = {"gamma, saturation": "tone curve and colour matrix need a test chart"}
    for name, result in (*_light(pictures), *_sharpness(pictures), _quality(photos), _vignetting(pictures, flats)):
        _add(name, result, ranges, not_estimated)
    sharpen = float(np.median(values(pictures, "sharpen"))) if "sharpen" in ranges else 0.0
    curve, model, noises = _noise(flats or pictures, pictures, sharpen, _median_quality(flat_fields or photos))
    for name, result in (*noises.items(), ("prnu", _prnu(flat_fields))):
        _add(name, result, ranges, not_estimated)
    return CameraFit(len(photos), (width, height), ranges, not_estimated, curve, model, pictures)


def _add(name: str, result: Range | str, ranges: dict[str, Range], not_estimated: dict[str, str]) -> None:
    if isinstance(result, Range):
        ranges[name] = Range(_rounded(name, result.low), _rounded(name, result.high), result.how)
    else:
        not_estimated[name] = result


def _rounded(knob: str, value: float) -> float:
    """Three digits of a value, within the knob's bounds: a black picture has no exposure that a camera could have."""
    (bounds,) = (note for note in SensorKnobs.model_fields[knob].metadata if isinstance(note, Knob))
    return float(f"{min(max(value, bounds.least or 0.0), bounds.most or 0.0):.3g}")


def _over(numbers: Float64[np.ndarray, " n"], how: str) -> Range:
    low, high = np.quantile(numbers, SHARE)
    return Range(float(low), float(high), how)


def _between(numbers: Sequence[int], how: str) -> Range:
    return Range(float(min(numbers)), float(max(numbers)), how)


def _check_flat(fields: Sequence[Photo], flats: Sequence[Measures], shape: tuple[int, int]) -> None:
    for photo, flat in zip(fields, flats, strict=True):
        if photo.image.shape[:2] != shape:
            (height, width), wanted = photo.image.shape[:2], f"{shape[1]} x {shape[0]}"
            raise CameraError(f"{photo.name}: a flat field of {width} x {height} pixels, the photos have {wanted}")
        spread = float(np.quantile(flat.cells, 0.98) / max(np.quantile(flat.cells, 0.02), 1e-6))
        if spread > 3 or flat.sharpness is not None:
            raise CameraError(f"{photo.name}: not a flat field: it has edges, or its light varies {spread:.1f}-fold")


# --- one knob after another -------------------------------------------------------------------------------------------


def _light(pictures: Sequence[Measures]) -> list[tuple[str, Range | str]]:
    bright = values(pictures, "bright") ** edges.GAMMA / WHITE_CARD
    results: list[tuple[str, Range | str]] = [
        ("exposure", _over(bright, "if the brightest twentieth of a picture is a surface that reflects 80 %"))
    ]
    casts = [values(pictures, name) for name in ("red", "blue")]
    if min(map(len, casts)) < len(pictures) / 2:
        return [*results, ("white_balance", "too little of the pictures is nearly grey")]
    pooled = [_over(cast, "") for cast in casts]
    how = "red and blue over green of nearly grey pixels: includes the tint of the light and of the scene"
    return [*results, ("white_balance", Range(min(r.low for r in pooled), max(r.high for r in pooled), how))]


def _sharpness(pictures: Sequence[Measures]) -> list[tuple[str, Range | str]]:
    known = [picture.sharpness for picture in pictures if picture.sharpness]
    if not known:
        why = "no picture has enough clean straight edges"
        return [("blur_sigma_px", why), ("sharpen", why)]
    how = f"spread of the sharpest edges in {len(known)} photos"
    return [
        ("blur_sigma_px", _over(np.array([s.blur_sigma_px for s in known]), how)),
        ("sharpen", _over(np.array([s.sharpen for s in known]), "overshoot of these edges")),
        ("motion_blur_px", Range(0.0, 0.0, "is part of the blur above")),
    ]


def _quality(photos: Sequence[Photo]) -> tuple[str, Range | str]:
    headers = [photo.jpeg for photo in photos if photo.jpeg]
    if len(headers) < len(photos):
        return "jpeg_quality", "not all pictures are JPEG files"
    exact = all(header.exact for header in headers)
    how = "from the files' quantization tables" + ("" if exact else ", which are not libjpeg's: the nearest one")
    return "jpeg_quality", _between([h.quality for h in headers], how)


def _median_quality(photos: Sequence[Photo]) -> int | None:
    known = [photo.jpeg.quality for photo in photos if photo.jpeg]
    return int(np.median(known)) if known else None


def _vignetting(pictures: Sequence[Measures], flats: Sequence[Measures]) -> tuple[str, Range | str]:
    """Fit 1 - v * (r / corner)^4, the model of the simulated lens, to the median brightness of many pictures."""
    used = flats or pictures
    if not flats and len(pictures) < FEWEST_FOR_VIGNETTING:
        return "vignetting", f"needs flat fields, or {FEWEST_FOR_VIGNETTING} photos whose scenes average out"
    shape = np.median([picture.cells / picture.cells.mean() for picture in used], axis=0)
    y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in shape.shape)
    radius4 = (np.add.outer(y**2, x**2) / 2) ** 2
    basis = np.column_stack([np.ones(shape.size), -radius4.ravel()])
    (level, loss), *_ = np.linalg.lstsq(basis, shape.ravel(), rcond=None)
    left = float((shape.ravel() - basis @ (level, loss)).std() / level)
    if left > UNEVEN:
        return (
            "vignetting",
            f"the scenes vary by {left:.0%} over the picture, which hides the lens; give flat fields",
        )
    share = float(np.clip(loss / level, 0, 1))
    error = left / float(radius4.std()) / np.sqrt(shape.size) * 2
    how = f"fall-off over {len(used)} {'flat fields' if flats else 'photos'}"
    return "vignetting", Range(max(0.0, share - error), min(1.0, share + error), how)


def _noise(
    used: Sequence[Measures], pictures: Sequence[Measures], sharpen: float, quality: int | None
) -> tuple[noise.NoiseCurve, noise.NoiseModel | None, dict[str, Range | str]]:
    table = noise.calibration(round(sharpen, 1), quality)
    pooled = noise.Blocks(*(np.concatenate([getattr(p.blocks, n) for p in used]) for n in ("luma", "residual")))
    curve = noise.noise_curve(noise.banded(pooled), table)
    model = noise.noise_model(curve)
    if model is None:
        why = "no even surfaces of several brightnesses"
        return curve, None, {"full_well_e": why, "read_noise_e": why}
    fixed = Range(0.0, 0.0, "the camera's own denoising is part of the noise above")
    if model.hidden:
        how = f"the most noise that JPEG of quality {quality} would hide: the quietest blocks show no noise"
        full_well = Range(model.full_well_e, 4 * model.full_well_e, how)
        return (
            curve,
            model,
            {
                "full_well_e": full_well,
                "read_noise_e": Range(model.read_noise_e, 2 * model.read_noise_e, "as above"),
                "denoise": fixed,
            },
        )
    ratios = [_ratio(noise.noise_curve(noise.banded(p.blocks), table), model) for p in pictures]
    known = np.array([r for r in ratios if not np.isnan(r)] or [1.0])
    low, high = np.quantile(known, SHARE)
    how = f"noise of the quietest blocks against brightness, through JPEG {quality or 'none'}; texture counts as noise"
    return (
        curve,
        model,
        {
            "full_well_e": Range(model.full_well_e / float(high), model.full_well_e / float(low), how),
            "read_noise_e": Range(
                model.read_noise_e / float(np.sqrt(high)),
                model.read_noise_e / float(np.sqrt(low)),
                "the same, in the dark",
            ),
            "denoise": fixed,
        },
    )


def _ratio(curve: noise.NoiseCurve, model: noise.NoiseModel) -> float:
    """The noise variance of a picture over that of the model: an upper limit where compression hides the noise.

    NaN without even blocks.
    """
    deviation = np.where(np.isnan(curve.deviation), curve.ceiling, curve.deviation)
    known = ~np.isnan(deviation)
    if not known.any():
        return float("nan")
    return float(np.median((deviation[known] / model.deviation(curve.light[known])) ** 2))


def _prnu(flat_fields: Sequence[Photo]) -> Range | str:
    """The fixed pattern (PRNU) of flat fields of one brightness: the mean covariance of their residuals, in pairs.

    J. Lukas, J. Fridrich, M. Goljan, "Digital Camera Identification from Sensor Pattern Noise", IEEE TIFS 1(2), 2006.
    """
    if len(flat_fields) < 2:
        return "needs two flat fields of the same brightness"
    if any(photo.jpeg and photo.jpeg.quality < PATTERN_QUALITY for photo in flat_fields):
        return f"JPEG under quality {PATTERN_QUALITY} removes the pattern; give flat fields as PNG"
    light = [noise.luma(photo.image) ** np.float32(edges.GAMMA) for photo in flat_fields]
    levels = np.array([float(picture.mean()) for picture in light])
    near = np.abs(levels / np.median(levels) - 1) < SAME_LEVEL
    if np.count_nonzero(near) < 2:
        return "needs two flat fields of the same brightness"
    residuals = [noise.residual(light[i]) / levels[i] for i in np.flatnonzero(near)]
    common = np.mean([np.mean(a * b) for i, a in enumerate(residuals) for b in residuals[i + 1 :]])
    share = float(np.sqrt(max(0.0, common) / noise.LUMA_POWER))
    return Range(0.9 * share, 1.1 * share, f"the common pattern of {len(residuals)} flat fields")
