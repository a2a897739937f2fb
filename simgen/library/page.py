"""The page of a part: six sides, every resting pose, the convex pieces. One HTML file without scripts."""

from __future__ import annotations

import base64
from html import escape

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

from simgen.assets.cad.packed import PackedPart, RestingPose
from simgen.library.facts import facts
from simgen.library.picture import Drawn, picture
from simgen.spec.geometry import about_z, rotation_matrix

SIZE_PX = 300
MOST_POSES = 12
SIDES = {  # what the eye looks at: its rows are right, up, and towards the eye, in the part's frame
    "+z (top)": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-z (bottom)": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "+x": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "-x": ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
    "+y": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
}
GREY = (0.45, 0.46, 0.48)
STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1d2125; --soft: #5a6572; --line: #d9dee3; --card: #f3f5f7 }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171a; --text: #e4e7ea; --soft: #9aa5b1; --line: #333a41; --card: #23282d } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1080px; padding: 0 1em;
  color: var(--text); background: var(--back) }
h1 { font-size: 1.6em; margin-bottom: .1em } h2 { font-size: 1.15em; margin: 1.8em 0 .5em }
p { color: var(--soft); max-width: 70ch }
table { border-collapse: collapse } td { padding: .3em 1.5em .3em 0; border-bottom: 1px solid var(--line) }
td:first-child { color: var(--soft); white-space: nowrap }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: .8em }
figure { margin: 0; background: var(--card); border-radius: 8px; padding: .6em } img { width: 100%; display: block }
figcaption { font-size: 13px; color: var(--soft); text-align: center; overflow-wrap: anywhere }
"""


def page(part: PackedPart) -> str:
    """The HTML of a part's page, with its pictures inside."""
    drawn, pieces = _drawn(part), _pieces(part)
    reach_m = float(np.linalg.norm(part.vertices_m, axis=1).max())
    sides = [_figure(drawn, np.array(view, float), reach_m, name) for name, view in SIDES.items()]
    shown = part.resting_poses[:MOST_POSES]
    poses = [_figure(drawn, _standing(pose), reach_m, _pose_text(k, pose)) for k, pose in enumerate(shown, 1)]
    hulls = [_figure(pieces, _from_above() @ turn, reach_m, "") for turn in (np.eye(3), np.diag([1.0, -1.0, -1.0]))]
    rows = "".join(f"<tr><td>{escape(key)}<td>{escape(value)}" for key, value in facts(part))
    left = len(part.resting_poses) - len(shown)
    more = f" {left} more are rarer than these." if left else ""
    count = len(part.hulls_m)
    number = f"{count} convex piece{'s' * (count > 1)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(part.name)}</title><style>{STYLE}</style>'
        f"<h1>{escape(part.name)}</h1><table>{rows}</table>"
        f"{_row('Six sides', '', sides)}"
        f"{_row('Resting poses', f'On a table. Poses that look the same are one.{more}', poses)}"
        f"{_row('Collision shape', f'{number}, from above and from below. Physics uses no triangles.', hulls)}</html>\n"
    )


def _row(title: str, text: str, figures: list[str]) -> str:
    return f'<h2>{title}</h2><p>{text}</p><div class="row">{"".join(figures)}</div>'


def _pose_text(number: int, pose: RestingPose) -> str:
    return f"{number}: {100 * pose.probability:.1f} % ({100 * pose.drop_share:.1f} % of the drops)"


def _from_above() -> Float64[np.ndarray, "3 3"]:
    """A view from 35 degrees above the table, and 30 degrees off the x axis."""
    angle = np.radians(35.0)
    up = np.array([[1.0, 0.0, 0.0], [0.0, np.sin(angle), np.cos(angle)], [0.0, -np.cos(angle), np.sin(angle)]])
    return np.asarray(up @ about_z(np.radians(30.0)))


def _standing(pose: RestingPose) -> Float64[np.ndarray, "3 3"]:
    return np.asarray(_from_above() @ rotation_matrix(pose.rotation_xyzw))


def _drawn(part: PackedPart) -> Drawn:
    colours = np.tile(GREY, (len(part.vertices_m), 1)) if part.colours is None else part.colours
    return Drawn(
        part.vertices_m.astype(float),
        part.normals.astype(float),
        part.triangles.astype(np.int64),
        np.array(colours, float),
    )


def _pieces(part: PackedPart) -> Drawn:
    """The convex pieces, each in a colour of its own, flat."""
    from scipy.spatial import ConvexHull

    vertices, normals, colours = [], [], []
    for number, points in enumerate(part.hulls_m):
        hull = ConvexHull(points)
        vertices.append(points[hull.simplices].reshape(-1, 3))
        normals.append(np.repeat(hull.equations[:, :3], 3, axis=0))
        colours.append(np.tile(_hue(number), (3 * len(hull.simplices), 1)))
    corners = np.concatenate(vertices)
    triangles = np.arange(len(corners)).reshape(-1, 3)
    return Drawn(corners, np.concatenate(normals), triangles, np.concatenate(colours))


def _hue(number: int) -> Float64[np.ndarray, " 3"]:
    """Colours that lie far apart: the golden angle round the circle of hues."""
    hsv = np.uint8([[[(number * 111) % 180, 130, 215]]])  # type: ignore[arg-type]
    return np.asarray(cv2.cvtColor(np.asarray(hsv), cv2.COLOR_HSV2RGB)[0, 0] / 255.0) ** 2.2


def _figure(drawn: Drawn, view: Float64[np.ndarray, "3 3"], reach_m: float, caption: str) -> str:
    image = _encoded(picture(drawn, view, reach_m, SIZE_PX))
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{image}">{text}</figure>'


def _encoded(rgba: UInt8[np.ndarray, "s s 4"]) -> str:
    _, png = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    return base64.b64encode(png.tobytes()).decode()
