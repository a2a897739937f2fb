"""A CNN + RNN + Transformer detector for video of manufactured parts.

    import hybrid

    detector = hybrid.Detector.load("out/sim10")
    result = detector.predict(image)  # uint8 RGB, [height, width, 3]

`import hybrid` loads neither torch nor OpenCV; a name of `__all__` loads its module when it is first used. Each of them
has an example in its docstring.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid.core.config import ModelConfig
    from hybrid.core.errors import HybridError
    from hybrid.data.clips import ClipSource
    from hybrid.data.coco import read_coco
    from hybrid.data.shards import read_shards
    from hybrid.data.yolo import read_yolo
    from hybrid.metrics.detection import evaluate
    from hybrid.predict.detector import Detector
    from hybrid.predict.result import Result
    from hybrid.training.config import TrainConfig
    from hybrid.training.loop import train
    from hybrid.training.methods.classifier import VideoClassifier
    from hybrid.weights.checkpoint import load

__version__ = "0.1.0"
__all__ = [
    "ClipSource",
    "Detector",
    "HybridError",
    "ModelConfig",
    "Result",
    "TrainConfig",
    "VideoClassifier",
    "__version__",
    "evaluate",
    "load",
    "read_coco",
    "read_shards",
    "read_yolo",
    "train",
]
_MODULES = {  # no name here is a submodule of hybrid: importing that would replace the name
    "ClipSource": "hybrid.data.clips",
    "Detector": "hybrid.predict.detector",
    "HybridError": "hybrid.core.errors",
    "ModelConfig": "hybrid.core.config",
    "Result": "hybrid.predict.result",
    "TrainConfig": "hybrid.training.config",
    "VideoClassifier": "hybrid.training.methods.classifier",
    "evaluate": "hybrid.metrics.detection",
    "load": "hybrid.weights.checkpoint",
    "read_coco": "hybrid.data.coco",
    "read_shards": "hybrid.data.shards",
    "read_yolo": "hybrid.data.yolo",
    "train": "hybrid.training.loop",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, and keep it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
