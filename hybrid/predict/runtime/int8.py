"""An exported step with its convolutions in 8 bits: static quantisation of ONNX Runtime, calibrated on pictures.

Everything else stays in float32: the scores, the boxes and the queries are few numbers, and coordinates need more than
8 bits. So do the backbone's convolutions up to its first map: 8 bits there cost 3 points of AP with EfficientNet-Lite0,
and save nothing (benchmarks/2026-11-29-cpu-use.md). Weights have 7 bits, since CPUs without VNNI add pairs of 8-bit
products in 16 bits, which overflows
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "reduce_range").
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from hybrid.core.errors import DataError
from hybrid.predict.onnx import OnnxDetector

PICTURES = 64  # of the folder, at most, evenly over it
FIRST_MAP = "/laterals.0/"  # in the name of what reads it
LEAST = 4  # fewer tell too little about the ranges


def quantised(content: bytes, pictures: Sequence[Path]) -> tuple[bytes, int]:
    """The step with its convolutions in 8 bits, and the number of pictures that it was calibrated on.

    Args:
        content: of an exported step, see `hybrid.predict.onnx.exported`.
        pictures: files of pictures as the detector will see them. Those of another size are resized.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
        DataError: too few of the pictures can be read.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    detector = OnnxDetector(content)
    images = list(_images(pictures, detector.size_hw_px))
    if len(images) < LEAST:
        raise DataError(f"{len(images)} pictures can be read for the calibration; {LEAST} or more are needed")
    rows = _rows(detector, images)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(rows, None)

    quiet = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # its advice is about other models
    with tempfile.TemporaryDirectory() as folder:
        given, whole, small = (Path(folder) / name for name in ("given.onnx", "whole.onnx", "small.onnx"))
        given.write_bytes(content)
        try:
            quant_pre_process(str(given), str(whole), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(whole),
                str(small),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=before_first_map(onnx.load(str(whole)).graph.node),
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        finally:
            logging.getLogger().setLevel(quiet)
        model, source = onnx.load(str(small)), onnx.load_from_string(content)
    onnx.helper.set_model_props(model, {one.key: one.value for one in source.metadata_props})
    result: bytes = model.SerializeToString()
    return result, len(images)


def before_first_map(nodes: Sequence[Any]) -> list[str]:
    """The names of the nodes that the first map of the backbone is made by; none where the exporter gave other names.

    `nodes`: of an ONNX graph, in the order of computation.
    """
    first = next((node for node in nodes if FIRST_MAP in node.name), None)
    if first is None:
        return []
    needed, names = set(first.input), []
    for node in reversed(nodes):
        if needed & set(node.output):
            needed |= set(node.input)
            names.append(node.name)
    return names


def _images(pictures: Sequence[Path], size_hw: tuple[int, int]) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Pictures of the step's size; those that cannot be read are left out."""
    import cv2

    from hybrid.data.pixels import read_image

    step = max(1, len(pictures) // PICTURES)
    for path in list(pictures)[::step][:PICTURES]:
        image = read_image(path)
        if isinstance(image, str):
            continue
        if image.shape[:2] != size_hw:
            image = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA)
        yield np.ascontiguousarray(image)


def _rows(detector: OnnxDetector, images: Sequence[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """The inputs of the step for each picture. Where it has a state, the pictures follow each other as in a video."""
    state = detector.start()
    for image in images:
        yield detector.inputs(image, state)
        if state:
            _, state = detector.step(image, state)
