"""Brown and Conrady's lens distortion, in OpenCV's form and order of coefficients: k1, k2, p1, p2, k3.

D. C. Brown, "Close-range camera calibration", Photogrammetric Engineering 37 (1971); OpenCV's calib3d documentation.
Points are normalized: x / z and y / z in the camera's frame, which is (pixel - principal point) / focal length.
With strong coefficients the distorted radius stops growing at some ideal radius, the turning radius: the formula would
map points from further out back into the image. An image must end before that radius. Beyond it `distort` continues
straight outwards, so that nothing from far outside appears in the image.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from simgen.spec.types import Distortion

NONE: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)
_MAX_STEPS = 30  # of Newton's method, which needs four or five
_TOLERANCE = 1e-9  # a millionth of a pixel at a focal length of 1000 pixels

Points = Float64[np.ndarray, "n 2"]


def distort(points: Points, coefficients: Distortion) -> Points:
    """Distorted positions of ideal (pinhole) points. Points beyond the turning radius stay outside the image."""
    if coefficients == NONE:
        return points
    r2 = (points**2).sum(axis=1, keepdims=True)
    inside = points * np.sqrt(np.minimum(1.0, turning_radius(coefficients) ** 2 / np.maximum(r2, 1e-300)))
    return np.asarray(_distorted(inside, coefficients)[0] + (points - inside), np.float64)


def undistort(points: Points, coefficients: Distortion) -> Points:
    """Ideal (pinhole) positions of distorted points, by Newton's method: the inverse of `distort`.

    Raises:
        ValueError: a point has no ideal position, since it lies beyond the turning radius.
    """
    if coefficients == NONE:
        return points
    ideal = points.copy()
    for _ in range(_MAX_STEPS):
        distorted, (xx, xy, yy) = _distorted(ideal, coefficients)
        error = points - distorted
        if np.abs(error).max(initial=0.0) < _TOLERANCE:
            break
        determinant = xx * yy - xy * xy
        determinant = np.where(np.abs(determinant) < 1e-12, 1e-12, determinant)
        ideal[:, 0] += (yy * error[:, 0] - xy * error[:, 1]) / determinant
        ideal[:, 1] += (xx * error[:, 1] - xy * error[:, 0]) / determinant
    turns = turning_radius(coefficients)
    with np.errstate(invalid="ignore"):
        converged = (np.abs(points - _distorted(ideal, coefficients)[0]) < 1e-6).all() and (
            np.hypot(*ideal.T) < turns
        ).all()
    if not converged:
        reach = float(np.hypot(*points.T).max())
        raise ValueError(
            f"the lens distortion {coefficients} has no picture out to {reach:.3g} focal lengths from the middle: it "
            f"turns back on itself at {turns:.3g} of the ideal picture; "
            "use smaller coefficients, or a longer focal length"
        )
    return ideal


def turning_radius(coefficients: Distortion) -> float:
    """The ideal radius at which the distorted radius stops growing, or infinity."""
    k1, k2, _, _, k3 = coefficients
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])  # of the derivative, as radius squared
    real = roots[(np.abs(roots.imag) < 1e-12 * np.maximum(np.abs(roots.real), 1)) & (roots.real > 0)].real
    return float(np.sqrt(real.min())) if len(real) else float("inf")


def _distorted(points: Points, coefficients: Distortion) -> tuple[Points, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Distorted points, and the derivatives dx/dx, dx/dy = dy/dx, dy/dy."""
    k1, k2, p1, p2, k3 = coefficients
    x, y = points.T
    with np.errstate(over="ignore", invalid="ignore"):
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = k1 + r2 * (2 * k2 + r2 * 3 * k3)  # d radial / d r2
        distorted = np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=1,
        )
        mixed = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
        derivatives = (
            radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x,
            mixed,
            radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x,
        )
    return distorted, derivatives
