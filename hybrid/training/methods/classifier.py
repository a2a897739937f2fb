"""A video classifier: the detector's CNN, its branches over time and its clip head, without boxes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from safetensors.torch import save
from torch import Tensor, nn

from hybrid.core.config import ModelConfig, tiny
from hybrid.core.errors import RunError
from hybrid.core.progress import Progress, silent
from hybrid.core.types import State
from hybrid.losses.heads import clip_loss
from hybrid.model.frame.backbone import Pyramid, make_backbone
from hybrid.model.network import frames_in_batch, standardisation
from hybrid.model.objects.heads import ClipHead
from hybrid.model.time.context import Context
from hybrid.weights.checkpoint import config_of, read_tensors
from simgen.dataset.store.files import write_atomically

Clips = UInt8[np.ndarray, "n t h w 3"]


class ClipNet(nn.Module):
    """A network from clips to a logit for each class after each frame. It carries a state as the detector does."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config.backbone, config.weights, config.norm, True)
        self.mean, self.spread = standardisation(self.backbone)
        self.pyramid = Pyramid(self.backbone.channels, config.width)
        self.context = Context(config)
        self.clip_head = ClipHead(config.width, len(config.clip_classes))

    def forward(self, images: Tensor, state: State | None = None) -> tuple[Float32[Tensor, "b t k"], State]:
        """(logits, state after the clips) for RGB images in 0..1, [b, t, 3, h, w]."""
        clips, state = images.shape[0], state or State()
        maps = self.pyramid.lateral(self.backbone(frames_in_batch(images, self.mean, self.spread), None))
        maps, after = self.context(maps, clips, state, None)
        logits, clip_state = self.clip_head(self.pyramid(maps), clips, state.clip)
        return logits, replace(after, clip=clip_state)


class VideoClassifier:
    """Classifies short clips as a whole, such as ok and defective. For data that fits into memory.

    >>> clips = np.random.default_rng(0).integers(0, 255, (6, 2, 32, 32, 3)).astype(np.uint8)  # RGB
    >>> labels = np.array([0, 1, 0, 1, 0, 1])
    >>> classifier = VideoClassifier(("ok", "defective")).fit(clips, labels, steps=2, batch=2)
    >>> classifier.predict(clips).shape  # an index into the classes for each clip
    (6,)
    >>> classifier.predict_shares(clips).shape  # a probability for each class
    (6, 2)
    """

    def __init__(self, classes: Sequence[str], config: ModelConfig | None = None, seed: int = 0) -> None:
        """Make an untrained classifier.

        Args:
            classes: their names.
            config: the architecture, by default that of the preset `tiny` with recurrence. Its categories and
                detection heads are not used.
            seed: of the first weights and of the training.

        Raises:
            ValueError: fewer than two different classes.
        """
        if len(classes) < 2:
            raise ValueError(f"classes: needs two or more, got {list(classes)}")
        chosen = config or replace(tiny(("object",)), branches="cnn+rnn")
        self.config, self.seed = replace(chosen, clip_classes=tuple(classes)), seed
        torch.manual_seed(seed)
        self.net = ClipNet(self.config)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.clip_classes

    def fit(
        self,
        clips: Clips,
        labels: Int64[np.ndarray, " _"],
        *,
        steps: int = 300,
        batch: int = 8,
        learning_rate: float = 1e-3,
        progress: Progress = silent,
    ) -> VideoClassifier:
        """Train; call it again to continue. All classes are sampled equally often, however rare they are.

        Args:
            clips: uint8 RGB, [n, t, h, w, 3].
            labels: for each clip, an index into `classes`.
            steps: of the optimizer.
            batch: clips a step.
            learning_rate: at its peak.
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
        optimizer = torch.optim.AdamW(self.net.parameters(), learning_rate, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps + 1)
        per_class = 1 / np.bincount(labels, minlength=len(self.classes)).clip(1)[labels]
        probability = per_class / len(np.unique(labels))
        self.net.train()
        for done in range(1, steps + 1):
            rows = rng.choice(len(clips), batch, p=probability)
            flip = rng.random(2) < 0.5
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

    @torch.inference_mode()
    def predict_shares(self, clips: Clips, batch: int = 16) -> Float32[np.ndarray, "n k"]:
        """The probability of each class for each clip as a whole."""
        self._check(clips)
        self.net.eval()
        logits = [self.net(_as_tensor(clips[k : k + batch]))[0][:, -1] for k in range(0, len(clips), batch)]
        shares: np.ndarray = torch.cat(logits).softmax(1).numpy()
        return shares

    def predict(self, clips: Clips) -> Int64[np.ndarray, " n"]:
        """The most likely class of each clip, as an index into `classes`."""
        likeliest: np.ndarray = self.predict_shares(clips).argmax(1)
        return likeliest.astype(np.int64)

    def save(self, path: Path) -> None:
        """Write weights and config to one safetensors file."""
        plain = {name: tensor.detach().contiguous() for name, tensor in self.net.state_dict().items()}
        config = replace(self.config, weights="none", norm=_built_norm(self.config))
        write_atomically(path, save(plain, {"classifier": json.dumps(asdict(config))}))

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
            made = cls(config.clip_classes, config)
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


def _built_norm(config: ModelConfig) -> str:
    """The norm that the config's initial weights led to: a saved net is rebuilt with it, without these weights."""
    if config.norm != "auto":
        return config.norm
    return "group" if config.weights == "none" else "frozen"


def _as_tensor(clips: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(clips)).permute(0, 1, 4, 2, 3).float().div_(255)
