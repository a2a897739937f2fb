"""The preset and the README of a new line, with comments for who has never seen a preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simgen.presets.fit_camera.fit import CameraFit
from simgen.presets.new_line.view import INSIDE, SHARE, TURN_DEG, View

BASE = "bolts_on_table"
BASE_KINDS = ("hex_bolt", "hex_screw", "washer")  # of that preset
AREA = "area.json"
MOST_PARTS = 25
DENSEST = 0.25  # share of the ground that parts may cover
BRIGHT_CARD = 0.9  # of full scale: what a white card gives at the most in a well exposed photo
BRIGHTER, MOST_LIGHT = 1.15, 3.0  # least and most of the brightest parts, against those on a mid-grey ground


def preset_text(name: str, parts: Mapping[str, float], view: View, fit: CameraFit | str, white: float) -> str:
    """The YAML of `line.yaml`.

    Args:
        parts: the size of each imported part in metres, by the name of its file without an ending.
        fit: what was measured of the photos, or why nothing was.
        white: what a white card would give in the empty place if that is mid grey; 1 is full scale.
    """
    place = [*_stage(view, white), *_camera(view), *_sensor(fit, white)]
    return "\n".join([*_head(name), *_parts(parts, view), *place, *_rest()]) + "\n"


def readme_text(name: str, parts: Sequence[str]) -> str:
    """Five lines with the next commands, to be run in the folder of the line."""
    steps = (
        "Look at ten scenes, and change `line.yaml` until they look like your line: `simgen render --preset line.yaml "
        "--scenes 10 --out look --renderer auto && simgen preview look`",
        "Make the detector: `sim2real line . --minutes 60`; all goes into `result/`, and a stopped run continues",
        "Look at what it finds on `photos/unlabelled/`: `result/detections.jpg`",
        "Label photos in COCO format, as `photos/test.json` to measure on and others as `photos/train.json` to learn "
        "from, and run the same command again",
        "Use it: `hybrid predict --checkpoint . --source PHOTO.jpg --out found`",
    )
    lines = [f"{k}. {step}" for k, step in enumerate(steps, 1)]
    return "\n".join([f"# {name}: {', '.join(parts)}", "", *lines, ""])


def _head(name: str) -> list[str]:
    return [
        f"# {name}: imported parts on photos of the empty place. Written by `simgen new`; every line may be changed.",
        "# A range {low: .., high: ..} is drawn anew for each scene; a single number is fixed. All knobs with their",
        "# units, bounds and meaning: simgen presets line.yaml --knobs",
        f"base: {BASE}                        # what is not said here is as in that preset",
    ]


def _parts(parts: Mapping[str, float], view: View) -> list[str]:
    width, depth = view.ground_m
    size_m = sum(parts.values()) / len(parts)
    most = int(min(MOST_PARTS, max(1, DENSEST * width * depth / size_m**2)))
    return [
        "",
        "parts:",
        f"  count: {{low: 1, high: {most}}}                  # in a scene",
        "  kinds:",
        *(f"    {kind}: null" for kind in BASE_KINDS),  # a part of such a name gets another one below
        *(
            f"    {kind_of(name)}: {{weight: 1, mesh: parts/{name}.glb}}    # {1000 * size:.0f} mm long"
            for name, size in parts.items()
        ),
        "  pile_share: {low: 0.0, high: 0.1}           # share of the parts that lie on others",
        "  spread: 0.9                                 # share of the stage on which parts are laid",
    ]


def kind_of(name: str) -> str:
    """The name of a part as a kind of the preset: without dots, which part keys, and none of the base's."""
    plain = name.replace(".", "_")
    return f"{plain}_part" if plain in BASE_KINDS else plain


