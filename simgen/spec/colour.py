"""Colour: sRGB to linear light and back, hue-saturation-value, and the colour of a black body.

Linear RGB has sRGB's primaries and D65 white (IEC 61966-2-1).
"""

from __future__ import annotations

import colorsys

import numpy as np
from jaxtyping import Float

Rgb = tuple[float, float, float]
RGB_FROM_XYZ = np.array(  # IEC 61966-2-1
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB


def linear_from_srgb(srgb: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The transfer function of IEC 61966-2-1, on values in 0..1."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The inverse of `linear_from_srgb`, on values in 0..1."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def linear_from_hsv(hue_deg: float, saturation: float, value: float) -> Rgb:
    """Linear RGB of an sRGB colour that is given as hue, saturation and value."""
    srgb = np.array(colorsys.hsv_to_rgb((hue_deg % 360.0) / 360.0, saturation, value))
    red, green, blue = (float(c) for c in linear_from_srgb(srgb))
    return red, green, blue


def hsv_from_linear(linear: Rgb) -> Rgb:
    """Hue in degrees, saturation and value in sRGB of a linear RGB in 0..1: the inverse of `linear_from_hsv`."""
    red, green, blue = (float(c) for c in srgb_from_linear(np.array(linear)))
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    return 360.0 * hue, saturation, value


def black_body(temperature_k: float) -> Rgb:
    """Linear RGB of a black body, of luminance 1.

    The Planckian locus' chromaticity is the cubic fit of Kim et al. (US patent 7024034, 2002).

    Raises:
        ValueError: the temperature lies outside the fit.
    """
    if not 1667.0 <= temperature_k <= 25000.0:
        raise ValueError(f"a colour temperature must lie in 1667..25000 K, got {temperature_k}")
    t = 1000.0 / temperature_k
    if temperature_k < 4000.0:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
    if temperature_k < 2222.0:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif temperature_k < 4000.0:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    rgb = np.clip(RGB_FROM_XYZ @ np.array([x / y, 1.0, (1.0 - x - y) / y]), 0.0, None)
    red, green, blue = (float(c) for c in rgb / (LUMINANCE @ rgb))
    return red, green, blue
