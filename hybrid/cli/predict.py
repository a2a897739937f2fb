"""`hybrid predict`: run a detector on pictures, videos, cameras and streams, and count parts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid.cli.common import app
from hybrid.core.console import note, one_line_errors, stop
from hybrid.predict.io.latency import Latency
from hybrid.weights.released import DEFAULT, DEFAULT_FOLLOWER
from simgen.spec.text.printable import printable

if TYPE_CHECKING:
    from hybrid.predict.counting.places import Region
    from hybrid.predict.detector import Detector
    from hybrid.predict.io.sinks import Sinks

EPILOG = """examples:\n\n
hybrid predict --source photo.jpg --out detections/   (bolts, nuts, washers: the weights that come with it)\n\n
hybrid predict --checkpoint out/sim10 --source photos/ --out detections/\n\n
hybrid predict --source photos/ --area 0.1,0.3,0.9,1 --out detections/   (what lies beside the table is left out)\n\n
hybrid predict --checkpoint my_line --source photo.jpg --out detections/   (what pipelines.line has made)\n\n
hybrid predict --checkpoint out/sim10 --source belt.mp4 --out belt-boxes.mp4\n\n
hybrid predict --source belt.mp4 --count-line 0.7 --out counted.mp4   (counted_counts.csv, counted_events.jsonl)\n\n
hybrid predict --source belt.mp4 --count-line y:0.5:forward --count-region 0.1,0.2,0.4,0.9\n\n
hybrid predict --source rtsp://10.0.0.7/belt --count-line lines.yaml --out counted/ --reconnect\n\n
hybrid predict --checkpoint out/sim10 --source 0 --show\n\n
hybrid predict --checkpoint out/rgbd --source rgb/ --depth depth/ --out detections/
"""
EXPORT_EPILOG = """example:\n\n
hybrid export --checkpoint out/sim10 --out parts.onnx --height 480 --width 640
"""
MOST_VIEWS = 3  # sizes of images that are told of


@app.command(epilog=EPILOG)
def predict(
    source: Annotated[str, typer.Option(help="Image, folder of images, video file, camera number or stream URL.")],
    checkpoint: Annotated[
        Path,
        typer.Option(
            help="Folder of a finished run or of a line, a .safetensors or .onnx file, or the name of released weights."
        ),
    ] = Path(DEFAULT),
    out: Annotated[
        Path | None,
        typer.Option(help="Folder, video (.mp4, .avi) or one picture (.jpg) to write; JSON lines are written too."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over what exists at --out.")] = False,
    score: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Lowest score of a detection.", show_default="the run's best F1"),
    ] = None,
    sequence: Annotated[
        bool, typer.Option("--sequence", help="The images of a folder are consecutive frames.")
    ] = False,
    depth: Annotated[
        Path | None, typer.Option(help="Folder with the depth of the images: 16-bit .png files of the same names.")
    ] = None,
    depth_unit: Annotated[float, typer.Option(help="One step of the depth images, in metres.")] = 0.001,
    count_line: Annotated[
        list[str] | None,
        typer.Option(
            help="Count the parts that cross a line: 0.7 (an x), y:0.7, or two points 0.1,0.2,0.9,0.8. Shares of the "
            "picture, or pixels; with :forward or :backward one way only. Or a .yaml file. May be repeated."
        ),
    ] = None,
    count_region: Annotated[
        list[str] | None,
        typer.Option(help="Count the parts that enter a region: two corners 0.2,0.3,0.6,0.9, or three or more points."),
    ] = None,
    area: Annotated[
        str | None,
        typer.Option(
            help="Detect in a part of the picture only, such as the table: two corners 0.2,0.3,0.6,0.9, or three or "
            "more points. Shares of the picture, or pixels."
        ),
    ] = None,
    average: Annotated[
        int,
        typer.Option(
            min=1,
            max=32,
            metavar="FRAMES",
            help="Average each frame of a video with those before it, moved as the picture moved: for noise in poor "
            "light, where all moves together; 4 to 8.",
        ),
    ] = 1,
    follower: Annotated[
        str,
        typer.Option(
            help="What follows parts in video: belts (a network that comes with it), a file of hybrid follow, or rules."
        ),
    ] = DEFAULT_FOLLOWER,
    reconnect: Annotated[
        bool, typer.Option("--reconnect", help="Open a lost camera or stream again for ever, not for a minute only.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Show a window; q or Esc closes it.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Look once at each whole image, whatever its size.")] = False,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="Look at tiles of the size trained on: for very many or tiny parts; slow.")
    ] = False,
    flip: Annotated[
        bool,
        typer.Option(
            "--flip", help="Look mirrored too, and average: 2 points of AP, fewer false alarms, nearly twice the time."
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    runtime: Annotated[
        str, typer.Option(help="torch, onnx, or auto: ONNX Runtime on the CPU once it pays to export.")
    ] = "auto",
    precision: Annotated[str, typer.Option(help="float32, or bf16, which runs in torch.")] = "float32",
) -> None:
    """Detect parts: draw boxes, write JSON lines, count, report the speed.

    Beside a video, or in the folder: events of each part (enter, hidden, reappeared, count, leave), and the counts.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if whole and tiles:
        stop("--whole and --tiles exclude each other")
    with one_line_errors():
        from hybrid.predict.counting.given import given_area

        region = None if area is None else given_area(area)
        open_sinks = _checked(
            checkpoint, source, out, show, overwrite=overwrite, sequence=sequence, depth=depth, depth_unit=depth_unit,
            device=device, lines=count_line or [], regions=count_region or [], reconnect=reconnect,
            area=region, average=average,
        )  # fmt: skip
        from hybrid.predict.detector import Detector, operating_point, trained_view
        from hybrid.predict.tiles import WHOLE

        exported = checkpoint.suffix == ".onnx"
        if exported and tiles:
            stop("--tiles does not go with an .onnx file, which takes whole frames of one size")
        view = WHOLE if whole or exported else trained_view(checkpoint, tiled=tiles)
        view = replace(view, mirrored=flip)
        detector = Detector.load(
            checkpoint,
            device=device,
            score=score,
            view=view,
            runtime=runtime,
            precision=precision,
            follower=follower,
            area=region,
        )
        least_score, origin = detector.view.threshold, "as given"
        if score is None:
            origin = "of the file" if exported else operating_point(checkpoint)[1]
        if flip and detector.engine.tracks:
            stop("--flip: this detector follows objects, and a mirrored look would give them other ids")
        _tell_runtime(detector)
        with open_sinks() as sinks:
            ran = _detect(detector, sinks)
    _tell_runtime(detector)
    for view_told in sorted(ran.views)[:MOST_VIEWS]:
        note(f"images of {view_told}")
    for told in sinks.source.skips.told():
        note(told)
    if not ran.frames:
        stop(f"{source}: not one frame could be used")
    rate = ran.frames / max(ran.busy_s, 1e-9)
    typer.echo(
        f"{ran.detections} detections in {ran.frames} frames, {rate:.2f} frames/s, "
        f"score >= {least_score:.2f} ({origin}){_of_tracks(detector, score, sinks)}"
    )
    _tell_stream(sinks, ran)
    for path in sinks.written:
        typer.echo(printable(f"  {path}"))