def _stage(view: View, white: float) -> list[str]:
    inside = INSIDE if view.area_m is None else 1.0
    width, depth = (inside * side for side in view.ground_m)
    brightest = max(BRIGHTER, BRIGHT_CARD / max(white, 0.01))  # as if the ground were as dark as it may be
    return [
        "",
        "stage:                                        # parts lie on it; with a photo it is not seen itself",
        f"  length_m: {width:.3g}                            # across the picture",
        f"  width_m: {depth:.3g}                             # along it",
        "  photo:",
        "    files: backgrounds                        # photos of the empty place; add more",
        *([f"    area: {AREA}                           # corners of the stage in each"] if view.area_m else []),
        "    share: 0.85                               # of the scenes; the others are on an invented table",
        "    crop: {low: 0.85, high: 1.0}              # how much of the photo is shown",
        "    exposure: {low: 0.8, high: 1.15}          # brighter or darker, the parts with it",
        f"    light: {{low: 0.75, high: {min(brightest, MOST_LIGHT):.2f}}}            "
        "# of the parts: 1 on a mid-grey ground, more on a darker one",
        "",
        "light:                                        # azimuth and elevation of your main lamp, if you know them",
        "  elevation_deg: {low: 25, high: 85}",
        "  azimuth_deg: {low: 0, high: 360}",
    ]


def _camera(view: View) -> list[str]:
    (width, height), lens, elevation = view.size_px, view.lens, 90 - view.tilt_deg
    steepest = min(90.0, elevation + TURN_DEG)
    k1, k2, p1, p2, k3 = lens.distortion
    lines = [
        "",
        f"camera:                                       # {view.how}",
        f"  width_px: {width}",
        f"  height_px: {height}",
        f"  focal_px: {lens.focal_px:.1f}                           # {lens.how}",
        f"  distance_m: {_about(view.distance_m)}        # to the ground in the middle of the picture",
        f"  elevation_deg: {{low: {elevation - TURN_DEG:g}, high: {steepest:g}}}         # 90 looks straight down",
        f"  azimuth_deg: {{low: {270 - TURN_DEG:g}, high: {270 + TURN_DEG:g}}}",
        f"  roll_deg: {{low: {-TURN_DEG:g}, high: {TURN_DEG:g}}}",
        "  aim: 0.0                                    # the middle of the stage is in the middle of the picture",
        "  drift_m_s: 0.0",
    ]
    if any(lens.distortion):
        lines += [
            "",
            "lens:",
            f"  k1: {k1:.6g}",
            f"  k2: {k2:.6g}",
            f"  k3: {k3:.6g}",
            f"  p1: {p1:.6g}",
            f"  p2: {p2:.6g}",
        ]
    return lines


def _sensor(fit: CameraFit | str, white: float) -> list[str]:
    if isinstance(fit, str):
        return ["", f"# sensor: as in the base, nothing was measured: {fit}"]
    lines = [
        "",
        f"sensor:                                       # measured from {fit.photos} photos, at the size above",
    ]
    exposure = fit.ranges["exposure"]
    low, high = 0.8 * min(exposure.low, white), max(exposure.high, BRIGHT_CARD)
    how = "what a white card may give: from the photos as they are to full scale"
    lines += [f"  exposure: {{low: {low:.3g}, high: {high:.3g}}}  # {how}"]
    ranges = {name: one for name, one in fit.ranges.items() if name != "exposure"}
    lines += [f"  {name}: {{low: {r.low:g}, high: {r.high:g}}}  # {r.how}" for name, r in ranges.items()]
    return [*lines, *(f"  # {name}: as in the base; {why}" for name, why in fit.not_estimated.items())]


def _rest() -> list[str]:
    return [
        "",
        "clutter:",
        "  occluders: {low: 0, high: 1}                # things above the parts, such as a hand or a cable",
        "",
        "timing:",
        "  frames: 1                                   # pictures of a scene; more make a clip",
        "  settle_s: 1.5                               # time in which the parts come to rest",
    ]


def _about(value: float) -> str:
    return f"{{low: {value * (1 - SHARE):.3g}, high: {value * (1 + SHARE):.3g}}}"
