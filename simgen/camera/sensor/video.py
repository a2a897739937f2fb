"""Compression of a clip as an H.264 video (x264 through PyAV), and decoding to frames again.

Unlike JPEG it predicts frames from each other, drops fine and faint detail, and stores colour at a quarter of the
pixels. The encoder uses no look-ahead, as in a camera, and one thread. So the same clip gives the same bytes with the
same build of x264: with look-ahead, ten encodings of a small clip gave six different results (PyAV 18.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import UInt8

from simgen.spec.errors import VideoUnavailable
from simgen.spec.frames import Image
from simgen.spec.install import install_hint

RATE_HZ = 30  # nominal: at a constant rate factor it only limits the length of a group of pictures
GROUP = 250  # frames between keyframes, x264's default
HELP = f"{install_hint('video')} (PyAV), or set sensor.video_crf to 0"


def through_h264(images: Sequence[Image], crf: int) -> list[Image]:
    """The frames of a clip after compression at the constant rate factor `crf`, from 1 (fine) to 51 (coarse).

    Raises:
        VideoUnavailable: PyAV, or its x264, is not installed.
        ValueError: the rate factor is out of range, or the frames differ in size.
    """
    if not 1 <= crf <= 51:
        raise ValueError(f"sensor.video_crf: H.264 has rate factors from 1 to 51, got {crf}")
    if len({image.shape for image in images}) > 1:
        raise ValueError(f"frames of one video have one size, got {sorted({image.shape for image in images})}")
    if not images:
        return []
    height, width = images[0].shape[:2]
    packets = _encoded([_even(image) for image in images], crf)
    decoded = [np.ascontiguousarray(image[:height, :width]) for image in _decoded(packets)]
    assert len(decoded) == len(images)
    return decoded


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise VideoUnavailable(f"video compression needs PyAV, which cannot be imported ({error}): {HELP}") from None
    return av


def require_h264() -> None:
    """Check that this machine has what `through_h264` needs.

    Raises:
        VideoUnavailable: PyAV, or its x264, is not installed.
    """
    _codec()


def _codec() -> Any:
    av = _av()
    try:
        return av.CodecContext.create("libx264", "w")
    except (ValueError, av.FFmpegError) as error:
        raise VideoUnavailable(f"this PyAV has no x264 ({error}): {HELP}") from None


def _even(image: Image) -> UInt8[np.ndarray, "_ _ 3"]:
    """The image padded to even sides, which colour at half the resolution needs."""
    return np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")


def _encoded(images: Sequence[Image], crf: int) -> list[Any]:
    av, codec = _av(), _codec()
    codec.height, codec.width = images[0].shape[:2]
    codec.pix_fmt, codec.framerate, codec.time_base = "yuv420p", Fraction(RATE_HZ), Fraction(1, RATE_HZ)
    codec.thread_count = 1
    codec.options = {"crf": str(crf), "preset": "medium", "tune": "zerolatency", "g": str(GROUP)}
    packets: list[Any] = []
    for i, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = i
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return packets


def _decoded(packets: Sequence[Any]) -> list[Image]:
    codec = _av().CodecContext.create("h264", "r")
    codec.thread_count = 1
    frames = [frame for packet in packets for frame in codec.decode(packet)] + codec.decode(None)
    # copies: an array without padding is a view of memory that FFmpeg frees with its frame
    return [np.array(frame.to_ndarray(format="rgb24"), np.uint8) for frame in sorted(frames, key=lambda f: f.pts)]
