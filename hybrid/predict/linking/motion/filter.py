"""Where tracks are expected: a Kalman filter for each (constant speed), and the change that they have in common.

On a belt all parts stop, go and slip together, and all seem to move when the camera does. So what the parts that are
seen did since the frame before, beyond their own speeds, is applied to the others too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from hybrid.predict.linking.state import Linked, Seen

NOISE = 0.08  # standard deviation of a detection's centre, in sides
PIECE_NOISE = 2.0  # more of it where nearly all of a part is hidden
DRIFT, HIDDEN_DRIFT = 0.04, 0.015  # of a speed's change per interval, in sides; the others tell a hidden one's
NEW_SPEED, NEW_SPEED_ON_BELT = 0.6, 0.15  # of a new track's speed, in sides: alone, and beside others
BELT_SPEED = 0.05  # standard deviation of the speeds of parts that move together, in sides
OWN_WAY = 0.15  # least uncertainty of a part's own speed, in sides
SEEN_SPEED = 0.08  # standard deviation of a speed that the pixels tell, in sides
UNLIKE = 0.1  # likeness of the most alike part from which its speed counts
FEWEST_VOTES = 2.0  # tracks that must agree on a jump that their speeds do not explain
JUMP_COST = 0.03  # of a jump by a side, in shares of the tracks that agree
OWN_SPEED = 0.3  # tracks without a change for which a track's own speed counts
CAUCHY = 2.0  # residuals beyond so many usual ones count little


def predicted(tracks: Linked, step: float) -> Linked:
    """The tracks a step of so many intervals later, at their own speeds."""
    place, both, speed = tracks.variance_px.T
    drift = np.square(np.where(tracks.unseen > 0, HIDDEN_DRIFT, DRIFT) * tracks.side_px) * step
    variance = np.stack([place + 2 * both * step + speed * step**2 + drift, both + speed * step, speed + drift], 1)
    moved = tracks.boxes_cxcywh_px + np.pad(tracks.speed_px * step, ((0, 0), (0, 2)))
    return replace(tracks, boxes_cxcywh_px=moved, variance_px=variance)


def carried(tracks: Linked, way_px: Float[np.ndarray, "2"], own: Bool[np.ndarray, " k"]) -> Linked:
    """The tracks with the speed that pixels tell, but for those that move by themselves (`own`)."""
    most = np.square(SEEN_SPEED * tracks.side_px)
    share = np.where(own, 1.0, np.minimum(1.0, most / np.maximum(tracks.variance_px[:, 2], 1e-9)))
    spread = tracks.variance_px * np.stack([np.ones_like(share), np.sqrt(share), share], 1)
    return replace(tracks, speed_px=np.where(own[:, None], tracks.speed_px, way_px), variance_px=spread)


def shifted(tracks: Linked, by_px: Float[np.ndarray, "*k 2"], step: float) -> Linked:
    """The tracks elsewhere, with the speed that this takes."""
    change = np.broadcast_to(by_px, (len(tracks), 2))
    moved = tracks.boxes_cxcywh_px + np.pad(change, ((0, 0), (0, 2)))
    return replace(tracks, boxes_cxcywh_px=moved, speed_px=tracks.speed_px + change / step)


def jump(expected: Linked, seen: Seen, certain: Bool[np.ndarray, " n"]) -> Float[np.ndarray, "2"]:
    """The shift that brings most tracks onto a detection: where a belt stops or starts, or frames were lost.

    The mode of the differences between detections and expected places, as in a Hough transform. No shift, unless two
    tracks more agree on it.
    """
    shown = np.flatnonzero((expected.unseen < 2) & (expected.existence > 0.5))
    rows = np.flatnonzero(certain)
    if len(shown) < FEWEST_VOTES or len(rows) < FEWEST_VOTES:
        return np.zeros(2)
    differ = seen.boxes_cxcywh_px[rows][:, None, :2] - expected.boxes_cxcywh_px[shown][None, :, :2]
    side = expected.side_px[shown]
    fits = (np.abs(np.log(seen.side_px[rows][:, None] / side)) < 0.4) & (np.abs(differ).max(-1) < 4 * side)
    fits &= seen.labels[rows][:, None] == expected.labels[shown]
    agree = _agreement(differ, fits, side, np.zeros((1, 2)))[0]
    if agree >= 0.7 * min(len(shown), len(rows)) or not fits.any():
        return np.zeros(2)
    unit = 0.25 * float(np.median(side))
    bins, first, count = np.unique(
        np.round(differ[fits] / unit).astype(np.int64), axis=0, return_index=True, return_counts=True
    )
    far = np.hypot(*bins.T) * unit / float(np.median(side))
    best = np.argsort(-(count - JUMP_COST * len(shown) * far), kind="stable")[:12]
    candidates = differ[fits][first[best]]
    worth = _agreement(differ, fits, side, candidates) - JUMP_COST * len(shown) * far[best]
    k = int(worth.argmax())
    if worth[k] < agree + FEWEST_VOTES - 0.5:
        return np.zeros(2)
    off = np.hypot(*np.moveaxis(differ - candidates[k], -1, 0))
    return np.median(differ[fits & (off < 0.5 * side)], axis=0)  # type: ignore[no-any-return]


def _agreement(
    differ: Float[np.ndarray, "n k 2"],
    fits: Bool[np.ndarray, "n k"],
    side: Float[np.ndarray, " k"],
    shifts: Float[np.ndarray, "m 2"],
) -> Float[np.ndarray, " m"]:
    """How many tracks have a detection near their places after each shift."""
    off = np.square(differ[None] - shifts[:, None, None]).sum(-1) / np.square(0.3 * side)
    return np.where(fits, np.exp(-off), 0.0).max(1).sum(1)  # type: ignore[no-any-return]


def common_change(
    before: Linked,
    places_px: Float[np.ndarray, "k 2"],
    measured_px: Float[np.ndarray, "m 2"],
    of: np.ndarray,
    step: float,
) -> Float[np.ndarray, "k 2"]:
    """What every track moved beyond its expected place, by what the tracks `of` are measured to have done.

    First a factor of their speeds (a belt that stops), then a shift (a camera that moves). Tracks that moved alike
    before count most for each other, so that two belts do not disturb each other. Weights are those of a Cauchy
    distribution, so that a part that moves by itself does not carry the others.

    Args:
        before: the tracks before this frame.
        places_px: where they are expected now.
        measured_px: where the tracks `of` are measured.
        of: indices of these tracks.
        step: usual intervals since the frame before.
    """
    if not len(of):
        return np.zeros((len(before), 2))
    speed, side = before.speed_px * step, float(np.median(before.side_px[of]))
    offset = places_px - before.boxes_cxcywh_px[:, :2] - speed  # a jump that is applied already
    moved = measured_px - before.boxes_cxcywh_px[of, :2] - offset[of]
    near = np.square(before.speed_px[:, None] - before.speed_px[None, of]).sum(-1)
    alike = np.exp(-near / (2 * np.square(0.25 * np.hypot(*before.speed_px.T) + 0.1 * side))[:, None])
    residual = moved - speed[of]
    off = np.hypot(*(residual - np.median(residual, axis=0)).T)
    usual = max(float(np.median(off)), 0.03 * side)
    alike *= 1.0 / (1.0 + np.square(off / (CAUCHY * usual)))
    along = (alike * (moved * speed[of]).sum(-1)).sum(1) + 1.0
    factor = along / ((alike * np.square(speed[of]).sum(-1)).sum(1) + 1.0)
    factor = np.clip(factor, 0.0, 4.0)[:, None]
    rest = moved[None] - factor[:, None] * speed[of][None]
    shift = (alike[..., None] * rest).sum(1) / (alike.sum(1) + OWN_SPEED)[:, None]
    change = (factor - 1) * speed + shift
    noise = 2 * np.square(usual) / np.maximum(alike.sum(1), 0.1)
    worth = np.square(change).sum(1) / noise
    return change * (worth / (1 + worth))[:, None]  # type: ignore[no-any-return]


def corrected(
    expected: Linked, of: np.ndarray, centres_px: Float[np.ndarray, "m 2"], shares: Float[np.ndarray, " m"]
) -> Linked:
    """The tracks with the tracks `of` updated by their measured centres; `shares`: of each part, that are seen."""
    place, both, speed = expected.variance_px[of].T
    noise = np.square(NOISE * expected.side_px[of] * (1 + PIECE_NOISE * (1 - shares)))
    gain, speed_gain = place / (place + noise), both / (place + noise)
    off = centres_px - expected.boxes_cxcywh_px[of, :2]
    boxes, speeds, variance = (
        column.copy() for column in (expected.boxes_cxcywh_px, expected.speed_px, expected.variance_px)
    )
    boxes[of, :2] += gain[:, None] * off
    speeds[of] += speed_gain[:, None] * off
    variance[of] = np.stack([place * (1 - gain), both * (1 - gain), speed - speed_gain * both], 1)
    return replace(expected, boxes_cxcywh_px=boxes, speed_px=speeds, variance_px=variance)


def with_the_others(tracks: Linked, hidden: Bool[np.ndarray, " k"]) -> Linked:
    """The tracks, the hidden ones with the speed of parts that move like them, if there are any."""
    variance = np.maximum(tracks.variance_px[:, 2], np.square(OWN_WAY * tracks.side_px))
    belt = np.square(BELT_SPEED * tracks.side_px)
    known = tracks.take((tracks.hits >= 3) & (tracks.unseen == 0))
    if not len(known):
        return tracks
    off = np.square(tracks.speed_px[:, None] - known.speed_px[None]).sum(-1) / (variance + belt)[:, None]
    alike = np.exp(-off / 2)
    weight = _nearness(known, tracks.boxes_cxcywh_px[:, :2]) * (alike + 1e-9)
    differ = _most_common(known, weight) - tracks.speed_px
    trust = alike.max(1) / (alike.max(1) + UNLIKE)
    gain = np.where(hidden, trust * variance / (variance + belt), 0.0)
    spread = tracks.variance_px.copy()
    spread[:, 1:] *= (1 - gain)[:, None]
    return replace(tracks, speed_px=tracks.speed_px + gain[:, None] * differ, variance_px=spread)


def speed_at(tracks: Linked, centres_px: Float[np.ndarray, "n 2"]) -> tuple[Float[np.ndarray, "n 2"], bool]:
    """The speed of new parts: what most of the known ones near them have; whether there are any."""
    known = tracks.take((tracks.hits >= 3) & (tracks.unseen == 0))
    if not len(known):
        return np.zeros((len(centres_px), 2)), False
    return _most_common(known, _nearness(known, centres_px)), True


def _nearness(known: Linked, centres_px: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n m"]:
    far = np.square(centres_px[:, None] - known.boxes_cxcywh_px[None, :, :2]).sum(-1)
    return 1 / (1 + far / np.square(3 * float(np.median(known.side_px))))  # type: ignore[no-any-return]


def _most_common(known: Linked, weight: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n 2"]:
    """The mode of the speeds of known tracks with these weights, so that what stands still does not slow a belt."""
    width = 2 * np.square(0.15 * float(np.median(known.side_px)))
    alike = np.exp(-np.square(known.speed_px[:, None] - known.speed_px[None]).sum(-1) / width)
    weight = weight * alike[(weight @ alike).argmax(1)]
    return weight @ known.speed_px / weight.sum(1)[:, None]  # type: ignore[no-any-return]
