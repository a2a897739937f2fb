"""A video classifier: the detector's CNN, its branches over time and its clip head, without boxes.

classifier = VideoClassifier(("ok", "defective"))
classifier.fit(clips, labels)          # clips: uint8 [n, t, h, w, 3] RGB, labels: places in the classes
classifier.predict(clips)              # -> a place for each clip; predict_shares: a share for each class
"""

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
from hybrid.model.frame.backbone import BACKBONES, Pyramid
from hybrid.model.network import frames_in_batch
from hybrid.model.objects.heads import ClipHead
from hybrid.model.time.context import Context
from hybrid.weights.checkpoint import config_of, read_tensors
from simgen.dataset.store.files import write_atomically

Clips = UInt8[np.ndarray, "n t h w 3"]


class ClipNet(nn.Module):
    """Clips in, a score for each class after each frame out; state as the detector's."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = BACKBONES[config.backbone](config.weights, config.norm, True)
        self.pyramid = Pyramid(self.backbone.channels, config.width)
        self.context = Context(config)
        self.clip_head = ClipHead(config.width, len(config.clip_classes))

    def forward(self, images: Tensor, state: State | None = None) -> tuple[Float32[Tensor, "b t k"], State]:
        """`images`: RGB of 0..1, [b, t, 3, h, w]."""
        clips, state = images.shape[0], state or State()
        maps = self.pyramid.lateral(self.backbone(frames_in_batch(images), None))
        maps, after = self.context(maps, clips, state, None)
        logits, heard = self.clip_head(self.pyramid(maps), clips, state.clip)
        return logits, replace(after, clip=heard)


class VideoClassifier:
    """Fit on arrays, predict arrays. For data that fits into memory."""

    def __init__(self, classes: Sequence[str], config: ModelConfig | None = None, seed: int = 0) -> None:
        """`config` chooses the branches, by default those of `tiny`; its categories and detection heads are not used.

        Raises:
            ValueError: fewer than two different classes.
        """
        if len(classes) < 2:
            raise ValueError(f"classes: needs two or more, got {list(classes)}")
        given = config or replace(tiny(("object",)), branches="cnn+rnn")
        self.config, self.seed = replace(given, clip_classes=tuple(classes)), seed
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
        """Train on; call it again to go on. Each class is drawn equally often, however rare it is.

        Raises:
            ValueError: the labels are not one for each clip, or none of the classes.
        """
        self._check(clips)
        if labels.shape != (len(clips),):
            raise ValueError(f"{len(clips)} clips, but labels of shape {labels.shape}")
        if labels.min() < 0 or labels.max() >= len(self.classes):
            raise ValueError(f"labels: needs 0..{len(self.classes) - 1}, got {labels.min()}..{labels.max()}")
        rng = np.random.default_rng(self.seed)
        optimizer = torch.optim.AdamW(self.net.parameters(), learning_rate, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps + 1)
        known, share = np.unique(labels), 1 / np.bincount(labels, minlength=len(self.classes)).clip(1)[labels]
        self.net.train()
        for done in range(1, steps + 1):
            rows = rng.choice(len(clips), batch, p=share / len(known))
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
        """How likely each class is, for each clip as a whole."""
        self._check(clips)
        self.net.eval()
        parts = [self.net(_as_tensor(clips[k : k + batch]))[0][:, -1] for k in range(0, len(clips), batch)]
        shares: np.ndarray = torch.cat(parts).softmax(1).numpy()
        return shares

    def predict(self, clips: Clips) -> Int64[np.ndarray, " n"]:
        """The likeliest class of each clip, as its place in `classes`."""
        likeliest: np.ndarray = self.predict_shares(clips).argmax(1)
        return likeliest.astype(np.int64)

    def save(self, path: Path) -> None:
        plain = {name: tensor.detach().contiguous() for name, tensor in self.net.state_dict().items()}
        config = replace(self.config, weights="none", norm=_built_norm(self.config))
        write_atomically(path, save(plain, {"classifier": json.dumps(asdict(config))}))

    @classmethod
    def load(cls, path: Path) -> VideoClassifier:
        """What `save` wrote.

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
                f"clips of shape {clips.shape} and type {clips.dtype} came; RGB bytes are needed, "
                "(clips, frames, height, width, 3)"
            )


def _built_norm(config: ModelConfig) -> str:
    """The norm that the config's weights led to, so that a saved net is built alike without them."""
    if config.norm != "auto":
        return config.norm
    return "group" if config.weights == "none" else "frozen"


def _as_tensor(clips: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(clips)).permute(0, 1, 4, 2, 3).float().div_(255)
