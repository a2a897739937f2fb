"""A trained detector for use: images in, `Result`s out.

detector = Detector.load("out/sim10")
detector.predict(image)                          # one image: an RGB array, a path, ...; or a clip [t, h, w, 3]
for result in detector.stream("belt.mp4"): ...   # a video, a folder, a camera's number, an iterator of images
for results in detector.streams([0, 1]): ...     # several independent sources at once, in one batch
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from hybrid.core.config import LABEL_IOU, NESTED_SHARE, SCORE, TRAINED_PX
from hybrid.core.device import device_named
from hybrid.core.errors import ConfigError, InputError, RunError
from hybrid.core.types import Detections
from hybrid.model.network import Network
from hybrid.predict.counting.places import Region
from hybrid.predict.following import MOST_TIMES, elapsed, in_area, is_late, is_reported, linking_at, of_objects
from hybrid.predict.images import given_images
from hybrid.predict.io.sources import open_source
from hybrid.predict.io.video import Source, SourceFrame
from hybrid.predict.linking import Judge, Linking, link
from hybrid.predict.onnx import OnnxDetector
from hybrid.predict.result import Ids, Image, Result, StreamState
from hybrid.predict.runtime.choice import Runtime
from hybrid.predict.runtime.onnx_engine import OnnxEngine
from hybrid.predict.stream import TileStates, step
from hybrid.predict.tiles import WHOLE, View, tiled_view, told, view_of
from hybrid.weights.checkpoint import load
from hybrid.weights.record import read_record
from hybrid.weights.released import DEFAULT, DEFAULT_FOLLOWER, RULES
from simgen.spec.install import install_hint
from simgen.spec.text.printable import printable

Frames = str | int | Path | Source | Iterable[UInt8[np.ndarray, "_ _ 3"] | SourceFrame]

Depths = Float32[np.ndarray, "..."] | Sequence[Float32[np.ndarray, "_ _"]] | None


class Detector:
    """A network, and how it looks at images.

    >>> detector = Detector.load("out/run", score=0.0)
    >>> image = np.zeros((48, 64, 3), np.uint8)  # RGB
    >>> result = detector.predict(image)
    >>> result.boxes_xyxy_px.shape == (len(result), 4)
    True
    >>> [result.name for result in detector.stream(Path("photos/images"))]
    ['0.png', '1.png', '2.png', '3.png']
    """

    def __init__(
        self,
        network: Network | OnnxEngine,
        view: View | None = None,
        score: float = SCORE,
        label_iou: float = LABEL_IOU,
        nested_share: float = NESTED_SHARE,
        linking: Linking | None = None,
        runtime: str = "auto",
        precision: str = "float32",
        judge: Judge | None = None,
        area: Region | None = None,
    ) -> None:
        """Use a network, or an exported one. The arguments are those of `load`.

        `linking`, `judge`: of a network that tracks no objects itself. Parts that are followed are reported from
        `judge.score` on.
        """
        self.network = network
        self.engine = Runtime(network, runtime, precision) if isinstance(network, Network) else network
        self.categories = self.engine.categories
        self.label_iou, self.nested_share = label_iou, nested_share
        self.view = replace(view or view_of(TRAINED_PX), threshold=score)
        self.linking, self.judge, self.area = linking or Linking(), judge, area

    @classmethod
    def load(
        cls,
        run: str | Path = DEFAULT,
        *,
        device: str = "auto",
        score: float | None = None,
        view: View | None = None,
        label_iou: float = LABEL_IOU,
        nested_share: float = NESTED_SHARE,
        runtime: str = "auto",
        precision: str = "float32",
        follower: str | Path = DEFAULT_FOLLOWER,
        area: Region | None = None,
    ) -> Detector:
        """The detector of a finished run.

        Args:
            run: the run's folder, as the training scripts leave it, a `.safetensors` file of one, an `.onnx` file that
                `hybrid export` wrote, or the name of released weights (`hybrid.weights.released`); by default those of
                bolts, nuts and washers. An .onnx file takes whole frames of its own size, on the CPU.
            device: auto (cuda if available), cpu, cuda, cuda:1, ...
            score: detections below it are left out; by default the run's operating point, see `operating_point`.
            view: how images are looked at; by default as their size asks for, see `hybrid.predict.tiles.view_of`.
                `Result.view` tells how it was. `hybrid.predict.tiles.WHOLE` takes whole images.
            label_iou: of two boxes of different categories with a higher IoU, the one with the lower score is left
                out, so that an object has one label. 1: an object may have several labels.
            nested_share: a box is left out where a larger share of it is inside a better box of its category, as the
                head of a bolt is inside the bolt. 1: none is.
            runtime: what runs the network: torch, onnx (ONNX Runtime, exported at the first frame of a size), or auto:
                ONNX Runtime on a CPU, once it pays to export; see `hybrid.predict.runtime.choice`.
            precision: float32, or bf16, which runs in torch.
            follower: what follows parts in video: the name of a track network that comes with the package, a file of
                `hybrid follow`, or "rules": no network. A detector that follows parts itself does without.
            area: the part of the picture where parts are looked for, such as the table or the belt. What has its centre
                outside is left out. `hybrid.predict.counting.Region` says it in shares of the picture or in pixels.

        Raises:
            RunError: the file does not exist, or holds no detector or no track network.
            ConfigError: this machine has no such device, or no such runtime.
        """
        network: Network | OnnxEngine
        if Path(run).suffix == ".onnx":
            exported = opened_step(Path(run), device, runtime, precision)
            point, network, view = exported.score, OnnxEngine(exported), view or WHOLE
        else:
            point, _ = operating_point(Path(run))
            network, view = load(Path(run), device=str(device_named(device))), view or trained_view(Path(run))
        judge = None if str(follower) == RULES else Judge.load(follower, score)
        linking = linking_at(point, judge)
        score = point if score is None else score
        return cls(network, view, score, label_iou, nested_share, linking, runtime, precision, judge, area)

    def predict(self, images: object, depth_m: Depths = None) -> Result | list[Result]:
        """Detections of one image, of every image of a list, or of every frame of a clip.

        Args:
            images: one image, a list of images that know nothing of each other, or a clip. An image is an RGB array
                [h, w, 3] or a grey one [h, w] (uint8, or floats from 0 to 1), a tensor of the same or [3, h, w], an
                image of PIL, or the path of a picture file. A clip is an array [t, h, w, 3], or a tensor of the same
                or [t, 3, h, w]. OpenCV's images are BGR, which cannot be detected: convert them, or give the path.
            depth_m: depth along the optical axis in metres, [h, w] or [t, h, w], aligned with the images; 0 or infinite
                where unknown. Only for a detector whose inputs have depth; it also works without.

        Returns:
            A result, or one for each image of a list or frame of a clip. Only those of a clip have track ids.

        Raises:
            InputError: an image is of another kind (the message says what would do), the detector takes no depth, or
                the depth has another size than the images.
        """
        given = given_images(images)
        depths: list[Any] = [None] * len(given.images)
        if depth_m is not None:
            depths = [depth_m] if given.single else list(depth_m)
        if len(depths) != len(given.images):
            raise InputError(f"depth of {len(depths)} frames came with {len(given.images)} images")
        rows = zip(given.names, given.images, depths, strict=True)
        frames = [SourceFrame(name, image, None, depth, still=not given.clip) for name, image, depth in rows]
        clips = [frames] if given.clip else [[frame] for frame in frames]
        results = [replace(result, image=image) for image, result in self.watch(Source("images", clips))]
        return results[0] if given.single else results

    def stream(self, source: Frames, state: StreamState | None = None, tracks: bool | None = None) -> Iterator[Result]:
        """Detections of each frame as it comes. The state is carried from frame to frame within a clip.

        Args:
            source: a file, a folder, a camera's number, a stream's URL, or an iterator of RGB images or SourceFrames.
            state: `Result.state` of the last frame, to continue a stream; with frames of the same size.
            tracks: True: parts are followed, and hidden ones reported; the pictures of a folder are consecutive frames
                then. `hybrid.predict.counting.Counter` counts them. False: no ids, and only what is seen. None: parts
                of videos and streams are followed, those of stills are not.

        Raises:
            DataError: there is no such source, or it cannot be read.
            InputError: a frame has another size than the first frame of its clip, or tracks of stills are wanted.
        """
        for _, result in self.watch(source, state, tracks):
            yield result

    def watch(
        self, source: Frames, state: StreamState | None = None, tracks: bool | None = None
    ) -> Iterator[tuple[Image, Result]]:
        """As `stream`, but with the image of each frame."""
        opened = source if isinstance(source, Source) else open_source(source, sequence=tracks is True)
        if isinstance(self.engine, Runtime):
            self.engine.expect(opened.total, opened.frames_per_s is not None)
        ids = Ids()
        for clip in opened.clips:
            before = state
            for frame in clip:
                if tracks and frame.still:
                    raise InputError(f"{frame.name}: is a still; tracks need a video, a stream or consecutive frames")
                (result,) = self._step([frame], [before])
                yield frame.image, result.unfollowed() if tracks is False else ids.unique(result)
                before = result.state
            state = None
            ids.next_clip()

    def streams(self, sources: Sequence[Frames]) -> Iterator[list[Result | None]]:
        """The next result of every source, until all have ended; None for a source that has ended.

        Frames of one size go through the network as one batch. The results are those of each source alone.

        Raises:
            DataError, InputError: as `stream`.
        """
        opened = [one if isinstance(one, Source) else open_source(one) for one in sources]
        iterators = [_frames_of(one) for one in opened]
        states: list[StreamState | None] = [None] * len(iterators)
        ids = [Ids() for _ in iterators]
        while True:
            nexts = {k: item for k, frames in enumerate(iterators) if (item := next(frames, None)) is not None}
            if not nexts:
                return
            frames = [frame for frame, _ in nexts.values()]
            for k, (_, begins) in nexts.items():
                if begins:
                    ids[k].next_clip()
            before = [None if begins else states[k] for k, (_, begins) in nexts.items()]
            results = dict(zip(nexts, self._step(frames, before), strict=True))
            states = [results[k].state if k in results else None for k in range(len(iterators))]
            yield [ids[k].unique(results[k]) if k in results else None for k in range(len(iterators))]

    def _step(self, frames: Sequence[SourceFrame], before: Sequence[StreamState | None]) -> list[Result]:
        """The results of the next frame of each of several streams."""
        tiles = [None if state is None else state.tiles for state in before]
        images, depths_m = [frame.image for frame in frames], [frame.depth_m for frame in frames]
        earlier = [() if state is None else state.times_s for state in before]
        intervals = [elapsed(frame.time_s, times_s) for frame, times_s in zip(frames, earlier, strict=True)]
        stepped = step(self.engine, images, tiles, self._looked(frames), depths_m, intervals)
        return [
            self._result(frame, detections, after, state, interval)
            for frame, (detections, after), state, interval in zip(frames, stepped, before, intervals, strict=True)
        ]

    def _looked(self, frames: Sequence[SourceFrame]) -> View:
        """The view, with unsure detections as well where they can continue a track."""
        if self.engine.tracks or all(frame.still for frame in frames):
            return self.view
        return replace(self.view, threshold=min(self.view.threshold, self.linking.unsure))

    def _result(
        self,
        frame: SourceFrame,
        detections: Detections,
        tiles: TileStates,
        before: StreamState | None,
        interval: float,
    ) -> Result:
        linked, earlier_s = None, () if before is None else before.times_s
        late = is_late(frame.time_s, earlier_s)  # detected by itself: the stream's state stays as it is
        detections = of_objects(in_area(frame, detections, self.area), self.label_iou, self.nested_share)
        if detections.track_ids is None and not frame.still and not late:
            earlier = None if before is None else before.linked
            height, width = frame.image.shape[:2]
            detections, linked = link(
                detections,
                earlier,
                self.linking,
                size_hw_px=(height, width),
                step=interval,
                judge=self.judge,
                image=frame.image,
            )
        judge = None if linked is None else self.judge
        detections = detections.take(is_reported(detections, self.view.threshold, judge))
        if detections.unseen is not None:
            detections = in_area(frame, detections, self.area)  # a hidden part may have left the area
        ids = np.full(len(detections.scores), -1)
        if detections.track_ids is not None and not frame.still and not late:
            ids = _unique_ids(detections.track_ids.numpy())
        times_s = () if frame.time_s is None else (*earlier_s, frame.time_s)[-MOST_TIMES:]
        state = before if late and before is not None else StreamState(tiles, linked, times_s)
        return Result(
            frame.name,
            frame.time_s,
            detections.boxes_xyxy_px.numpy(),
            detections.scores.numpy(),
            detections.labels.numpy(),
            self.categories,
            ids,
            state,
            None if detections.unseen is None else detections.unseen.numpy(),
            None if detections.visible is None else detections.visible.clamp(0, 1).numpy(),
            followed=None if state.linked is None else state.linked.ids,
            view=self._told(frame.image),
        )

    def _told(self, image: Image) -> str:
        height, width = image.shape[:2]
        return f"{width}x{height}: {told(width, height, self.view)}"


def _unique_ids(track_ids: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Each id at its first position, which has the best score; -1 at the others, as of a second label of an object."""
    unique = np.full(len(track_ids), -1, np.int64)
    _, first = np.unique(track_ids, return_index=True)
    unique[first] = track_ids[first]
    return unique


