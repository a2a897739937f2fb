"""The look that the pages of a data set share: dark or light as the reader's screen."""

from __future__ import annotations

from pathlib import Path

STYLE = Path(__file__).with_suffix(".css").read_text("utf-8")
