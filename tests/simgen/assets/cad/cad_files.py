"""A box as a file of each CAD format, written by the tests."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import trimesh

SIZE_MM = (30.0, 20.0, 10.0)
QUOTES, COMMA, MECHANICAL = "''", ",", "'mechanical'"
FORMATS = ("3mf", "glb", "gltf", "obj", "off", "ply", "step", "stl", "urdf")


def box(size=SIZE_MM, at=(0.0, 0.0, 0.0)) -> trimesh.Trimesh:
    return trimesh.creation.box(size, transform=trimesh.transformations.translation_matrix(at))


def write_mesh(path: Path, mesh: trimesh.Trimesh) -> Path:
    """A mesh in the format of the path's suffix; in metres where the format says so, else in millimetres."""
    suffix = path.suffix[1:]
    if suffix in ("glb", "gltf", "urdf"):
        mesh = mesh.copy()
        mesh.apply_scale(0.001)
    if suffix == "gltf":
        for name, data in mesh.scene().export(file_type="gltf").items():
            (path if name.endswith(".gltf") else path.with_name(name)).write_bytes(data)
    elif suffix == "urdf":
        mesh.export(path.with_suffix(".stl"))
        path.write_text(urdf(f'<mesh filename="{path.stem}.stl"/>'))
    elif suffix == "step":
        path.write_text(step_box(SIZE_MM))
    else:
        mesh.export(path)
    return path


def write_box(folder: Path, form: str) -> Path:
    return write_mesh(folder / f"box.{form}", box())


def urdf(shape: str, more: str = "") -> str:
    visual = f"<visual><geometry>{shape}</geometry></visual>"
    return f'<robot name="r"><link name="base">{visual}</link>{more}</robot>'


HEADER = """ISO-10303-21;
HEADER;
FILE_DESCRIPTION((''),'2;1');
FILE_NAME('box','2026-11-29T00:00:00',(''),(''),'','','');
FILE_SCHEMA(('AUTOMOTIVE_DESIGN {{ 1 0 10303 214 1 1 1 1 }}'));
ENDSEC;
DATA;
{}
ENDSEC;
END-ISO-10303-21;
"""


class _Step:
    """Numbered lines of a STEP file."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, text: str) -> str:
        self.lines.append(f"#{len(self.lines) + 1}={text};")
        return f"#{len(self.lines)}"

    def triple(self, kind: str, values) -> str:
        return self.add(f"{kind}('',({','.join(f'{float(v):.6f}' for v in values)}))")


def step_box(size_mm=SIZE_MM, solid: bool = True) -> str:
    """A box from the origin as STEP AP214 (ISO 10303-42): a solid of planar faces, or nothing but its surface."""
    step = _Step()
    points = {bits: np.array(bits) * size_mm for bits in itertools.product((0, 1), repeat=3)}
    corners = {bits: step.add(f"VERTEX_POINT('',{step.triple('CARTESIAN_POINT', p)})") for bits, p in points.items()}
    edges = {}
    for a, b in itertools.combinations(points, 2):
        if np.abs(np.subtract(a, b)).sum() == 1:
            along = step.add(f"VECTOR('',{step.triple('DIRECTION', np.subtract(b, a))},1.)")
            line = step.add(f"LINE('',{step.triple('CARTESIAN_POINT', points[a])},{along})")
            edges[a, b] = step.add(f"EDGE_CURVE('',{corners[a]},{corners[b]},{line},.T.)")
    faces = [_face(step, points, edges, axis, side) for axis, side in itertools.product(range(3), (0, 1))]
    shell = step.add(f"{'CLOSED' if solid else 'OPEN'}_SHELL('',({','.join(faces)}))")
    kind = f"MANIFOLD_SOLID_BREP('',{shell})" if solid else f"SHELL_BASED_SURFACE_MODEL('',({shell}))"
    _product(step, step.add(kind), "ADVANCED_BREP" if solid else "MANIFOLD_SURFACE")
    return HEADER.format("\n".join(step.lines))


def _face(step: _Step, points, edges, axis: int, side: int) -> str:
    others = ((axis + 1) % 3, (axis + 2) % 3) if side else ((axis + 2) % 3, (axis + 1) % 3)
    loop = []
    for u, v in ((0, 0), (1, 0), (1, 1), (0, 1)):
        bits = [side] * 3
        bits[others[0]], bits[others[1]] = u, v
        loop.append(tuple(bits))
    used = [
        step.add(f"ORIENTED_EDGE('',*,*,{edges[min(a, b), max(a, b)]},{'.T.' if a < b else '.F.'})")
        for a, b in zip(loop, loop[1:] + loop[:1], strict=True)
    ]
    bound = step.add(f"FACE_OUTER_BOUND('',{step.add(f'EDGE_LOOP({QUOTES},({COMMA.join(used)}))')},.T.)")
    normal = step.triple("DIRECTION", np.eye(3)[axis] * (1 if side else -1))
    across = step.triple("DIRECTION", np.eye(3)[(axis + 1) % 3])
    place = step.add(f"AXIS2_PLACEMENT_3D('',{step.triple('CARTESIAN_POINT', points[loop[0]])},{normal},{across})")
    plane = step.add(f"PLANE('',{place})")
    return step.add(f"ADVANCED_FACE('',({bound}),{plane},.T.)")


def _product(step: _Step, shape: str, kind: str) -> None:
    """The product that has the shape, in millimetres."""
    units = [
        step.add("(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.))"),
        step.add("(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.))"),
        step.add("(NAMED_UNIT(*)SI_UNIT($,.STERADIAN.)SOLID_ANGLE_UNIT())"),
    ]
    exact = step.add(f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-07),{units[0]},'','')")
    context = step.add(
        f"(GEOMETRIC_REPRESENTATION_CONTEXT(3)GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT(({exact}))"
        f"GLOBAL_UNIT_ASSIGNED_CONTEXT(({COMMA.join(units)}))REPRESENTATION_CONTEXT('',''))"
    )
    axes = [step.triple("DIRECTION", axis) for axis in ((0, 0, 1), (1, 0, 0))]
    origin = step.add(f"AXIS2_PLACEMENT_3D('',{step.triple('CARTESIAN_POINT', (0, 0, 0))},{axes[0]},{axes[1]})")
    shown = step.add(f"{kind}_SHAPE_REPRESENTATION('',({origin},{shape}),{context})")
    application = step.add("APPLICATION_CONTEXT('automotive design')")
    step.add(f"APPLICATION_PROTOCOL_DEFINITION('international standard','automotive_design',2000,{application})")
    product = step.add(f"PRODUCT('box','box','',({step.add(f'PRODUCT_CONTEXT({QUOTES},{application},{MECHANICAL})')}))")
    formation = step.add(f"PRODUCT_DEFINITION_FORMATION('','',{product})")
    view = step.add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')")
    definition = step.add(f"PRODUCT_DEFINITION('design','',{formation},{view})")
    whole = step.add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
    step.add(f"SHAPE_DEFINITION_REPRESENTATION({whole},{shown})")
