"""Masks in other formats: COCO's run lengths (RLE), and outlines as polygons. Exact in both directions.

faster-coco-eval codes the run lengths. It refuses damaged ones, where pycocotools returns uninitialized memory.

An outline follows the edges of pixels, so its corners are whole numbers, its bounds are the box of the mask, and the
pixels whose centre is inside (even-odd rule) are the mask again.
"""

from __future__ import annotations

import reprlib

import faster_coco_eval.core.mask as coco
import numpy as np
from jaxtyping import Bool, Float, Int64

LETTERS = "".join(map(chr, range(48, 48 + 64)))  # of compressed run lengths, 6 bits each
MAX_MASK_PX = 100_000_000  # a larger size is refused before memory is allocated
Loop = Int64[np.ndarray, "_ 2"]


def rle(mask: Bool[np.ndarray, "h w"]) -> dict[str, object]:
    """COCO's compressed RLE object."""
    return {"size": list(mask.shape), "counts": coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()}


def from_rle(counts: str | list[int], height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
    """The mask of COCO's run lengths, compressed or not.

    Raises:
        ValueError: they are damaged, or are not of a mask of this size.
    """
    _check_size(height_px, width_px)
    packed: dict[str, object] = {"size": [height_px, width_px], "counts": counts}
    try:
        if not isinstance(counts, str):
            packed = coco.frPyObjects(packed, height_px, width_px)
        elif counts.strip(LETTERS):
            raise ValueError("other letters")
        return np.asarray(coco.decode(packed), bool)
    except (ValueError, TypeError, RuntimeError):  # which of them is that library's choice
        raise ValueError(f"{reprlib.repr(counts)} are no run lengths of {width_px} x {height_px} pixels") from None


def outlines(mask: Bool[np.ndarray, "h w"]) -> list[Loop]:
    """The closed outlines (x, y) of a mask's pieces and of their holes, each without repeating its first corner.

    Corners of the pixel grid where one or three of the four pixels round them are on belong to a turn, those with two
    on the diagonal to two turns. Along each row of the grid every two successive ones are joined by an edge, along each
    column likewise.
    """
    padded = np.pad(mask, 1).astype(np.int8)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    turns = np.where((a == d) & (b == c) & (a != b), 2, (a + b + c + d) % 2)
    y, x = np.nonzero(turns)
    y, x = (np.repeat(v, turns[y, x]) for v in (y, x))  # ordered by row, a double corner twice in succession
    by_column = np.lexsort((y, x))  # stable, so that a double corner's first turn comes first here too
    along_row = np.arange(len(x)) ^ 1
    along_column = np.empty(len(x), np.int64)
    along_column[by_column[::2]], along_column[by_column[1::2]] = by_column[1::2], by_column[::2]
    loops, left = [], np.ones(len(x), bool)
    for start in range(len(x)):
        if not left[start]:
            continue
        walk, corner = [], start
        while left[corner]:
            other = int(along_row[corner])
            walk += [corner, other]
            left[corner] = left[other] = False
            corner = int(along_column[other])
        loops.append(np.stack([x[walk], y[walk]], axis=1).astype(np.int64))
    return loops


def joined(loops: list[Loop]) -> Loop:
    """One outline from several, connected by bridges of width 0 between nearest corners. The inside is the same."""
    whole, *others = loops
    for loop in others:
        far = np.abs(whole[:, None] - loop[None]).sum(axis=2)
        i, j = np.unravel_index(int(far.argmin()), far.shape)
        whole = np.concatenate([whole[: i + 1], loop[j:], loop[: j + 1], whole[i:]])
    return whole


def filled(outline: Float[np.ndarray, "n 2"], height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
    """The pixels whose centre is inside a closed outline, by the even-odd rule.

    Raises:
        ValueError: the size is not that of an image.
    """
    _check_size(height_px, width_px)
    starts, ends = outline, np.roll(outline, -1, axis=0)
    down = starts[:, 1] < ends[:, 1]
    top, bottom = np.where(down[:, None], starts, ends), np.where(down[:, None], ends, starts)
    from_row, to_row = (np.clip(np.ceil(end[:, 1] - 0.5), 0, height_px).astype(int) for end in (top, bottom))
    rows_of = np.maximum(to_row - from_row, 0)
    edge = np.repeat(np.arange(len(rows_of)), rows_of)
    row = from_row[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(rows_of) - rows_of, rows_of)
    share = (row + 0.5 - top[edge, 1]) / (bottom[edge, 1] - top[edge, 1])
    crossing = top[edge, 0] + share * (bottom[edge, 0] - top[edge, 0])
    column = np.clip(np.ceil(crossing - 0.5), 0, width_px).astype(int)
    crossings = np.zeros((height_px, width_px + 1), np.int64)
    np.add.at(crossings, (row, column), 1)
    return np.asarray(np.cumsum(crossings, axis=1)[:, :width_px] % 2, bool)


def _check_size(height_px: int, width_px: int) -> None:
    if height_px < 1 or width_px < 1 or height_px * width_px > MAX_MASK_PX:
        raise ValueError(f"a mask of {width_px} x {height_px} pixels")
