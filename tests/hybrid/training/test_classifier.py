"""A video classifier of its own: learns what only the order of frames tells, and is the same after a save."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hybrid.core.config import tiny
from hybrid.core.errors import RunError
from hybrid.training.methods.classifier import VideoClassifier
from hybrid.training.methods.clip_net import make_clip_net

SMALL = replace(tiny(("object",)), branches="cnn+rnn", width=16)


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
    classifier = VideoClassifier(("falls", "rises"), SMALL).fit(
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
    classifier = VideoClassifier(("ok", "bad"), SMALL)
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


def test_train_takes_tensors_and_is_fit() -> None:
    clips, labels = moving_squares(4, 0)
    tensors = torch.from_numpy(clips).permute(0, 1, 4, 2, 3)
    fitted = VideoClassifier(("falls", "rises"), SMALL).fit(clips, labels, steps=1, batch=2).predict_shares(clips)
    for given in (tensors, tensors.float() / 255):
        trained = VideoClassifier(("falls", "rises"), SMALL).train(given, torch.from_numpy(labels), steps=1, batch=2)
        assert trained.shape == (3, 32, 32)
        np.testing.assert_allclose(trained.predict_shares(given), fitted, atol=1e-6)
    with pytest.raises(ValueError, match=r"a tensor needs \(clips, frames, 3, height, width\)"):
        VideoClassifier(("falls", "rises"), SMALL).predict(torch.zeros(2, 3, 32, 32, 3))
    with pytest.raises(ValueError, match=r"values from 30 to 250; RGB in 0\.\.1"):
        VideoClassifier(("falls", "rises"), SMALL).predict(tensors.float())


@torch.no_grad()
def test_the_cnn_alone_knows_no_order_and_attention_alone_does_not_look_ahead() -> None:
    torch.manual_seed(0)
    config = replace(SMALL, branches="cnn", clip_classes=("a", "b"))
    clips = torch.rand(2, 4, 3, 32, 32)
    other = torch.cat([clips[:, :3], torch.rand(2, 1, 3, 32, 32)], 1)
    cnn = make_clip_net(config, "cnn").eval()
    logits, state = cnn(clips)
    torch.testing.assert_close(cnn(clips.flip(1))[0][:, -1], logits[:, -1])
    first, between = cnn(clips[:, :1])
    rest, after = cnn(clips[:, 1:], between)
    torch.testing.assert_close(torch.cat([first, rest], 1), logits)
    torch.testing.assert_close(after.clip, state.clip)
    attention = make_clip_net(config, "transformer").eval()
    ahead, without = attention(clips)[0], attention(other)[0]
    torch.testing.assert_close(ahead[:, :3], without[:, :3])
    assert (ahead[:, 3] - without[:, 3]).abs().min() > 1e-5
    assert (attention(clips.flip(1))[0][:, -1] - ahead[:, -1]).abs().max() > 1e-4


@pytest.mark.parametrize("kind", ["cnn", "transformer"])
def test_a_kind_is_kept_in_the_file(kind: str, tmp_path: Path) -> None:
    clips, _ = moving_squares(2, 0)
    made = VideoClassifier(("ok", "bad"), SMALL, kind=kind)
    made.save(tmp_path / "c.safetensors")
    again = VideoClassifier.load(tmp_path / "c.safetensors")
    assert again.kind == kind
    np.testing.assert_allclose(again.predict_shares(clips), made.predict_shares(clips), atol=1e-6)


def test_it_starts_from_imagenet_and_a_saved_one_needs_no_such_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips, _ = moving_squares(1, 0)
    made = VideoClassifier(("ok", "bad"))
    assert (made.config.backbone, made.config.weights) == ("timm:tf_efficientnet_lite0", "bundled")
    slow, fast = sorted(made._groups(1e-3), key=lambda group: group["lr"])
    assert slow["lr"] == pytest.approx(1e-4)
    assert {id(p) for p in slow["params"]} <= {id(p) for p in made.net.backbone.parameters()}
    assert not {id(p) for p in slow["params"]} & {id(p) for p in fast["params"]}
    made.save(tmp_path / "c.safetensors")
    monkeypatch.setattr("hybrid.model.frame.timm_net.find_spec", lambda name: None)  # the weights' package is gone
    again = VideoClassifier.load(tmp_path / "c.safetensors")
    np.testing.assert_allclose(again.predict_shares(clips), made.predict_shares(clips), atol=1e-6)
