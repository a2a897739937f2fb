"""URDF: the visible shapes of a robot's or a part's links, with all joints in one pose.

Read are links, visuals (meshes, boxes, cylinders, spheres), colours and the tree of joints. Metres and radians, as the
format says (wiki.ros.org/urdf/XML). Nothing is looked up outside the file's folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from simgen.assets.cad.reading.files import Beside, read_source
from simgen.assets.cad.reading.meshes import check_no_doctype
from simgen.assets.cad.shape.repair import Body
from simgen.spec.colour import linear_from_srgb
from simgen.spec.errors import PartFileError

MAX_LINKS, MAX_BYTES = 500, 4 * 2**20
Reader = Callable[[Path], tuple[list[Body], str | None]]


def read_urdf(path: Path, readers: dict[str, Reader], pose: tuple[tuple[str, float], ...]) -> tuple[list[Body], str]:
    """The bodies of all links.

    Args:
        readers: of the mesh files that it may name, by suffix.
        pose: values of joints, in radians or metres; the others stand at zero.

    Raises:
        PartFileError: it is no URDF, or something in it cannot be read. Names the link or the joint.
    """
    root = _root(path)
    links = {link.get("name", ""): link for link in root.findall("link")}
    joints = root.findall("joint")
    if not links or len(links) > MAX_LINKS or len(joints) > MAX_LINKS:
        raise PartFileError(f"{path}: has {len(links)} links and {len(joints)} joints; 1 to {MAX_LINKS} are read")
    known = {joint.get("name", "") for joint in joints}
    for name, _ in pose:
        if name not in known:
            raise PartFileError(f"{path}: no joint {name!r}; there are {', '.join(sorted(known)) or 'none'}")
    places = _places(path, list(links), joints, dict(pose))
    colours = {tint.get("name", ""): _colour(tint) for tint in root.findall("material")}
    bodies = []
    for name, link in links.items():
        for visual in link.findall("visual"):
            bodies += _visual(path, visual, name, places[name], colours, readers)
    if not bodies:
        raise PartFileError(f"{path}: no link of it has a visual, so there is nothing to see")
    return bodies, "m"


def _root(path: Path) -> Any:
    from defusedxml import ElementTree

    data = read_source(path, MAX_BYTES)
    check_no_doctype(data, path)
    try:
        root = ElementTree.fromstring(data, forbid_dtd=True)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise PartFileError(f"{path}: is no XML: {error}") from None
    if root.tag != "robot":
        raise PartFileError(f"{path}: is no URDF: its root is <{root.tag:.40}>, not <robot>")
    return root


def _places(path: Path, links: list[str], joints: list[Any], pose: dict[str, float]) -> dict[str, Any]:
    """The transform of each link, from the root link's frame."""
    above: dict[str, tuple[str, Any]] = {}
    for joint in joints:
        parent, child = (_child(path, joint, tag).get("link", "") for tag in ("parent", "child"))
        if parent not in links or child not in links or child in above:
            raise PartFileError(
                f"{path}: joint {joint.get('name')!r} joins {parent!r} and {child!r}, which is no tree of links"
            )
        above[child] = parent, _origin(path, joint) @ _motion(path, joint, pose.get(joint.get("name", ""), 0.0))
    places = {}
    for link in links:
        place, at, steps = np.eye(4), link, 0
        while at in above:
            at, step = above[at]
            place, steps = step @ place, steps + 1
            if steps > MAX_LINKS:
                raise PartFileError(f"{path}: its joints go in a circle at link {link!r}")
        places[link] = place
    return places


def _child(path: Path, element: Any, tag: str) -> Any:
    found = element.find(tag)
    if found is None:
        raise PartFileError(f"{path}: <{element.tag}> {element.get('name', '')!r} has no <{tag}>")
    return found


def _numbers(path: Path, element: Any, key: str, default: str, count: int) -> Float64[np.ndarray, " n"]:
    text = default if element is None else element.get(key, default)
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.array([])
    if values.shape != (count,) or not np.isfinite(values).all() or np.abs(values).max() > 1e6:
        raise PartFileError(f"{path}: <{element.tag} {key}={text[:40]!r}>: needs {count} numbers")
    return values


