"""Brown and Conrady's lens distortion, in OpenCV's form and order of coefficients: k1, k2, p1, p2, k3.

D. C. Brown, "Close-range camera calibration", Photogrammetric Engineering 37 (1971); OpenCV's calib3d documentation.
Points are normalized: x / z and y / z in the camera's frame, that is pixels less the principal point, by the focal
length. The function turns back on itself at some radius where a strong lens is given by few coefficients; a picture
must end before. Beyond it points go on straight outwards, so that nothing from far outside falls into the picture.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from simgen.spec.types import Distortion

NONE: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)
_ROUNDS = 30  # of Newton's method, which takes four or five
_NEAR = 1e-9  # a millionth of a pixel at a focal length of 1000

Points = Float64[np.ndarray, "n 2"]


def distort(points: Points, coefficients: Distortion) -> Points:
    """Where the lens puts ideal points; those beyond the radius at which it turns stay outside of it."""
    if coefficients == NONE:
        return points
    r2 = (points**2).sum(axis=1, keepdims=True)
    inside = points * np.sqrt(np.minimum(1.0, turning_radius(coefficients) ** 2 / np.maximum(r2, 1e-300)))
    return np.asarray(_moved(inside, coefficients)[0] + (points - inside), np.float64)


def undistort(points: Points, coefficients: Distortion) -> Points:
    """The ideal points that the lens puts there, by Newton's method.

    Raises:
        ValueError: there are none: the lens turns back before it reaches one of the points.
    """
    if coefficients == NONE:
        return points
    ideal = points.copy()
    for _ in range(_ROUNDS):
        there, (xx, xy, yy) = _moved(ideal, coefficients)
        miss = points - there
        if np.abs(miss).max(initial=0.0) < _NEAR:
            break
        determinant = xx * yy - xy * xy
        determinant = np.where(np.abs(determinant) < 1e-12, 1e-12, determinant)
        ideal[:, 0] += (yy * miss[:, 0] - xy * miss[:, 1]) / determinant
        ideal[:, 1] += (xx * miss[:, 1] - xy * miss[:, 0]) / determinant
    turns = turning_radius(coefficients)
    with np.errstate(invalid="ignore"):
        good = (np.abs(points - _moved(ideal, coefficients)[0]) < 1e-6).all() and (np.hypot(*ideal.T) < turns).all()
    if not good:
        reach = float(np.hypot(*points.T).max())
        raise ValueError(
            f"the lens distortion {coefficients} has no picture out to {reach:.3g} focal lengths from the middle: it "
            f"turns back on itself at {turns:.3g} of the ideal picture; smaller coefficients, or a longer focal length"
        )
    return ideal


def turning_radius(coefficients: Distortion) -> float:
    """The ideal radius at which the radial part stops to grow, or infinity."""
    k1, k2, _, _, k3 = coefficients
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])  # of the derivative, in the radius squared
    real = roots[(np.abs(roots.imag) < 1e-12 * np.maximum(np.abs(roots.real), 1)) & (roots.real > 0)].real
    return float(np.sqrt(real.min())) if len(real) else float("inf")


def _moved(points: Points, coefficients: Distortion) -> tuple[Points, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The formula, and its derivatives dx/dx, dx/dy = dy/dx, dy/dy."""
    k1, k2, p1, p2, k3 = coefficients
    x, y = points.T
    with np.errstate(over="ignore", invalid="ignore"):
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = k1 + r2 * (2 * k2 + r2 * 3 * k3)  # of `radial`, in the radius squared
        moved = np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=1,
        )
        across = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
        derivatives = (
            radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x,
            across,
            radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x,
        )
    return moved, derivatives