def _of_tracks(detector: Detector, score: float | None, sinks: Sinks) -> str:
    """From which score parts are told that a track network follows, where that is another one."""
    if score is not None or detector.judge is None or detector.engine.tracks or sinks.source.frames_per_s is None:
        return ""
    return f"; followed parts >= {detector.judge.score:.2f}"


def _checked(
    checkpoint: Path, source: str, out: Path | None, show: bool, *, overwrite: bool, sequence: bool, depth: Path | None,
    depth_unit: float, device: str, lines: list[str], regions: list[str], reconnect: bool, area: Region | None,
    average: int,
) -> Callable[[], Sinks]:  # fmt: skip
    """Check all that needs no torch, whose import takes seconds. Returns what opens the source and the outputs.

    Raises:
        HybridError: a path or a name is wrong, or the output would be written over something.
    """
    from hybrid.core.device import check_device_name
    from hybrid.predict.averaging import averaged
    from hybrid.predict.counting.given import given_places
    from hybrid.predict.io.live import Reconnect
    from hybrid.predict.io.outputs import check_out
    from hybrid.predict.io.sinks import Sinks
    from hybrid.predict.io.sources import DepthFolder, open_source, path_of
    from hybrid.weights.record import weights_file

    check_device_name(device)
    weights = weights_file(checkpoint)
    path, places = path_of(source), given_places(lines, regions)
    again = Reconnect(give_up_s=None if reconnect else Reconnect.give_up_s, say=note)
    if out is not None:
        check_out(out, [one for one in (path, depth, checkpoint, weights) if one is not None], overwrite)

    def opens() -> Sinks:
        depths = None if depth is None else DepthFolder(depth, depth_unit)
        frames = averaged(open_source(source, sequence, depths, again), average)
        return Sinks(frames, out, show, overwrite, places, area)

    if path is None:  # a camera or a stream: its frames would be old when the detector is ready
        return opens
    opened = opens()
    return lambda: opened


@dataclass
class _Ran:
    """What a run has come to."""

    frames: int = 0
    detections: int = 0
    busy_s: float = 0.0  # spent in the detector
    views: set[str] = field(default_factory=set)  # how it looked at the images
    latency: Latency = field(
        default_factory=Latency
    )  # of live frames since they were grabbed, of others in the detector


def _detect(detector: Detector, sinks: Sinks) -> _Ran:
    """Detect in all frames, and hand them out."""
    ran, live = _Ran(), sinks.source.live
    began = time.perf_counter()
    try:
        for image, result in detector.watch(sinks.source):
            took_s = time.perf_counter() - began
            ran.latency.add(took_s if live is None else live.age_s())
            ran.busy_s, ran.frames, ran.detections = ran.busy_s + took_s, ran.frames + 1, ran.detections + len(result)
            ran.views.add(result.view)
            if not sinks.put(image, result):
                break
            began = time.perf_counter()
    except KeyboardInterrupt:  # the usual end of a camera; the results so far are complete
        sys.stderr.write("stopped\n")
    return ran


def _tell_stream(sinks: Sinks, ran: _Ran) -> None:
    """Of a video or a stream: how long its frames took, which were dropped, what was counted."""
    if sinks.source.frames_per_s is None:
        return
    live = sinks.source.live
    since = "in the detector" if live is None else "from the camera to the answer"
    typer.echo(f"latency {since}: {ran.latency.told()}")
    if live is not None and live.dropped:
        share = live.dropped / max(1, live.dropped + ran.frames)
        typer.echo(
            f"{live.dropped} frames dropped ({share:.0%}): they came faster than they were answered, newest first"
        )
    for line in sinks.counted.table():
        typer.echo(printable(line))


def _tell_runtime(detector: Detector) -> None:
    """Note what runs the network, as far as it was not told yet."""
    told: list[str] = getattr(detector.engine, "told", [])
    while told:
        note(told.pop(0))
