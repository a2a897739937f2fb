"""The colours of a CAD file by place: TinyRenderer tells which part a sample shows, but not where on its mesh.

So a grid of cells over the part holds the colour of the nearest piece of its surface. Each axis has the same number of
cells, so that both sides of a thin plate are told apart.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from simgen.assets.parts.model import PartModel
from simgen.renderers.surfaces import Colours

CELLS = 40  # along each axis
NEAR = 1.5  # a cell within this distance of the surface, in cells, has the colour of the nearest piece
HALVINGS = 8  # of the longest triangles, until they are as small as a cell


class ColourGrid:
    """Linear RGB of a part by the place on it."""

    def __init__(self, model: PartModel) -> None:
        assert model.colours is not None
        self._low_m = model.vertices_m.min(axis=0).astype(np.float32)
        self._cell_m = (np.ptp(model.vertices_m, axis=0) / CELLS).astype(np.float32)
        corners = ((model.vertices_m - self._low_m) / self._cell_m)[model.triangles]
        places, colours = _pieces(corners, model.colours[model.triangles])
        middles = np.stack(np.meshgrid(*[np.arange(CELLS) + 0.5] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        self._rgb = np.asarray(colours[_nearest(places, middles)], np.float32)

    def at(self, local_m: Colours) -> Colours:
        """The colours at points of the part's surface, in the part's frame."""
        x, y, z = np.clip(((local_m - self._low_m) / self._cell_m).astype(np.int64), 0, CELLS - 1).T
        return np.asarray(self._rgb[(x * CELLS + y) * CELLS + z])


def _nearest(places: Float64[np.ndarray, "n 3"], middles: Float64[np.ndarray, "c 3"]) -> Int64[np.ndarray, " c"]:
    """The index of the nearest piece for the cells near the surface; the others have that of the nearest such cell.

    Deep inside a part very many pieces are about equally near, which makes the search slow.
    """
    nearest = np.asarray(cKDTree(places).query(middles, distance_upper_bound=NEAR)[1], np.int64)
    grid = nearest.reshape((CELLS,) * 3)
    cells = distance_transform_edt(grid == len(places), return_distances=False, return_indices=True)
    return np.asarray(grid[tuple(cells)].reshape(-1), np.int64)


def _pieces(
    corners: Float64[np.ndarray, "t 3 3"], colours: Float32[np.ndarray, "t 3 3"]
) -> tuple[Float64[np.ndarray, "n 3"], Float32[np.ndarray, "n 3"]]:
    """Middles and colours of pieces of the surface, none much larger than a cell (of side 1)."""
    done: list[tuple[np.ndarray, np.ndarray]] = []
    for halving in range(HALVINGS + 1):
        sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(axis=1)
        large = (sides > 1.0) & (halving < HALVINGS)
        done.append((corners[~large].mean(axis=1), colours[~large].mean(axis=1)))
        corners, colours = _quartered(corners[large]), _quartered(colours[large])
    places, tints = zip(*done, strict=True)
    return np.concatenate(places), np.concatenate(tints).astype(np.float32)


def _quartered(corners: np.ndarray) -> np.ndarray:
    """Four triangles in place of each, cut at the middles of its sides."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    return np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
