"""The map of features: near each other lies what looks alike to the detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from pipelines.gap.page.svg import Scale, drawing, element, sign
from pipelines.gap.schema.sections import MapPoint, Picture

SIDE, THUMBNAIL, EDGE = 420.0, 40.0, 26.0


def feature_map(points: Sequence[MapPoint], pictures: Mapping[str, Picture], real: str) -> Markup:
    """Points from 0 to 1 of one category; those with a picture are drawn as it, in a frame of their side's colour.

    `real` is what the photos are called.
    """
    across, up = Scale(0.0, 1.0, EDGE, SIDE - EDGE), Scale(0.0, 1.0, SIDE - EDGE, EDGE)
    plain, shown = list[Markup](), list[Markup]()
    for one in points:
        x, y, colour = across(one.x), up(one.y), "sim" if one.of == "simulated" else "real"
        picture = pictures.get(one.picture or "")
        if picture is None or picture.uri is None:
            plain.append(sign(x, y, colour, f"dot-{colour} faint"))
            continue
        left, top = x - THUMBNAIL / 2, y - THUMBNAIL / 2
        shown.append(element("image", href=picture.uri, x=left, y=top, width=THUMBNAIL, height=THUMBNAIL))
        shown.append(element("rect", class_=f"frame-{colour}", x=left, y=top, width=THUMBNAIL, height=THUMBNAIL))
    counts = [sum((one.of == "simulated") == of for one in points) for of in (True, False)]
    title = f"Map of {counts[0]} simulated and {counts[1]} {real} parts by what the detector sees"
    return drawing(SIDE, SIDE, title, [*plain, *shown], "map")
