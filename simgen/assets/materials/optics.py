"""The colour of bare metals, from their measured complex refractive indices.

Reflectance at normal incidence is ((n - 1)^2 + k^2) / ((n + 1)^2 + k^2). Its colour is that under D65 (CIE 15:2004,
table T.1, every 20 nm) for the CIE 1931 observer (fits of Wyman, Sloan and Shirley 2013, JCGT 2(2)), as linear sRGB in
which a perfect mirror is (1, 1, 1).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float64

from simgen.spec.colour import RGB_FROM_XYZ
from simgen.spec.types import Vec3

# Wavelength (micrometres), n, k. The tables are from refractiveindex.info's database (CC0), for visible light only.
INDICES: dict[str, tuple[tuple[float, float, float], ...]] = {
    # Rakic 1995, Applied Optics 34, 4755: evaporated aluminium
    "aluminium": (
        (0.36466, 0.39877, 4.3957), (0.41328, 0.52135, 5.0008), (0.44280, 0.60790, 5.3676), (0.47687, 0.72780, 5.7781),
        (0.51660, 0.87340, 6.2418), (0.56357, 1.0728, 6.7839), (0.61993, 1.3660, 7.4052), (0.65225, 1.5724, 7.7354),
        (0.68881, 1.8301, 8.0601), (0.72932, 2.1606, 8.3565),
    ),
    # Querry 1985, Contractor Report CRDC-CR-85034: 70 % Cu, 30 % Zn
    "brass": (
        (0.38, 1.487, 1.818), (0.40, 1.445, 1.805), (0.42, 1.350, 1.786), (0.44, 1.191, 1.797), (0.46, 0.994, 1.883),
        (0.48, 0.816, 2.046), (0.50, 0.686, 2.250), (0.52, 0.602, 2.464), (0.54, 0.549, 2.668), (0.56, 0.505, 2.860),
        (0.58, 0.468, 3.059), (0.60, 0.450, 3.253), (0.62, 0.449, 3.434), (0.64, 0.444, 3.609), (0.66, 0.445, 3.778),
        (0.68, 0.444, 3.943), (0.70, 0.446, 4.106),
    ),
    # Johnson and Christy 1974, Physical Review B 9, 5056
    "chromium": (
        (0.381, 1.92, 2.74), (0.397, 2.00, 2.83), (0.413, 2.08, 2.93), (0.431, 2.19, 3.04), (0.451, 2.33, 3.14),
        (0.471, 2.51, 3.24), (0.496, 2.75, 3.30), (0.521, 2.94, 3.33), (0.549, 3.18, 3.33), (0.582, 3.22, 3.30),
        (0.617, 3.17, 3.30), (0.659, 3.09, 3.34), (0.704, 3.05, 3.39),
    ),
    # Johnson and Christy 1972, Physical Review B 6, 4370
    "copper": (
        (0.3815, 1.33, 2.045), (0.3974, 1.32, 2.116), (0.4133, 1.28, 2.207), (0.4305, 1.25, 2.305),
        (0.4509, 1.24, 2.397), (0.4714, 1.25, 2.483), (0.4959, 1.22, 2.564), (0.5209, 1.18, 2.608),
        (0.5486, 1.02, 2.577), (0.5821, 0.70, 2.704), (0.6168, 0.30, 3.205), (0.6595, 0.22, 3.747),
        (0.7045, 0.21, 4.205),
    ),
    # Johnson and Christy 1974
    "iron": (
        (0.381, 2.12, 2.50), (0.397, 2.24, 2.58), (0.413, 2.35, 2.65), (0.431, 2.48, 2.71), (0.451, 2.59, 2.77),
        (0.471, 2.67, 2.82), (0.496, 2.74, 2.88), (0.521, 2.86, 2.91), (0.549, 2.95, 2.93), (0.582, 2.94, 2.99),
        (0.617, 2.88, 3.05), (0.659, 2.92, 3.10), (0.704, 2.86, 3.19),
    ),
    # Johnson and Christy 1974
    "nickel": (
        (0.381, 1.72, 2.48), (0.397, 1.72, 2.57), (0.413, 1.70, 2.69), (0.431, 1.71, 2.82), (0.451, 1.73, 2.95),
        (0.471, 1.78, 3.09), (0.496, 1.82, 3.25), (0.521, 1.85, 3.42), (0.549, 1.92, 3.61), (0.582, 1.96, 3.80),
        (0.617, 1.99, 4.02), (0.659, 1.99, 4.26), (0.704, 2.06, 4.50),
    ),
    # Karlsson and Ribbing 1982, Journal of Applied Physics 53, 6340: austenitic, 18.5 % Cr, 9.3 % Ni
    "stainless": (
        (0.38, 1.4786, 2.6681), (0.40, 1.5249, 2.7925), (0.42, 1.5762, 2.9240), (0.44, 1.6386, 3.0555),
        (0.46, 1.7169, 3.1785), (0.48, 1.7921, 3.2933), (0.50, 1.8636, 3.4010), (0.52, 1.9349, 3.5072),
        (0.54, 2.0072, 3.6166), (0.56, 2.0807, 3.7298), (0.58, 2.1557, 3.8451), (0.60, 2.2325, 3.9594),
        (0.62, 2.3122, 4.0504), (0.64, 2.3962, 4.1378), (0.66, 2.4839, 4.2261), (0.68, 2.5731, 4.3155),
        (0.70, 2.6617, 4.4066),
    ),
    # Werner, Glantschnig and Ambrosch-Draxl 2009, Journal of Physical and Chemical Reference Data 38, 1013
    "zinc": (
        (0.381490, 0.5508, 3.2986), (0.413281, 0.6029, 3.6376), (0.450852, 0.6794, 4.0209), (0.495937, 0.7858, 4.4636),
        (0.551041, 0.9322, 4.9850), (0.619921, 1.1356, 5.6116), (0.708481, 1.4247, 6.3811),
    ),
}  # fmt: skip
_NM = np.arange(380, 701, 20, dtype=float)
_D65 = np.array(
    [49.98, 82.75, 93.43, 104.86, 117.81, 115.92, 109.35, 104.79, 104.41, 100.0, 95.79, 90.01, 87.70, 83.70, 80.21,
     78.28, 71.61]
)  # fmt: skip


def reflectance(metal: str, wavelength_um: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """Reflectance at normal incidence: linear between the table's rows, constant beyond them.

    Raises:
        KeyError: there is no table of that metal.
    """
    if metal not in INDICES:
        raise KeyError(f"no optical constants of {metal!r}; there are {sorted(INDICES)}")
    table_um, n_table, k_table = np.array(INDICES[metal]).T
    n, k = np.interp(wavelength_um, table_um, n_table), np.interp(wavelength_um, table_um, k_table)
    return np.asarray(((n - 1) ** 2 + k**2) / ((n + 1) ** 2 + k**2))


@cache
def f0(metal: str) -> Vec3:
    """Linear RGB of the light that a clean, flat piece of metal reflects from white light at normal incidence.

    Raises:
        KeyError: there is no table of that metal.
    """
    weights = _observer() * _D65[:, None]
    white = RGB_FROM_XYZ @ weights.sum(axis=0)
    rgb = RGB_FROM_XYZ @ (weights * reflectance(metal, _NM / 1000)[:, None]).sum(axis=0) / white
    red, green, blue = (float(c) for c in np.clip(rgb, 0.0, 1.0))
    return red, green, blue


def _observer() -> Float64[np.ndarray, "n 3"]:
    def lobe(peak: float, centre: float, below: float, above: float) -> Float64[np.ndarray, "n"]:
        slope = np.where(centre > _NM, below, above)
        return np.asarray(peak * np.exp(-0.5 * ((_NM - centre) * slope) ** 2))

    x = lobe(0.362, 442.0, 0.0624, 0.0374) + lobe(1.056, 599.8, 0.0264, 0.0323) + lobe(-0.065, 501.1, 0.0490, 0.0382)
    y = lobe(0.821, 568.8, 0.0213, 0.0247) + lobe(0.286, 530.9, 0.0613, 0.0322)
    z = lobe(1.217, 437.0, 0.0845, 0.0278) + lobe(0.681, 459.0, 0.0385, 0.0725)
    return np.stack([x, y, z], axis=1)
