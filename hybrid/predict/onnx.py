"""One step of a detector as an ONNX file, and a runner for it that needs neither torch nor the network's code.

The graph is `(image, [depth_m,] state...) -> (boxes_xyxy_px, scores, state...)` for one stream. The frame size is fixed
at export, because positions and the maps of the state depend on it. The state at the start of a clip is all zeros. The
output `next_NAME` is the input `NAME` for the next frame.

    image                uint8 [height, width, 3], RGB
    depth_m              float32 [height, width], if the detector's inputs have depth: metres, 0 where unknown
    boxes_xyxy_px        float32 [queries, 4]
    scores               float32 [queries, categories], 0..1; use those above a threshold
    track_ids            int64 [queries], if the detector tracks objects; -1: none
    unseen               bool [queries], likewise: predicted while the object is hidden
    embeddings           float32 [queries, numbers], if the config has them
    clip_scores          float32 [classes], likewise

It answers as `Detector` with `View(tile_px=None, scales=(1.0,))`, which is `hybrid predict --whole`: whole frames, no
tiles. `OnnxDetector.detections` has the same thresholds and suppression; the linking of `Detector`, which gives ids to
the objects of a network that does not track them, is left to the caller.

`export` needs `pip install ".[onnx]"`; `OnnxDetector` needs numpy and onnxruntime alone.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from hybrid.core.config import LABEL_IOU, NESTED_SHARE, NMS_IOU, SCORE
from hybrid.core.errors import ConfigError, InputError, RunError
from hybrid.core.overlap import iou, nested
from simgen.dataset.store.files import write_atomically

if TYPE_CHECKING:
    import torch

    from hybrid.core.types import State
    from hybrid.model.network import Network

OPSET = 18
FORMAT = "hybrid-step/1"
DEPTH = "depth_m"  # the input's name
LIMIT = 300  # detections of a frame, as in `View`


def export(detector: Network, path: Path, height_px: int, width_px: int, score: float = SCORE) -> Path:
    """Write one step of the detector, for frames of this size, as one file.

    Args:
        detector: the network.
        path: of the .onnx file.
        height_px: of the frames.
        width_px: of the frames.
        score: is stored in the file as the default threshold of `OnnxDetector.detections`.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        ConfigError: the size is not above 0.
    """
    content = exported(detector, height_px, width_px, score)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path


def exported(detector: Network, height_px: int, width_px: int, score: float = SCORE) -> bytes:
    """The content of the file that `export` writes.

    Raises:
        ImportError, ConfigError: as `export`.
    """
    import onnx
    import torch

    if height_px < 1 or width_px < 1:
        raise ConfigError(f"needs a height and a width above 0, got {height_px} and {width_px}")
    detector = detector.eval()
    state = start(detector, height_px, width_px)
    names = [name for name, _ in state]
    step = _step_module(detector, names)
    image = torch.zeros(height_px, width_px, 3, dtype=torch.uint8)
    given = [("image", image)]
    if detector.depth is not None:
        given.append((DEPTH, torch.ones(height_px, width_px)))
    given += state
    values = tuple(value for _, value in given)
    with torch.inference_mode():
        values_out = step(*values)
    outputs = step.outputs + [f"next_{name}" for name in names]
    assert len(outputs) == len(values_out)
    model = _model(step, values, [name for name, _ in given], outputs)
    described: dict[str, Any] = {"format": FORMAT, "categories": list(detector.config.categories), "state": names}
    described |= {"clip_classes": list(detector.config.clip_classes), "score": score}
    onnx.helper.set_model_props(model, {"hybrid": json.dumps(described)})
    content: bytes = model.SerializeToString()
    return content


def _model(step: Any, values: tuple[torch.Tensor, ...], inputs: list[str], outputs: list[str]) -> Any:
    """The step as ONNX.

    TorchScript's exporter takes 5 s where torch.export's takes 30 (EfficientNet-Lite0, one core), with the same
    answers. The newer one stands in where torch has the other no longer, or it cannot.
    """
    import onnx
    import torch

    named: dict[str, Any] = {"input_names": inputs, "output_names": outputs, "opset_version": OPSET}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        try:
            traced = io.BytesIO()
            torch.onnx.export(step, values, traced, dynamo=False, **named)  # type: ignore[arg-type]
            _try_to_load(traced.getvalue())
            return onnx.load_from_string(traced.getvalue())
        except (RuntimeError, TypeError, ValueError):
            program = torch.onnx.export(step, values, dynamo=True, verbose=False, **named)
            assert program is not None
            return program.model_proto


def _try_to_load(content: bytes) -> None:
    """Raise RuntimeError where ONNX Runtime is installed and cannot load the model."""
    try:
        import onnxruntime
    except ImportError:
        return
    try:
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are no public names
        raise RuntimeError(str(error)) from error


def start(detector: Network, height_px: int, width_px: int) -> list[tuple[str, torch.Tensor]]:
    """The state at the start of a clip, by name: zeros in the shapes that frames of this size need."""
    import torch

    from hybrid.core.types import State

    config = detector.config
    with torch.inference_mode():
        _, after = detector(torch.zeros(1, 1, 3, height_px, width_px))
    rows = [(name, torch.zeros_like(value)) for name, value in flat(after)]
    if after.memory is None or not config.memory_frames:
        return [row for row in rows if row[0] != "memory"]
    tokens = after.memory.new_zeros(1, config.memory_frames, *after.memory.shape[2:])
    rows = [(name, tokens if name == "memory" else value) for name, value in rows]
    assert isinstance(after, State)
    return [*rows, ("remembered", torch.zeros(1, dtype=torch.int64))]


def flat(value: Any, name: str = "") -> list[tuple[str, torch.Tensor]]:
    """A state's tensors by name, such as `hidden.0` and `tracks.ids`."""
    import torch

    if isinstance(value, torch.Tensor):
        return [(name, value)]
    inner: list[tuple[str, Any]] = []
    if isinstance(value, tuple):
        inner = [(str(k), one) for k, one in enumerate(value)]
    elif is_dataclass(value):
        inner = [(field.name, getattr(value, field.name)) for field in fields(value)]
    return [row for key, one in inner for row in flat(one, f"{name}.{key}" if name else key)]