def _frames_of(source: Source) -> Iterator[tuple[SourceFrame, bool]]:
    """All frames of a source, and whether each is the first of a clip."""
    for clip in source.clips:
        for position, frame in enumerate(clip):
            yield frame, position == 0


def opened_step(file: Path, device: str, runtime: str, precision: str) -> OnnxDetector:
    """The exported step in a file.

    Raises:
        RunError: there is no such file, it holds no step, or onnxruntime is not installed.
        ConfigError: it cannot run as asked.
    """
    if device not in ("auto", "cpu") or runtime == "torch" or precision != "float32":
        raise ConfigError(f"{file}: an .onnx file runs on the CPU, in ONNX Runtime, as it was exported")
    if not file.is_file():
        raise RunError(f"{file}: there is no such file")
    try:
        return OnnxDetector(file, torch.get_num_threads())
    except ImportError:
        raise RunError(f"{file}: onnxruntime is not installed: {install_hint('onnx')}") from None


def trained_view(run: Path, tiled: bool = False) -> View:
    """The view that suits the tiles that a run was trained on, or with `tiled` these tiles themselves.

    Where `run` is a file of weights, they count as TRAINED_PX px wide.
    """
    record = read_record(run)
    return (tiled_view if tiled else view_of)(TRAINED_PX if record is None else record.train.tile_px)


def operating_point(run: Path) -> tuple[float, str]:
    """The score from which a run's detections have the best F1 at an IoU of 0.5, and where this score is from."""
    record = read_record(run)
    point = None if record is None else record.operating_point
    if point is None or point.score is None:
        return SCORE, "by default"
    return point.score, printable(f"best F1 on {point.frames} frames {point.on!s:.200}")
