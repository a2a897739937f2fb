"""A video classifier: the detector's CNN, its branches over time and its clip head, without boxes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from safetensors.torch import save
from torch import Tensor, nn

from hybrid.core.config import ModelConfig, lite
from hybrid.core.errors import RunError
from hybrid.core.progress import Progress, silent
from hybrid.losses.heads import clip_loss
from hybrid.training.methods.clip_net import KINDS, Kind, make_clip_net
from hybrid.weights.checkpoint import config_of, portable, read_tensors
from simgen.dataset.store.files import write_atomically

BACKBONE_RATE = 0.1  # of a pretrained backbone, as a share of the learning rate
Clips = UInt8[np.ndarray, "n t h w 3"]
AnyClips = np.ndarray | Tensor  # of any shape: what does not fit is answered in words, by `_as_arrays` and `_check`


class VideoClassifier:
    """Classifies short clips as a whole, such as ok and defective. For data that fits into memory.

    Clips are uint8 RGB arrays, [n, t, h, w, 3]; or tensors [n, t, 3, h, w], uint8 or in 0..1.

    >>> clips = np.random.default_rng(0).integers(0, 255, (6, 2, 32, 32, 3)).astype(np.uint8)  # RGB
    >>> labels = np.array([0, 1, 0, 1, 0, 1])
    >>> classifier = VideoClassifier(("ok", "defective")).fit(clips, labels, steps=2, batch=2)
    >>> classifier.predict(clips).shape  # an index into the classes for each clip
    (6,)
    >>> classifier.predict_shares(clips).shape  # a probability for each class
    (6, 2)
    """

    def __init__(
        self,
        classes: Sequence[str],
        config: ModelConfig | None = None,
        seed: int = 0,
        *,
        kind: Kind | None = None,
        pretrained: bool = True,
    ) -> None:
        """Make an untrained classifier.

        Args:
            classes: their names.
            config: the architecture, by default that of the preset `lite` with recurrence: a CNN that knows ImageNet.
                Its categories and detection heads are not used.
            seed: of the first weights and of the training.
            kind: what looks at time, in place of `config.branches`: "cnn" takes the mean over the frames, "cnn+rnn",
                "cnn+transformer" and "cnn+rnn+transformer" know their order, "transformer" has no CNN.
            pretrained: whether to read the weights that the config names for its backbone.

        Raises:
            ValueError: fewer than two different classes, or no such kind.
        """
        if len(classes) < 2:
            raise ValueError(f"classes: needs two or more, got {list(classes)}")
        if kind is not None and kind not in KINDS:
            raise ValueError(f"kind: choose from {list(KINDS)}, got {kind!r}")
        chosen = config or replace(lite(("object",)), branches="cnn+rnn")
        if kind not in (None, "transformer"):
            chosen = replace(chosen, branches=kind)
        self.config, self.seed, self.kind = replace(chosen, clip_classes=tuple(classes)), seed, kind
        self.shape: tuple[int, int, int] | None = None  # (frames, height, width) of the clips it learned from
        torch.manual_seed(seed)
        self.net = make_clip_net(self.config, kind, pretrained)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.clip_classes

    def train(self, clips: AnyClips, labels: Int64[np.ndarray, " _"] | Tensor, **options: Any) -> VideoClassifier:
        """As `fit`, also for tensors [n, t, 3, h, w]; its options are those of `fit`.

        >>> import torch
        >>> clips = torch.rand(4, 2, 3, 32, 32)
        >>> VideoClassifier(("ok", "defective")).train(clips, torch.tensor([0, 1, 0, 1]), steps=1, batch=2).classes
        ('ok', 'defective')
        """
        return self.fit(_as_arrays(clips), np.asarray(labels, np.int64), **options)

    def fit(
        self,
        clips: Clips,
        labels: Int64[np.ndarray, " _"],
        *,
        steps: int = 300,
        batch: int = 8,
        learning_rate: float = 1e-3,
        flips: bool = True,
        progress: Progress = silent,
    ) -> VideoClassifier:
        """Train; call it again to continue. All classes are sampled equally often, however rare they are.

        Args:
            clips: uint8 RGB, [n, t, h, w, 3].
            labels: for each clip, an index into `classes`.
            steps: of the optimizer.
            batch: clips a step.
            learning_rate: at its peak. A pretrained backbone learns at a tenth of it.
            flips: whether clips are mirrored at random; not where a class is a direction.
            progress: is called after every step.

        Raises:
            ValueError: the shapes or types do not fit, or a label is no index into `classes`.
        """
        self._check(clips)
        if labels.shape != (len(clips),):
            raise ValueError(f"{len(clips)} clips, but labels of shape {labels.shape}")
        if labels.min() < 0 or labels.max() >= len(self.classes):
            raise ValueError(f"labels: needs 0..{len(self.classes) - 1}, got {labels.min()}..{labels.max()}")
        rng = np.random.default_rng(self.seed)
        self.shape = (clips.shape[1], clips.shape[2], clips.shape[3])
        groups = self._groups(learning_rate)
        optimizer = torch.optim.AdamW(groups, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [one["lr"] for one in groups], total_steps=steps + 1)
        per_class = 1 / np.bincount(labels, minlength=len(self.classes)).clip(1)[labels]
        probability = per_class / len(np.unique(labels))
        self.net.train()
        for done in range(1, steps + 1):
            rows = rng.choice(len(clips), batch, p=probability)
            flip = rng.random(2) < (0.5 if flips else 0.0)
            images = clips[rows][:, :, :: -1 if flip[0] else 1, :: -1 if flip[1] else 1]
            logits, _ = self.net(_as_tensor(images))
            loss = clip_loss(logits, torch.from_numpy(labels[rows]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            progress(done, steps, {"loss": float(loss.detach())})
        return self

    def _groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """The parameters with their rates: a pretrained backbone learns slowly."""
        backbone = getattr(self.net, "backbone", None) if self.config.weights != "none" else None
        slow = [] if backbone is None else [p for p in backbone.parameters() if p.requires_grad]
        known = set(map(id, slow))
        rest = [p for p in self.net.parameters() if p.requires_grad and id(p) not in known]
        groups = [{"params": rest, "lr": learning_rate}, {"params": slow, "lr": learning_rate * BACKBONE_RATE}]
        return [group for group in groups if group["params"]]

    @torch.inference_mode()
    def predict_shares(self, clips: AnyClips, batch: int = 16) -> Float32[np.ndarray, "n k"]:
        """The probability of each class for each clip as a whole."""
        clips = _as_arrays(clips)
        self._check(clips)
        self.net.eval()
        logits = [self.net(_as_tensor(clips[k : k + batch]))[0][:, -1] for k in range(0, len(clips), batch)]
        shares: np.ndarray = torch.cat(logits).softmax(1).numpy()
        return shares

    def predict(self, clips: AnyClips) -> Int64[np.ndarray, " n"]:
        """The most likely class of each clip, as an index into `classes`."""
        likeliest: np.ndarray = self.predict_shares(clips).argmax(1)
        return likeliest.astype(np.int64)

    def save(self, path: Path) -> None:
        """Write weights and config to one safetensors file."""
        plain = {name: tensor.detach().contiguous() for name, tensor in self.net.state_dict().items()}
        header = {"classifier": portable(self.config), "kind": self.kind, "shape": self.shape}
        write_atomically(path, save(plain, {name: json.dumps(value) for name, value in header.items()}))

    @classmethod
    def load(cls, path: Path) -> VideoClassifier:
        """The classifier that `save` wrote.

        Raises:
            RunError: there is no such file, or it holds no classifier.
        """
        tensors, header = read_tensors(path)
        if "classifier" not in header:
            raise RunError(f"{path}: holds no classifier: its header has {sorted(header)}")
        try:
            config = config_of(json.loads(header["classifier"]))
            made = cls(config.clip_classes, config, kind=json.loads(header.get("kind", "null")), pretrained=False)
            made.shape = _shape(json.loads(header.get("shape", "null")))
            made.net.load_state_dict(tensors)
        except (ValueError, TypeError, AttributeError, KeyError, RuntimeError) as error:
            raise RunError(f"{path}: holds no classifier that this version can build: {error}") from error
        return made

    def _check(self, clips: np.ndarray) -> None:
        if clips.ndim != 5 or clips.shape[-1] != 3 or clips.dtype != np.uint8 or not clips.size:
            raise ValueError(
                f"got clips of shape {clips.shape} and type {clips.dtype}; RGB bytes are needed, "
                "(clips, frames, height, width, 3)"
            )


def _shape(stored: Any) -> tuple[int, int, int] | None:
    """The shape of clips in a file's header.

    Raises:
        ValueError: it is none, or too large.
    """
    if stored is None:
        return None
    if not isinstance(stored, list) or len(stored) != 3 or not all(type(v) is int and 0 < v <= 8192 for v in stored):
        raise ValueError(f"the shape of its clips is {stored!r:.60}")
    return stored[0], stored[1], stored[2]


def _as_arrays(clips: AnyClips) -> Clips:
    """Clips as uint8 arrays, [n, t, h, w, 3].

    Raises:
        ValueError: a tensor is not [n, t, 3, h, w], or has numbers beyond 0..1.
    """
    if not isinstance(clips, Tensor):
        return clips
    if clips.ndim != 5 or clips.shape[2] != 3:
        raise ValueError(f"got clips of shape {tuple(clips.shape)}; a tensor needs (clips, frames, 3, height, width)")
    if clips.dtype != torch.uint8:
        low, high = float(clips.min()), float(clips.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"got clips with values from {low:g} to {high:g}; RGB in 0..1 is needed, or bytes")
        clips = (clips * 255).round().to(torch.uint8)
    return clips.permute(0, 1, 3, 4, 2).contiguous().cpu().numpy()


def _as_tensor(clips: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(clips)).permute(0, 1, 4, 2, 3).float().div_(255)
