"""`python -m hybrid predict`: a trained detector on photos, a video or a camera. Loads torch when it begins to work."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """examples:\n\n
python -m hybrid predict --checkpoint out/sim10 --source photos/ --out found/\n\n
python -m hybrid predict --checkpoint out/sim10 --source belt.mp4 --out belt-found.mp4\n\n
python -m hybrid predict --checkpoint out/sim10 --source 0 --show\n\n
python -m hybrid predict --checkpoint out/rgbd --source rgb/ --depth depth/ --out found/
"""
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Use a detector of manufactured parts. pipelines.train_sim and pipelines.finetune_real train it."""


@app.command(epilog=EPILOG)
def predict(
    checkpoint: Annotated[Path, typer.Option(help="A finished run's folder, or a .safetensors file of one.")],
    source: Annotated[str, typer.Option(help="Image, folder of images, video file, camera's number or stream's URL.")],
    out: Annotated[
        Path | None, typer.Option(help="A video (.mp4, .avi), or a folder for pictures; JSON lines are written beside.")
    ] = None,
    score: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Leave out what is less sure; by default the run's best F1.")
    ] = None,
    sequence: Annotated[bool, typer.Option("--sequence", help="A folder's images are consecutive frames.")] = False,
    depth: Annotated[
        Path | None, typer.Option(help="Folder of the images' depth: .png of the same names, 16 bits a pixel.")
    ] = None,
    depth_unit: Annotated[float, typer.Option(help="One step of the depth pictures, in metres.")] = 0.001,
    show: Annotated[bool, typer.Option("--show", help="Show a window; q or Esc ends.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Look at images as a whole, not in tiles: faster.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Find parts, draw boxes, write JSON lines, and say how fast it was."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from hybrid.core.errors import HybridError
    from hybrid.predict.detector import Detector, operating_point
    from hybrid.predict.io.sinks import Sinks
    from hybrid.predict.io.sources import DepthFolder, open_source
    from hybrid.predict.tiles import View

    try:
        view = View(tile_px=None, scales=(1.0,)) if whole else None
        least, why = operating_point(checkpoint) if score is None else (score, "as asked")
        detector = Detector.load(checkpoint, device=device, score=least, view=view)
        opened = open_source(source, sequence, None if depth is None else DepthFolder(depth, depth_unit))
        count, found, busy_s = 0, 0, 0.0
        with Sinks(opened, out, show) as sinks:
            began = time.perf_counter()
            try:
                for image, result in detector.watch(opened):
                    busy_s += time.perf_counter() - began
                    count, found = count + 1, found + len(result)
                    if not sinks.put(image, result):
                        break
                    began = time.perf_counter()
            except KeyboardInterrupt:  # how a camera is switched off; what was found stays
                sys.stderr.write("stopped\n")
    except (HybridError, OSError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        raise SystemExit(2) from None
    for reason, what in opened.skips.done().items():
        sys.stderr.write(f"note: {reason}: {len(what)}, such as {what[0]}\n")
    if not count:
        sys.stderr.write(f"error: {source}: not one frame could be used\n")
        raise SystemExit(2)
    rate = count / max(busy_s, 1e-9)
    typer.echo(f"{found} detections in {count} frames, {rate:.2f} frames/s, from a score of {least:.2f} ({why})")
    for path in sinks.written:
        typer.echo(f"  {path}")


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Option(help="A finished run's folder, or a .safetensors file of one.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write.")],
    height: Annotated[int, typer.Option(min=1, help="Of the frames, in pixels: fixed in the file.")],
    width: Annotated[int, typer.Option(min=1, help="Likewise.")],
) -> None:
    """Write one step, (frame, state) -> (detections, state), as ONNX.

    hybrid.predict.onnx.OnnxDetector runs it, without torch.
    """
    from hybrid.core.errors import HybridError
    from hybrid.predict.detector import operating_point
    from hybrid.predict.onnx import export as written
    from hybrid.weights.checkpoint import load

    try:
        path = written(load(checkpoint), out, height, width, operating_point(checkpoint)[0])
    except ImportError as error:
        sys.stderr.write(f'error: {error.name} is not installed: pip install "simgen[onnx]"\n')
        raise SystemExit(2) from None
    except (HybridError, OSError) as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        raise SystemExit(2) from None
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
