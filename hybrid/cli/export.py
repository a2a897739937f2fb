"""`hybrid export`: a detector as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybrid.cli.common import app
from hybrid.core.console import one_line_errors, stop
from simgen.spec.text.printable import printable

EXPORT_EPILOG = """example:\n\n
hybrid export --checkpoint out/sim10 --out parts.onnx --height 480 --width 640
"""


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
    from hybrid.data.clips import pictures_in

    if not folder.is_dir():
        raise DataError(f"--calibrate {folder}: there is no such folder; it needs pictures as the camera takes them")
    found = pictures_in(folder)
    if not found:
        raise DataError(f"{folder}: holds no pictures to calibrate on")
    return found
