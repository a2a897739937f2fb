"""A video classifier of its own: learns what only the order of frames tells, and is the same after a save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybrid.core.errors import RunError
from hybrid.training.methods.classifier import VideoClassifier


def moving_squares(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A square that grows brighter, or one that grows darker: single frames of the two look alike."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    clips = rng.integers(90, 110, (count, 3, 32, 32, 3)).astype(np.uint8)
    for clip, label in zip(clips, labels, strict=True):
        x, y = rng.integers(0, 20, 2)
        levels = [30, 140, 250] if label else [250, 140, 30]
        for frame, level in zip(clip, levels, strict=True):
            frame[y : y + 12, x : x + 12] = level
    return clips, labels


def test_the_order_of_frames_is_learned_and_kept(tmp_path: Path) -> None:
    clips, labels = moving_squares(24, 0)
    shown = []
    classifier = VideoClassifier(("falls", "rises")).fit(
        clips, labels, steps=30, learning_rate=2e-3, progress=lambda done, total, values: shown.append(done)
    )
    assert shown[-1] == 30
    others, truth = moving_squares(24, 1)
    assert (classifier.predict(others) == truth).mean() > 0.85
    shares = classifier.predict_shares(others)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    classifier.save(tmp_path / "c.safetensors")
    again = VideoClassifier.load(tmp_path / "c.safetensors")
    assert again.classes == ("falls", "rises")
    np.testing.assert_allclose(again.predict_shares(others), shares, atol=1e-6)


def test_mistakes_are_reported(tmp_path: Path) -> None:
    classifier = VideoClassifier(("ok", "bad"))
    clips, labels = moving_squares(2, 0)
    with pytest.raises(ValueError, match=r"2 clips, but labels of shape \(1,\)"):
        classifier.fit(clips, labels[:1], steps=1)
    with pytest.raises(ValueError, match=r"needs 0\.\.1, got .*5"):
        classifier.fit(clips, np.array([0, 5]), steps=1)
    with pytest.raises(ValueError, match="needs two or more"):
        VideoClassifier(("ok",))
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(RunError, match="cannot be read"):
        VideoClassifier.load(tmp_path / "x.safetensors")
