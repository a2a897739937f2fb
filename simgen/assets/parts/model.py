"""The model of a part: a mesh, its mass properties, its collision shape and how it rests; and families of parts.

The part's frame: the origin is the centre of mass, the axes are principal axes of inertia, z is the axis of a turned
part. Metres throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int32

from simgen.assets.parts.mesh import Hull, Mesh, Primitive, mass_properties, shaded
from simgen.spec.geometry import vec3
from simgen.spec.types import Vec3


@dataclass(frozen=True, kw_only=True)
class Thread:
    """A helical thread about z. The mesh has a cylinder of the pitch diameter there (ISO 724)."""

    z_from_m: float
    z_to_m: float
    radius_m: float  # half of the pitch diameter
    pitch_m: float
    depth_m: float  # from crest to root
    internal: bool  # a nut's


@dataclass(frozen=True)
class Rest:
    """A pose in which a part comes to rest on a level surface, up to a turn about the vertical."""

    rotation: Float64[np.ndarray, "3 3"]  # world from part
    probability: float  # of all ways to fall


@dataclass(frozen=True)
class Turns:
    """The turns about its origin after which a part looks the same, without the identity."""

    rotations: tuple[Float64[np.ndarray, "3 3"], ...]
    axes: tuple[Vec3, ...]  # unit vectors about which any turn is allowed


@dataclass(frozen=True, kw_only=True)
class PartModel:
    """The model of a part. `vertices_m` repeats a corner for each smooth surface that meets there."""

    vertices_m: Float64[np.ndarray, "v 3"]
    normals: Float64[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "t 3"]
    volume_m3: float
    inertia_m2: Vec3  # principal moments of inertia of one kilogram
    collision: tuple[Primitive, ...] | tuple[Hull, ...]
    outline_m: Float64[np.ndarray, "o 3"] | None = None  # the corners of its convex hull, where they are far fewer
    coarse: PartModel | None = None  # the same part with fewer triangles, for pictures in which it looks the same
    coarse_error_m: float = 0.0  # how far its surface is from this one's
    neighbours: Int32[np.ndarray, "t 3"] | None = None  # of large meshes: the triangle across each edge, or -1
    colours: Float32[np.ndarray, "v 3"] | None = None  # linear RGB at each vertex; None: all of the finish's
    rests: tuple[Rest, ...] | None = None  # None: a fastener, which stands upright on its z or lies on its side
    symmetries: Turns | None = None  # None: those of its mesh about z and across it
    thread: Thread | None = None  # of a fastener

    @property
    def corners_m(self) -> Float64[np.ndarray, "n 3"]:
        """The points that decide how far the part reaches in any direction."""
        return self.vertices_m if self.outline_m is None else self.outline_m

    @property
    def radius_m(self) -> float:
        """Radius of the smallest sphere about the origin that holds the part."""
        return float(np.linalg.norm(self.corners_m, axis=1).max())

    @property
    def uncoloured(self) -> PartModel:
        """The part without the colours of its file."""
        coarse = None if self.coarse is None else self.coarse.uncoloured
        return replace(self, colours=None, coarse=coarse)

    def scaled(self, scale: float) -> PartModel:
        """The part `scale` times as large. A thread is not scaled: only a part without one may be."""
        assert self.thread is None
        return replace(
            self,
            vertices_m=self.vertices_m * scale,
            volume_m3=self.volume_m3 * scale**3,
            inertia_m2=vec3(np.array(self.inertia_m2) * scale**2),
            collision=tuple(Hull(piece.points_m * scale) for piece in self.collision if isinstance(piece, Hull)),
            outline_m=None if self.outline_m is None else self.outline_m * scale,
            coarse=None if self.coarse is None else self.coarse.scaled(scale),
            coarse_error_m=self.coarse_error_m * scale,
        )


@dataclass(frozen=True, kw_only=True)
class Size:
    designation: str
    diameter_mm: float  # nominal, of the thread that it has or fits
    length_mm: float | None  # nominal; None for a family without lengths


@dataclass(frozen=True, kw_only=True)
class Family:
    """A row of PARTS: a family of parts from a standard."""

    standard: str
    category: str
    sizes: tuple[Size, ...]
    build: Callable[[Size], PartModel]

    def size(self, designation: str) -> Size:
        """One of the sizes.

        Raises:
            KeyError: there is no such size; the message lists the sizes.
        """
        for size in self.sizes:
            if size.designation == designation:
                return size
        raise KeyError(
            f"no size {designation!r} in {self.standard}; there are {', '.join(s.designation for s in self.sizes)}"
        )


def turned_part(mesh: Mesh, collision: tuple[Primitive, ...], thread: Thread | None) -> PartModel:
    """The model of a part that is symmetric about z, moved so that the origin is its centre of mass."""
    volume_m3, centre_m, inertia_m2 = mass_properties(mesh)
    vertices_m, normals, triangles = shaded(Mesh(mesh.vertices_m - centre_m, mesh.triangles))
    z_m = float(centre_m[2])
    lowered = [replace(p, position_m=(p.position_m[0], p.position_m[1], p.position_m[2] - z_m)) for p in collision]
    if thread is not None:
        thread = replace(thread, z_from_m=thread.z_from_m - z_m, z_to_m=thread.z_to_m - z_m)
    return PartModel(
        vertices_m=vertices_m,
        normals=normals,
        triangles=triangles,
        volume_m3=volume_m3,
        inertia_m2=(float(inertia_m2[0, 0]), float(inertia_m2[1, 1]), float(inertia_m2[2, 2])),
        collision=tuple(lowered),
        thread=thread,
    )
