"""Whether a part is there, apart from whether it can be seen: a hidden Markov model for each track.

Its states are seen, covered and gone. A detection tells that the part is seen. No detection is evidence against "seen"
alone: a covered part is not detected either, so a track that is lost where parts are covered stays. The filter is a
Bernoulli filter (Ristic et al., A Tutorial on Bernoulli Filters, IEEE Trans. Signal Processing, 2013) with two states
of existence.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64

from hybrid.predict.linking.state import COVERED, GONE, SEEN

DETECTED = 0.93  # of a part that can be seen, in a usual frame
COVER = 0.05  # a part that is seen gets covered in an interval, where nothing is known of the place
UNCOVER = 0.06  # likewise, a covered part appears again
VANISH = 0.004  # a part is gone without having left at the picture's edge, in an interval
USUAL_FRAMES = 2.0  # tracks for which the usual rate of detection stands, when a frame is judged by its tracks
TELLING = 5  # detections that count as independent evidence
GAIN = 0.5  # weight of each of these
LOWEST = -0.5  # evidence of a detection, in log-odds above `Linking.sure`: an unsure one tells that something is there


def log_odds(probability: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Of probabilities from 0.0001 to 0.9999; others count as these."""
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.log(clipped / (1 - clipped))  # type: ignore[no-any-return]


def probability_of(odds: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The probability that has these log-odds."""
    return 1 / (1 + np.exp(-odds))  # type: ignore[no-any-return]


def moved_on(
    belief: Float[np.ndarray, "k 3"], cover: Float[np.ndarray, " k"], end: Float[np.ndarray, " k"], step: float
) -> Float[np.ndarray, "k 3"]:
    """The beliefs a step of so many intervals later, before the frame is looked at.

    Args:
        belief: before.
        cover: how likely each place is covered; COVER where nothing is known.
        end: how likely a part ends there; VANISH where nothing is known.
        step: usual intervals.
    """
    covers = 1 - (1 - np.clip(cover, 0, 0.95)) ** step
    uncovers = 1 - (1 - UNCOVER * np.clip(COVER / np.maximum(cover, 1e-6), 0.2, 4.0)) ** step
    ends = 1 - (1 - np.clip(end, 0, 0.5)) ** step
    seen, covered, gone = belief.T
    stays = np.stack([seen * (1 - covers) + covered * uncovers, seen * covers + covered * (1 - uncovers)])
    return np.stack([*(stays * (1 - ends)), gone + stays.sum(0) * ends], 1)


def detection_rate(belief: Float[np.ndarray, "k 3"], detected: Bool[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """How likely each part would have been detected if it could be seen, by what was detected of the other parts.

    In a blank or blurred frame this is low, so such a frame is no evidence against any part.
    """
    weight = belief[:, SEEN]
    found = weight * detected
    others = (found.sum() - found + USUAL_FRAMES * DETECTED) / (weight.sum() - weight + USUAL_FRAMES)
    return np.minimum(others, DETECTED)  # type: ignore[no-any-return]


def missed(
    belief: Float[np.ndarray, "k 3"], rate: Float[np.ndarray, " k"], bare: Float[np.ndarray, " k"]
) -> Float[np.ndarray, "k 3"]:
    """The beliefs after a frame in which the parts were not detected.

    Args:
        belief: after `moved_on`.
        rate: of `detection_rate`.
        bare: how much more likely what is seen at each place is if the part is gone; 1: unknown.
    """
    after = belief * np.stack([1 - rate, np.ones_like(rate), bare], 1)
    return after / after.sum(1, keepdims=True)  # type: ignore[no-any-return]


def detected(evidence: Float[np.ndarray, " k"], hits: Int64[np.ndarray, " k"], sure: float) -> Float[np.ndarray, "k 3"]:
    """The beliefs in parts that are detected now, by the mean evidence of so many detections.

    The first detection counts as its own score. Few of the next ones count, as the frames of a video are much alike.
    """
    base = log_odds(np.array([sure]))
    odds = base + evidence * (1 + GAIN * (np.minimum(hits, TELLING) - 1))
    exists = probability_of(odds)
    belief = np.zeros((len(hits), 3))
    belief[:, SEEN], belief[:, COVERED], belief[:, GONE] = exists, 0.0, 1 - exists
    return belief


def evidence_of(scores: Float[np.ndarray, " m"], sure: float) -> Float[np.ndarray, " m"]:
    """Of detections with these scores, in log-odds above that of `sure`."""
    return np.maximum(log_odds(scores) - log_odds(np.array([sure])), LOWEST)  # type: ignore[no-any-return]
