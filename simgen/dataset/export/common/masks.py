"""Masks as other formats store them: COCO's run lengths, and outlines for polygons. numpy only, exact both ways.

An outline runs along the pixels' edges, so its corners are whole numbers, its bounds are the box of the mask, and the
pixels whose centre lies inside it (even-odd rule) are the mask again.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64

MAX_MASK_PX = 100_000_000  # a larger claim is refused before anything is allocated
Loop = Int64[np.ndarray, "_ 2"]


def run_lengths(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """How many pixels are off, on, off, ... down one column after the other."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths: list[int] = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def compressed(lengths: list[int]) -> str:
    """Run lengths as COCO's text, 5 bits a letter; from the fourth on, the difference to the one before the last.

    The format is that of `rleToString` in pycocotools' maskApi.c.
    """
    letters = []
    for i, length in enumerate(lengths):
        value, more = length - (lengths[i - 2] if i > 2 else 0), True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            letters.append(chr(48 + (bits | 0x20 if more else bits)))
    return "".join(letters)


def expanded(text: str) -> list[int]:
    """The run lengths of COCO's text.

    Raises:
        ValueError: the text is no such thing.
    """
    lengths: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ValueError(f"{letter!r} at this place is not COCO's run lengths")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the run lengths end inside a number")
    return lengths


def rle(mask: Bool[np.ndarray, "h w"]) -> dict[str, object]:
    """COCO's compressed RLE object."""
    return {"size": list(mask.shape), "counts": compressed(run_lengths(mask))}


def from_rle(counts: str | list[int], height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
    """The mask of COCO's run lengths, compressed or not.

    Raises:
        ValueError: they are damaged, or are not of a mask of this size.
    """
    lengths = expanded(counts) if isinstance(counts, str) else counts
    _check_size(height_px, width_px)
    if any(length < 0 for length in lengths) or sum(lengths) != height_px * width_px:
        raise ValueError(f"runs of {sum(lengths)} pixels for a mask of {width_px} x {height_px}")
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape((height_px, width_px), order="F")


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
        walk, at = [], start
        while left[at]:
            other = int(along_row[at])
            walk += [at, other]
            left[at] = left[other] = False
            at = int(along_column[other])
        loops.append(np.stack([x[walk], y[walk]], axis=1).astype(np.int64))
    return loops


def joined(loops: list[Loop]) -> Loop:
    """One outline of several, by bridges of no width between their nearest corners: the inside stays the same."""
    whole, *others = loops
    for loop in others:
        far = np.abs(whole[:, None] - loop[None]).sum(axis=2)
        i, j = np.unravel_index(int(far.argmin()), far.shape)
        whole = np.concatenate([whole[: i + 1], loop[j:], loop[: j + 1], whole[i:]])
    return whole


def filled(outline: Float[np.ndarray, "n 2"], height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
    """The pixels whose centre lies inside a closed outline by the even-odd rule.

    Raises:
        ValueError: the size is none that a picture has.
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
