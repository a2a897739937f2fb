"""Labelled clips from simulated data sets, COCO JSON and YOLO folders.

Importing this loads neither torch nor OpenCV.
"""

from hybrid.core.errors import DataError
from hybrid.data.clips import Clip, ClipSource, FrameRecord
from hybrid.data.coco import read_coco
from hybrid.data.pixels import read_image
from hybrid.data.shards import read_shards
from hybrid.data.yolo import read_yolo
from simgen.spec.picture import LARGEST_IMAGE_PX

from_coco, from_yolo, from_shards = read_coco, read_yolo, read_shards  # earlier names, which users' scripts import

__all__ = [
    "LARGEST_IMAGE_PX",
    "Clip",
    "ClipSource",
    "DataError",
    "FrameRecord",
    "from_coco",
    "from_shards",
    "from_yolo",
    "read_coco",
    "read_image",
    "read_shards",
    "read_yolo",
]
