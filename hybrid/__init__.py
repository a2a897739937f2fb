"""A CNN + RNN + Transformer detector for video of manufactured parts.

`from hybrid import Detector` is all that its use takes; see `hybrid.predict.detector`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid.predict.detector import Detector

__all__ = ["Detector"]


def __getattr__(name: str) -> Any:
    """Load torch when it is first needed, not with `import hybrid`."""
    if name != "Detector":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hybrid.predict.detector import Detector

    return Detector
