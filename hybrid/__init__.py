"""A CNN + RNN + Transformer detector for video of manufactured parts.

`from hybrid import Predictor` is all that its use takes; see `hybrid.predictor`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid.predictor import Predictor

__all__ = ["Predictor"]


def __getattr__(name: str) -> Any:
    """Load torch when it is first needed, not with `import hybrid`."""
    if name != "Predictor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hybrid.predictor import Predictor

    return Predictor
