"""The command `hybrid` (or `python -m hybrid`): run a trained detector, export it. Loads torch only when it works."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybrid import __version__
from hybrid.classify import app as classify
from hybrid.core.console import note, one_line_errors, stop
from hybrid.weights.released import DEFAULT
from simgen.spec.text.printable import printable

if TYPE_CHECKING:
    from hybrid.predict.detector import Detector
    from hybrid.predict.io.sinks import Sinks

EPILOG = """examples:\n\n
hybrid predict --source photo.jpg --out detections/   (bolts, nuts, washers: the weights that come with it)\n\n
hybrid predict --checkpoint out/sim10 --source photos/ --out detections/\n\n
hybrid predict --checkpoint my_line --source photo.jpg --out detections/   (what pipelines.line has made)\n\n
hybrid predict --checkpoint out/sim10 --source belt.mp4 --out belt-boxes.mp4\n\n
hybrid predict --checkpoint out/sim10 --source 0 --show\n\n
hybrid predict --checkpoint out/rgbd --source rgb/ --depth depth/ --out detections/
"""
EXPORT_EPILOG = """example:\n\n
hybrid export --checkpoint out/sim10 --out parts.onnx --height 480 --width 640
"""
MOST_VIEWS = 3  # sizes of images that are told of
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(classify, name="classify")


def _version(asked: bool) -> bool:
    if asked:
        typer.echo(f"hybrid {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run a detector of manufactured parts. pipelines.train_sim and pipelines.finetune_real train it."""


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
    show: Annotated[bool, typer.Option("--show", help="Show a window; q or Esc closes it.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Look once at each whole image, whatever its size.")] = False,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="Look at tiles of the size trained on: for very many or tiny parts; slow.")
    ] = False,
    flip: Annotated[
        bool, typer.Option("--flip", help="Look mirrored too: few more parts, many more false alarms, twice the time.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    runtime: Annotated[
        str, typer.Option(help="torch, onnx, or auto: ONNX Runtime on the CPU once it pays to export.")
    ] = "auto",
    precision: Annotated[str, typer.Option(help="float32, or bf16, which runs in torch.")] = "float32",
) -> None:
    """Detect parts: draw boxes, write JSON lines, report the speed."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if whole and tiles:
        stop("--whole and --tiles exclude each other")
    with one_line_errors():
        open_sinks = _checked(
            checkpoint, source, out, show, overwrite=overwrite, sequence=sequence, depth=depth, depth_unit=depth_unit,
            device=device,
        )  # fmt: skip
        from hybrid.predict.detector import Detector, operating_point, trained_view
        from hybrid.predict.tiles import WHOLE

        exported = checkpoint.suffix == ".onnx"
        if exported and tiles:
            stop("--tiles does not go with an .onnx file, which takes whole frames of one size")
        view = WHOLE if whole or exported else trained_view(checkpoint, tiled=tiles)
        view = replace(view, mirrored=flip)
        detector = Detector.load(
            checkpoint, device=device, score=score, view=view, runtime=runtime, precision=precision
        )
        least_score, origin = detector.view.threshold, "as given"
        if score is None:
            origin = "of the file" if exported else operating_point(checkpoint)[1]
        if flip and detector.engine.tracks:
            stop("--flip: this detector follows objects, and a mirrored look would give them other ids")
        _tell_runtime(detector)
        with open_sinks() as sinks:
            frames, detections, busy_s, views = _detect(detector, sinks)
    _tell_runtime(detector)
    for view_told in sorted(views)[:MOST_VIEWS]:
        note(f"images of {view_told}")
    for reason, items in sinks.source.skips.done().items():
        note(f"{reason}: {len(items)}, such as {items[0]}")
    if not frames:
        stop(f"{source}: not one frame could be used")
    rate = frames / max(busy_s, 1e-9)
    typer.echo(
        f"{detections} detections in {frames} frames, {rate:.2f} frames/s, score >= {least_score:.2f} ({origin})"
    )
    for path in sinks.written:
        typer.echo(printable(f"  {path}"))


def _checked(
    checkpoint: Path, source: str, out: Path | None, show: bool, *, overwrite: bool, sequence: bool, depth: Path | None,
    depth_unit: float, device: str,
) -> Callable[[], Sinks]:  # fmt: skip
    """Check all that needs no torch, whose import takes seconds. Returns what opens the source and the outputs.

    Raises:
        HybridError: a path or a name is wrong, or the output would be written over something.
    """
    from hybrid.core.device import check_device_name
    from hybrid.predict.io.outputs import check_out
    from hybrid.predict.io.sinks import Sinks
    from hybrid.predict.io.sources import DepthFolder, open_source, path_of
    from hybrid.weights.record import weights_file

    check_device_name(device)
    weights = weights_file(checkpoint)
    path = path_of(source)
    if out is not None:
        check_out(out, [one for one in (path, depth, checkpoint, weights) if one is not None], overwrite)

    def opens() -> Sinks:
        depths = None if depth is None else DepthFolder(depth, depth_unit)
        return Sinks(open_source(source, sequence, depths), out, show, overwrite)

    if path is None:  # a camera or a stream: its frames would be old when the detector is ready
        return opens
    opened = opens()
    return lambda: opened


def _detect(detector: Detector, sinks: Sinks) -> tuple[int, int, float, set[str]]:
    """The numbers of frames and of detections, the seconds spent in the detector, and how it looked at the images."""
    frames, detections, busy_s, views = 0, 0, 0.0, set[str]()
    began = time.perf_counter()
    try:
        for image, result in detector.watch(sinks.source):
            busy_s += time.perf_counter() - began
            frames, detections = frames + 1, detections + len(result)
            views.add(result.view)
            if not sinks.put(image, result):
                break
            began = time.perf_counter()
    except KeyboardInterrupt:  # the usual end of a camera; the results so far are complete
        sys.stderr.write("stopped\n")
    return frames, detections, busy_s, views


def _tell_runtime(detector: Detector) -> None:
    """Note what runs the network, as far as it was not told yet."""
    told: list[str] = getattr(detector.engine, "told", [])
    while told:
        note(told.pop(0))


@app.command(epilog=EXPORT_EPILOG)
def export(
    checkpoint: Annotated[Path, typer.Option(help="Folder of a finished run or of a line, or a .safetensors file.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write.")],
    height: Annotated[int, typer.Option(min=1, help="Height of the frames in pixels; fixed in the file.")],
    width: Annotated[int, typer.Option(min=1, help="Width of the frames in pixels; fixed in the file.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over the file at --out.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Convolutions in 8 bits: faster; compare its detections. Needs --calibrate.")
    ] = False,
    calibrate: Annotated[
        Path | None, typer.Option(help="With --int8: folder of pictures as the camera takes them, without labels.")
    ] = None,
) -> None:
    """Write one step of the detector, (frame, state) -> (detections, state), as ONNX.

    `hybrid predict --checkpoint FILE.onnx` runs it; hybrid.predict.onnx.OnnxDetector does without torch.
    """
    if int8 != (calibrate is not None):
        stop("--int8 and --calibrate FOLDER go together: the folder's pictures tell the ranges of the 8 bits")
    with one_line_errors():
        from hybrid.predict.io.outputs import check_file
        from hybrid.weights.record import weights_file

        check_file(out, ".onnx", [weights_file(checkpoint)], overwrite)
        from hybrid.predict import onnx
        from hybrid.predict.detector import operating_point
        from hybrid.weights.checkpoint import load
        from simgen.dataset.store.files import write_atomically

        pictures = [] if calibrate is None else _pictures(calibrate)
        try:
            content = onnx.exported(load(checkpoint), height, width, operating_point(checkpoint)[0])
            if int8:
                from hybrid.predict.runtime.int8 import quantised

                content, count = quantised(content, pictures)
        except ImportError as error:
            from simgen.spec.install import install_hint

            stop(f"{error.name} is not installed: {install_hint('onnx')}")
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, content)
    typer.echo(printable(f"{out}: {len(content) / 1e6:.1f} MB"))
    if int8:
        typer.echo(f"  Its convolutions are in 8 bits, calibrated on {count} pictures.")
    typer.echo(
        f"  It sees whole frames of {width}x{height} and answers as `hybrid predict --whole` does.\n"
        "  Without --whole, predict may look at two scales or in tiles: it finds smaller parts, with other scores.\n"
        "  Objects get track ids only where the network itself tracks them."
    )


def _pictures(folder: Path) -> list[Path]:
    """The files of pictures in a folder, by name.

    Raises:
        DataError: there is none, or no such folder.
    """
    from hybrid.core.errors import DataError
    from hybrid.data.clips import IMAGE_SUFFIXES

    if not folder.is_dir():
        raise DataError(f"--calibrate {folder}: there is no such folder; it needs pictures as the camera takes them")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(f"{folder}: holds no pictures to calibrate on")
    return found
