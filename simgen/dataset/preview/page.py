"""One HTML file that shows scenes as they are and with their labels. It needs no network.

The labels are data in the page. Its script draws them over the picture, which stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from simgen.dataset.contact_sheet import COLOURS
from simgen.dataset.format.reader import DataSet
from simgen.dataset.page_style import STYLE
from simgen.dataset.preview.pictures import Room
from simgen.dataset.preview.scenes import scene
from simgen.dataset.statistics.draws import Source
from simgen.spec.errors import ShardError
from simgen.spec.evenly import evenly

MOST_SCENES, MOST_FRAMES = 64, 16
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
FILES = Path(__file__).parent


def page(
    data: DataSet,
    source: Source | None,
    scenes: int,
    frames: int,
    *,
    title: str = "",
    step: Callable[[], None] = lambda: None,
) -> str:
    """The HTML of a page of some scenes, spread evenly over a data set.

    The pictures take `pictures.PAGE_BYTES` at most, so the file has some 20 MB at most; they are made smaller where
    the camera's own files do not fit.

    Args:
        source: the data set's config, for what its knobs gave; None: without.
        scenes: how many at most.
        frames: of each scene, at most, spread over its clip.
        title: of the page; by default that of the data set.
        step: called after each scene.

    Raises:
        ShardError: the data set is damaged, or empty.
    """
    if not len(data):
        raise ShardError(f"{data.folder}: holds no clip, so there is nothing to show")
    picks = evenly(range(len(data)), min(scenes, MOST_SCENES))
    frames = min(frames, MOST_FRAMES)
    clips = [data[i] for i in picks]
    room = Room.of(sum(min(clip.frames, frames) for clip in clips))
    shown = []
    for clip in clips:
        shown.append(scene(clip, frames, room, source))
        step()
    return html(_content(data, shown), title or f"{data.folder}")


def _content(data: DataSet, shown: list[dict[str, Any]]) -> dict[str, Any]:
    request = data.manifest.request
    return {
        "preset": request.preset,
        "seed": request.seed,
        "clips": len(data),
        "left_out": len(data.manifest.quarantined),
        "colours": {name: list(COLOURS[i % len(COLOURS)]) for i, name in enumerate(data.categories)},
        "scenes": shown,
    }


def html(content: Mapping[str, Any], title: str) -> str:
    """The page of what `_content` gives. Names from outside stand in the page as data and as text, never as markup."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    body = (FILES / "page.html").read_text("utf-8")
    script = (FILES / "page.js").read_text("utf-8")
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    )
    scripts = f'<script type="application/json" id="content">{text}</script><script>{script}</script>'
    return (
        f'<!doctype html><html lang="en"><head>{head}</head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main>{scripts}</body></html>\n"
    )
