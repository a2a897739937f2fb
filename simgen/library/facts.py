"""What a part's page and `simgen parts show` say of it."""

from __future__ import annotations

from simgen.assets.cad.packed import PackedPart


def facts(part: PackedPart) -> list[tuple[str, str]]:
    """Rows of a name and a value, as text."""
    x, y, z = (1000 * side for side in part.size_m)
    moments = [moment * part.mass_kg * 1e6 for moment in part.inertia_m2]
    density = f"{part.density_kg_m3:g} kg/m3" + (f", {part.material}" if part.material else "")
    return [
        ("category", part.category),
        ("source", f"{part.origin.file}, in {part.origin.unit}"),
        ("size", f"{x:.4g} x {y:.4g} x {z:.4g} mm, along its own axes"),
        ("volume", f"{part.volume_m3 * 1e6:.4g} cm3"),
        ("mass", f"{_mass(part.mass_kg)} ({density})"),
        ("principal inertia", ", ".join(f"{moment:.4g}" for moment in moments) + " kg mm2"),
        ("triangles", f"{len(part.triangles)}" + (", coloured" if part.colours is not None else "")),
        ("convex pieces", str(len(part.hulls_m))),
        ("symmetry", symmetry(part)),
        ("resting poses", _poses(part)),
        *(("import", note) for note in part.notes),
    ]


def _mass(kilograms: float) -> str:
    return f"{kilograms:.4g} kg" if kilograms >= 1 else f"{kilograms * 1000:.4g} g"


def symmetry(part: PackedPart) -> str:
    """The part's symmetries in words."""
    turns, axes = part.symmetries.rotations_xyzw, part.symmetries.axes
    if len(axes) > 1:
        return "a ball: any turn"
    if axes:
        return "any turn about z" + (", and turned over" if turns else "")
    if not turns:
        return "none"
    return f"{len(turns)} turn{'s' * (len(turns) > 1)} look{'s' * (len(turns) == 1)} the same"


def _poses(part: PackedPart) -> str:
    first = ", ".join(f"{100 * pose.probability:.0f} %" for pose in part.resting_poses[:6])
    return f"{len(part.resting_poses)} ({first}{', ...' if len(part.resting_poses) > 6 else ''})"