def _origin(path: Path, element: Any) -> Float64[np.ndarray, "4 4"]:
    origin = element.find("origin")
    place = np.eye(4)
    roll, pitch, yaw = _numbers(path, origin, "rpy", "0 0 0", 3)
    place[:3, :3] = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
    place[:3, 3] = _numbers(path, origin, "xyz", "0 0 0", 3)
    return place


def _about(axis: int, angle: float) -> Float64[np.ndarray, "3 3"]:
    return _turn(np.eye(3)[axis], angle)


def _turn(axis: Float64[np.ndarray, " 3"], angle: float) -> Float64[np.ndarray, "3 3"]:
    """Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: Float64[np.ndarray, "3 3"] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turned


def _motion(path: Path, joint: Any, value: float) -> Float64[np.ndarray, "4 4"]:
    moved, kind = np.eye(4), joint.get("type", "")
    if kind == "fixed" or not value:
        return moved
    axis = _numbers(path, joint.find("axis"), "xyz", "1 0 0", 3)
    axis = axis / max(float(np.linalg.norm(axis)), 1e-12)
    if kind in ("revolute", "continuous"):
        moved[:3, :3] = _turn(axis, value)
    elif kind == "prismatic":
        moved[:3, 3] = axis * value
    else:
        raise PartFileError(
            f"{path}: joint {joint.get('name')!r} is {kind!r}; revolute, continuous and prismatic can be set"
        )
    return moved


def _colour(material: Any) -> Float64[np.ndarray, " 3"] | None:
    element = material.find("color")
    try:
        rgb = np.array([float(word) for word in element.get("rgba", "").split()[:3]])
    except (AttributeError, ValueError):
        return None
    return np.asarray(linear_from_srgb(np.clip(rgb, 0, 1))) if rgb.shape == (3,) and np.isfinite(rgb).all() else None


def _visual(
    path: Path, visual: Any, link: str, place: Any, colours: dict[str, Any], readers: dict[str, Reader]
) -> list[Body]:
    geometry = _child(path, visual, "geometry")
    shape = next(iter(geometry), None)
    if shape is None:
        raise PartFileError(f"{path}: link {link!r}: its <geometry> is empty")
    bodies = _mesh(path, shape, readers) if shape.tag == "mesh" else [_primitive(path, shape)]
    material = visual.find("material")
    tint = None if material is None else _colour(material)
    if tint is None and material is not None:
        tint = colours.get(material.get("name", ""))
    whole = place @ _origin(path, visual)
    placed = []
    for body in bodies:
        vertices = body.vertices_m @ whole[:3, :3].T + whole[:3, 3]
        paint = body.colours if tint is None else np.tile(tint.astype(np.float32), (len(body.triangles), 1))
        placed.append(replace(body, name=link[:80], vertices_m=vertices, colours=paint))
    return placed


def _mesh(path: Path, shape: Any, readers: dict[str, Reader]) -> list[Body]:
    name = shape.get("filename", "")
    file = Beside(path, ()).inside(name.split("/", 3)[-1] if name.startswith("package://") else name)
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise PartFileError(f"{path}: names {name[:80]!r}; meshes of {', '.join(sorted(readers))} are read: convert it")
    scale = _numbers(path, shape, "scale", "1 1 1", 3)
    bodies, _ = reader(file)
    flipped = np.prod(scale) < 0
    return [
        replace(b, vertices_m=b.vertices_m * scale, triangles=b.triangles[:, ::-1] if flipped else b.triangles)
        for b in bodies
    ]


def _primitive(path: Path, shape: Any) -> Body:
    import trimesh

    if shape.tag == "box":
        mesh = trimesh.creation.box(_numbers(path, shape, "size", "", 3))
    elif shape.tag == "cylinder":
        radius, length = (float(_numbers(path, shape, key, "", 1)[0]) for key in ("radius", "length"))
        mesh = trimesh.creation.cylinder(radius, length, sections=64)
    elif shape.tag == "sphere":
        mesh = trimesh.creation.icosphere(4, float(_numbers(path, shape, "radius", "", 1)[0]))
    else:
        raise PartFileError(f"{path}: a <geometry> of <{shape.tag:.40}>; mesh, box, cylinder and sphere are read")
    return Body("", np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))