def _step_module(detector: Network, names: list[str]) -> Any:
    import torch

    class Step(torch.nn.Module):
        """(image, [depth,] state...) -> (outputs..., state...)"""

        def __init__(self) -> None:
            super().__init__()
            self.detector = detector
            config = detector.config
            optional = {"embeddings": config.embedding, "clip_scores": config.clip_classes}
            of_tracks = ("track_ids", "unseen") if config.tracks else ()
            self.outputs = ["boxes_xyxy_px", "scores", *of_tracks, *(name for name, value in optional.items() if value)]

        def forward(self, image: torch.Tensor, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            images = image.permute(2, 0, 1)[None, None].to(torch.float32) / 255
            depth_m = None
            if self.detector.depth is not None:
                depth_m, values = values[0][None, None], values[1:]
            state = state_of(dict(zip(names, values, strict=True)))
            output, after = self.detector(images, state, depth_m=depth_m)
            height, width = output.size_hw_px
            corner = torch.tensor([width, height, width, height], dtype=torch.float32)
            outputs = [torch.minimum(output.boxes_xyxy_px[0, 0].clamp(min=0), corner), output.logits[0, 0].sigmoid()]
            if output.tracks is not None:
                outputs += [output.tracks.ids[0, 0], output.tracks.unseen[0, 0]]
            if output.embeddings is not None:
                outputs.append(output.embeddings[0, 0])
            if output.clip_logits is not None:
                outputs.append(output.clip_logits[0, 0].softmax(0))
            new_state = dict(flat(after))
            return tuple(outputs) + tuple(new_state[name] for name in names)

    return Step().eval()


def state_of(given: Mapping[str, torch.Tensor]) -> State:
    """The state whose tensors have these names, the inverse of `flat`."""
    import torch

    from hybrid.core.types import State, Tracks

    hidden = tuple(x for name, x in given.items() if name.startswith("hidden."))
    tracks = None
    if "tracks.ids" in given:
        own = {name.removeprefix("tracks."): x for name, x in given.items() if name.startswith("tracks.")}
        own["ids"] = torch.where(own["strength"] > 0, own["ids"], -1)  # zeros are empty slots
        tracks = Tracks(**own)
    return State(hidden, given.get("memory"), tracks, given.get("clip"), given.get("remembered"))


class OnnxDetector:
    """Runs an exported detector on one stream. The caller passes the state; None begins a clip."""

    def __init__(self, path: Path | bytes, threads: int | None = None) -> None:
        """Load a file that `export` wrote, or its content. `threads`: of each step; None: as many as there are cores.

        Raises:
            ImportError: onnxruntime is not installed.
            RunError: the file holds no exported detector.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        given, name = (path, "the model") if isinstance(path, bytes) else (str(path), str(path))
        try:
            self._session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
            described = json.loads(self._session.get_modelmeta().custom_metadata_map["hybrid"])
        except Exception as error:  # onnxruntime's own error classes are no public names
            raise RunError(f"{name}: holds no detector's step: {error!r:.300}") from error
        if described.get("format") != FORMAT:
            raise RunError(f"{name}: its format is {described.get('format')!r}; this reads {FORMAT!r}")
        self.categories, self.clip_classes = tuple(described["categories"]), tuple(described["clip_classes"])
        self._states: list[str] = described["state"]
        self.score = float(described.get("score", SCORE))
        self._inputs = {one.name: one for one in self._session.get_inputs()}
        self._outputs = [one.name for one in self._session.get_outputs()]
        self.tracks = "track_ids" in self._outputs

    @property
    def size_hw_px(self) -> tuple[int, int]:
        height, width, _ = self._inputs["image"].shape
        return int(height), int(width)

    def step(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        state: dict[str, np.ndarray] | None = None,
        depth_m: Float32[np.ndarray, "_ _"] | None = None,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The outputs for the next frame, by name, and the state after it.

        Args:
            image: RGB, of the file's size.
            state: after the frame before; None begins a clip.
            depth_m: along the optical axis in metres, 0 or infinite where unknown; optional where the file takes it.

        Raises:
            InputError: the image or the depth has another size than the file's, or the file takes no depth.
        """
        outputs = self._session.run(None, self.inputs(image, state, depth_m))
        answered = dict(zip(self._outputs, outputs, strict=True))
        after = {name: answered.pop(f"next_{name}") for name in self._states}
        return answered, after

    def inputs(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        state: dict[str, np.ndarray] | None = None,
        depth_m: Float32[np.ndarray, "_ _"] | None = None,
    ) -> dict[str, np.ndarray]:
        """What the graph is given for the next frame, by name; arguments and errors as of `step`."""
        if image.shape != (*self.size_hw_px, 3):
            raise InputError(f"an image of shape {image.shape} came; this file takes {(*self.size_hw_px, 3)}")
        given = dict(self.start() if state is None else state)
        if DEPTH in self._inputs:
            given[DEPTH] = np.zeros(self.size_hw_px, np.float32) if depth_m is None else depth_m
        elif depth_m is not None:
            raise InputError("depth came; this file's detector takes the image alone")
        if DEPTH in given and given[DEPTH].shape != self.size_hw_px:
            raise InputError(f"depth of shape {given[DEPTH].shape} came; this file takes {self.size_hw_px}")
        return {"image": image, **given}

    def start(self) -> dict[str, np.ndarray]:
        """The state at the start of a clip: zeros."""
        kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
        return {name: np.zeros(self._inputs[name].shape, kinds[self._inputs[name].type]) for name in self._states}

    def detections(
        self,
        outputs: dict[str, np.ndarray],
        score: float | None = None,
        nms_iou: float = NMS_IOU,
        label_iou: float = LABEL_IOU,
        nested_share: float = NESTED_SHARE,
        limit: int = LIMIT,
    ) -> list[tuple[str, float, Float32[np.ndarray, "4"]]]:
        """(category, score, box) of each detection, best first: what `Detector` answers with `View(tile_px=None)`.

        Args:
            outputs: of `step`.
            score: lower scores are left out; by default the threshold in the file.
            nms_iou: for non-maximum suppression within each category, as in `Detector`.
            label_iou: for the suppression across categories that follows it, as in `Detector`.
            nested_share: for the suppression of boxes inside better ones that follows, as in `Detector`.
            limit: the most detections.
        """
        there = np.all(outputs["boxes_xyxy_px"][:, 2:] > outputs["boxes_xyxy_px"][:, :2], axis=1, keepdims=True)
        sure = outputs["scores"] >= (self.score if score is None else score)
        queries, labels = np.nonzero(sure & there)
        scores, boxes = outputs["scores"][queries, labels], outputs["boxes_xyxy_px"][queries]
        best = np.argsort(-scores, kind="stable")
        best = best[_unsuppressed(boxes[best], labels[best], nms_iou)][:limit]
        best = best[_unsuppressed(boxes[best], np.zeros_like(best), label_iou)]
        inside = nested(boxes[best], labels[best], nested_share)
        hidden = outputs["unseen"][queries[best]] if "unseen" in outputs else np.zeros_like(inside)
        best = best[~inside | hidden]
        return [(self.categories[labels[k]], float(scores[k]), boxes[k]) for k in best]


def _unsuppressed(boxes: Float32[np.ndarray, "n 4"], groups: Int64[np.ndarray, " n"], most_iou: float) -> list[int]:
    """Greedy non-maximum suppression within groups: the indices that stay, of boxes in order of their scores."""
    stay: list[int] = []
    for k in range(len(boxes)):
        better = [i for i in stay if groups[i] == groups[k]]
        if not (iou(boxes[k : k + 1], boxes[better]) > most_iou).any():
            stay.append(k)
    return stay
