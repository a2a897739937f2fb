"""A camera's field of view and distortion: from a calibration file, from a photo's EXIF, or guessed.

Calibrations are those of OpenCV (`camera_matrix` and `distortion_coefficients` in YAML or JSON, as `cv2.FileStorage`,
its samples and most tools write them) and ROS's `sensor_msgs/CameraInfo` (YAML, or JSON of the message). Lengths are
in pixels of the picture that was calibrated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simgen.spec.errors import CameraError, ConfigError, TextFileError
from simgen.spec.picture import focal_35mm
from simgen.spec.text.json_text import read_json, read_text
from simgen.spec.text.yaml_text import compose, values_of
from simgen.spec.types import Distortion

MAX_BYTES = 2**20
GUESS = "guessed"
GUESSED_HFOV_DEG = 50.0  # of the longer side: between a machine's lens and a phone's
FULL_FRAME_MM = math.hypot(36, 24)  # diagonal of the 35 mm film to which EXIF's focal length refers (CIPA DCG-001)
ASPECT = 0.01  # by which the shapes of two pictures of one camera may differ: a row was cut
NO_DISTORTION: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)
_MATRIX = ("camera_matrix", "cameramatrix", "intrinsic_matrix", "mtx", "k")
_DISTORTION = ("distortion_coefficients", "distortion_coeffs", "dist_coeffs", "distcoeffs", "dist", "d")
_WIDTH, _HEIGHT, _MODEL = ("image_width", "width"), ("image_height", "height"), ("distortion_model", "camera_model")
_PLAIN_MODELS = ("", "plumb_bob", "pinhole", "brown_conrady", "brown-conrady", "rational_polynomial", "opencv")


@dataclass(frozen=True)
class LensFound:
    """A pinhole's focal length with Brown and Conrady's distortion, and where it is from."""

    size_px: tuple[int, int] | None  # (width, height) of the pictures it is for; None: not stated
    focal_px: float
    distortion: Distortion
    how: str

    def at(self, size_px: tuple[int, int]) -> LensFound:
        """The same lens for pictures that were scaled to another size.

        Raises:
            CameraError: pictures of that size are no scaled ones: their shape differs.
        """
        width, height = self.size_px or size_px
        if abs(width * size_px[1] / (height * size_px[0]) - 1) > ASPECT:
            raise CameraError(
                f"{self.how}: is for pictures of {width} x {height}, the photos have {size_px[0]} x {size_px[1]}: "
                "calibrate with pictures as the photos are"
            )
        return replace(self, size_px=size_px, focal_px=self.focal_px * size_px[0] / width)


def guessed(size_px: tuple[int, int]) -> LensFound:
    """A usual lens."""
    focal_px = max(size_px) / (2 * math.tan(math.radians(GUESSED_HFOV_DEG) / 2))
    return LensFound(size_px, focal_px, NO_DISTORTION, f"{GUESS}: {GUESSED_HFOV_DEG:g} degrees of view")


def from_exif(photo: Path, data: bytes, size_px: tuple[int, int]) -> LensFound | None:
    """The lens that a photo's EXIF states, by its focal length on 35 mm film; None where it states none."""
    film_mm = focal_35mm(data)
    if film_mm is None:
        return None
    focal_px = film_mm / FULL_FRAME_MM * math.hypot(*size_px)
    return LensFound(size_px, focal_px, NO_DISTORTION, f"EXIF of {photo.name}: {film_mm:g} mm on 35 mm film")


def read_calibration(path: Path) -> LensFound:
    """The lens in a calibration file.

    Raises:
        CameraError: it cannot be read, lacks the camera matrix, or is of a lens model that simgen does not have.
    """
    values = _values(path)
    matrix = _numbers(path, _MATRIX, _found(values, _MATRIX))
    if len(matrix) != 9 or not (matrix[0] > 0 and matrix[4] > 0):
        raise CameraError(f"{path}: needs a camera matrix of 3 x 3 (camera_matrix, or K), got {len(matrix)} numbers")
    if max(matrix[0], matrix[4]) > 1.05 * min(matrix[0], matrix[4]):
        raise CameraError(f"{path}: focal lengths of {matrix[0]:g} and {matrix[4]:g} px: simgen's pixels are square")
    size = [_found(values, names) for names in (_WIDTH, _HEIGHT)]
    stated = all(isinstance(one, int | float) and 0 < one < 1e5 for one in size)
    size_px = (int(size[0]), int(size[1])) if stated else None
    return LensFound(size_px, (matrix[0] + matrix[4]) / 2, _distortion(path, values), f"{path.name}")


def _distortion(path: Path, values: Mapping[str, Any]) -> Distortion:
    """OpenCV's k1, k2, p1, p2, k3."""
    found = _found(values, _DISTORTION)
    given = _numbers(path, _DISTORTION, found) if found is not None else []
    model = str(_found(values, _MODEL) or "").lower()
    if model not in _PLAIN_MODELS or any(given[5:]):
        what = f"distortion_model {model!r}" if model not in _PLAIN_MODELS else f"{len(given)} distortion coefficients"
        raise CameraError(f"{path}: {what}: simgen has k1, k2, p1, p2, k3 (plumb_bob); calibrate with these alone")
    k1, k2, p1, p2, k3 = (*given, 0.0, 0.0, 0.0, 0.0, 0.0)[:5]
    return (k1, k2, p1, p2, k3)


def _values(path: Path) -> Mapping[str, Any]:
    """The file's content, with the keys in small letters."""
    try:
        if path.suffix.lower() == ".json":
            values = read_json(path, MAX_BYTES)
        else:  # OpenCV's FileStorage: a directive of its own, and a tag for matrices
            plain = re.sub(r"!!opencv-\w+", "", re.sub(r"\A%YAML[^\n]*\n", "", read_text(path, MAX_BYTES)))
            node = compose(plain, str(path))
            values = None if node is None else values_of(node, (), str(path), {})
    except (TextFileError, ConfigError) as error:
        raise CameraError(str(error)) from None
    if not isinstance(values, dict):
        raise CameraError(f"{path}: is no calibration: it needs camera_matrix and distortion_coefficients")
    return {str(key).lower(): value for key, value in values.items()}


def _found(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((values[name] for name in names if name in values), None)


def _numbers(path: Path, names: Sequence[str], value: Any) -> list[float]:
    """The numbers of a matrix: a list, a list of rows, or a group with `data`."""
    if isinstance(value, dict):
        value = value.get("data")
    rows = value if isinstance(value, list) else []
    flat = [one for row in rows for one in (row if isinstance(row, list) else [row])]
    good = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in flat)
    if not flat or not good or len(flat) > 32:
        raise CameraError(f"{path}: needs {names[0]}, a list of numbers, got {value!r:.60}")
    return [float(one) for one in flat]
