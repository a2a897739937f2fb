"""What `Detector.predict` takes, as RGB arrays. What may be meant in two ways is refused with what would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image as Pillow

from hybrid.core.errors import InputError
from hybrid.data.pixels import read_image
from hybrid.predict.result import Image
from simgen.spec.picture import shown

NEEDED = (
    "needed is an RGB array of uint8, [h, w, 3], a grey one [h, w], a clip [t, h, w, 3], a tensor of the same or "
    "[3, h, w], an image of PIL, a path, or a list of images"
)


@dataclass(frozen=True)
class GivenImages:
    """The images of a call, uint8 RGB [h, w, 3] each, and their names."""

    images: Sequence[Image]
    names: Sequence[str]
    single: bool = False  # one image alone, not in a list
    clip: bool = False  # they are consecutive frames


def given_images(given: object) -> GivenImages:
    """The images that a user gave.

    Raises:
        InputError: they are of another kind.
    """
    if isinstance(given, list | tuple):
        alone = [_of_list(one, place) for place, one in enumerate(given)]
        return GivenImages([one.images[0] for one in alone], _names_of_list(alone))
    if isinstance(given, str | Path):
        found = read_image(Path(given))
        if isinstance(found, str):
            raise InputError(f"{given}: {found}")
        return GivenImages([found], [Path(given).name], single=True)
    if isinstance(given, Pillow.Image):
        found = shown(given)
        if isinstance(found, str):
            raise InputError(found)
        return GivenImages([found], [_name_of(given)], single=True)
    array = _bytes_of(_array_of(given))
    if array.ndim == 4:
        return GivenImages(list(array), [f"frame {k}" for k in range(len(array))], clip=True)
    return GivenImages([array], ["frame 0"], single=True)


# ------------------------------------------------------------------------------------------------ internals


def _of_list(one: object, place: int) -> GivenImages:
    try:
        found = None if isinstance(one, list | tuple) else given_images(one)
    except InputError as error:
        raise InputError(f"image {place} of the list: {error}") from None
    if found is None or not found.single:
        raise InputError(f"image {place} of the list is no single image; {NEEDED}")
    return found


def _names_of_list(alone: Sequence[GivenImages]) -> list[str]:
    """The files' names, and numbers for what has none."""
    return [f"image {k}" if one.names[0] == "frame 0" else one.names[0] for k, one in enumerate(alone)]


def _name_of(image: Pillow.Image) -> str:
    return Path(getattr(image, "filename", "") or "frame 0").name


def _array_of(given: object) -> np.ndarray:
    """Channels last: [h, w], [h, w, 3] or [t, h, w, 3]."""
    if given is None:
        raise InputError(
            f"None came, as from a cv2.imread that could not read its file: give the path itself; {NEEDED}"
        )
    array: Any = given
    if isinstance(given, torch.Tensor):
        array = given.detach().cpu()
        if array.ndim >= 3 and array.shape[-3] == 3:
            array = array.movedim(-3, -1)
        array = array.float().numpy() if array.dtype in (torch.bfloat16, torch.float16) else array.numpy()
    if not isinstance(array, np.ndarray):
        raise InputError(f"{type(given).__name__} came; {NEEDED}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    _check_shape(array)
    return np.asarray(array)


def _check_shape(array: np.ndarray) -> None:
    came = f"an array of shape {array.shape} came"
    if array.ndim == 3 and array.shape[2] == 4:
        raise InputError(f"{came}: drop its alpha channel with image[..., :3]; {NEEDED}")
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        raise InputError(f"{came}: its channels stand first; give np.moveaxis(image, 0, -1)")
    if array.ndim not in (2, 3, 4) or (array.ndim > 2 and array.shape[-1] != 3):
        raise InputError(f"{came}; {NEEDED}")
    if array.ndim == 4 and not len(array):
        raise InputError(f"{came}, a clip without a frame")
    if not array.size:
        raise InputError(f"{came}, an image without a pixel")


def _bytes_of(array: np.ndarray) -> UInt8[np.ndarray, "..."]:
    """As uint8 RGB; floats from 0 to 1 are scaled."""
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise InputError(f"floats from {low:g} to {high:g} came: scale them to 0..1, or give uint8 from 0 to 255")
        array = np.round(array.astype(np.float32) * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        hint = (
            ": scale it to uint8, as (image >> 8).astype(np.uint8) does for 16 bits" if array.dtype.kind in "iu" else ""
        )
        raise InputError(f"an array of {array.dtype} came{hint}; {NEEDED}")
    return np.ascontiguousarray(array if array.ndim > 2 else np.repeat(array[..., None], 3, 2))
