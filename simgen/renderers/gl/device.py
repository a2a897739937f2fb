"""The GPU resources of a process: context, programs, and caches of meshes, tiles, environment maps and targets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from simgen.assets.materials import WearKey, wear_tile
from simgen.renderers.gl import environment, layout, meshes
from simgen.renderers.gl.context import create_context, describe
from simgen.renderers.gl.programs import BLOCKS, FAR, LAMP_TEXELS, NEAR, SOURCE, Programs
from simgen.renderers.gl.shadows import COARSE_TEXELS, SIDE_TEXELS
from simgen.renderers.tiles import TileKey, tile_values
from simgen.spec.errors import RendererLost, RendererUnavailable
from simgen.spec.scene import LightSpec
from simgen.spec.types import MAX_LAMPS

SAMPLES = 4  # coverage samples of a multisampled pixel: the minimum that OpenGL 4.3 guarantees
MAX_MESHES, MAX_TILES, MAX_WEAR, MAX_SKIES, MAX_TARGETS = 512, 128, 32, 8, 3
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Store(Generic[K, V]):
    """A cache of the `limit` values used last. A dropped value is released when nothing refers to it."""

    def __init__(self, limit: int, make: Callable[[K], V]) -> None:
        self._limit, self._make = limit, make
        self._values: OrderedDict[K, V] = OrderedDict()

    def __getitem__(self, key: K) -> V:
        if key not in self._values:
            self._values[key] = self._make(key)
            while len(self._values) > self._limit:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class RenderTarget:
    """Framebuffers and their textures, for one image size and sampling."""

    truth: Any  # ground truth: depth, ids and normals at the pixels' centres
    depth: Any
    normals: Any
    open_raw: Any
    open_raw_map: Any
    open: Any
    open_map: Any
    colour: Any
    resolved: Any  # one sample per pixel
    radiance: Any
    factor: int  # side of a camera pixel in pixels of `colour`


@dataclass(frozen=True)
class ShadowTarget:
    """The key light's shadow map, and coarse maps of the nearest depth."""

    picture: Any
    depth: Any
    passes: tuple[Any, ...]  # 256, 64, 64 and 64 texels wide
    maps: tuple[Any, ...]


class Device:
    """One OpenGL context and its resources.

    Raises:
        RendererUnavailable: no context can be created, or the driver refuses a shader.
    """

    def __init__(self) -> None:
        self.context = create_context()
        self.description = describe(self.context)
        self._screens: dict[str, Any] = {}
        try:
            self.programs = Programs(self.context)
        except Exception as error:  # moderngl raises bare Exceptions
            self.close()
            raise RendererUnavailable(f"{self.description} refuses a shader: {error}") from error
        self.meshes: Store[meshes.Key, meshes.Mesh] = Store(MAX_MESHES, lambda key: meshes.upload(self.context, key))
        self.tiles: Store[TileKey, Any] = Store(
            MAX_TILES, lambda key: self.texture(tile_values(key), mipmaps=True, wrap=(True, True))
        )
        self.wear: Store[WearKey, tuple[Any, ...]] = Store(
            MAX_WEAR, lambda key: tuple(self.texture(t, mipmaps=True, wrap=(True, True)) for t in wear_tile(key))
        )
        self._lamp_target: Any = None
        self.skies: Store[LightSpec, tuple[Any, Any]] = Store(MAX_SKIES, lambda light: environment.upload(self, light))
        self.targets: Store[tuple[int, int, int], RenderTarget] = Store(MAX_TARGETS, lambda key: self._target(*key))
        self.shadows = (self._shadow_target(), self._shadow_target())
        self.response = self.texture(environment.response())
        self.frame = self.context.buffer(reserve=layout.FRAME.itemsize, dynamic=True)
        self.sheets = self.context.buffer(reserve=layout.SHEETS.itemsize, dynamic=True)
        self.lamps = self.context.buffer(reserve=layout.LAMPS.itemsize, dynamic=True)
        self._draws = self.context.buffer(reserve=layout.DRAW_STRIDE, dynamic=True)
        self._raw = self.context.sampler(filter=self._filter("NEAREST", "NEAREST"), compare_func="")
        self._test = self.context.sampler(filter=self._filter("LINEAR", "LINEAR"), compare_func="<=")
        for sampler in (self._raw, self._test):
            sampler.repeat_x = sampler.repeat_y = False

    # -------------------------------------------------------------------------------------------------- resources

    def _filter(self, *names: str) -> tuple[int, ...]:
        return tuple(getattr(self.context, name) for name in names)

    def _check_size(self, size: tuple[int, ...]) -> None:
        limit = int(self.context.info["GL_MAX_TEXTURE_SIZE"])
        if max(size) > limit:
            raise ValueError(
                f"a picture of {size[0]} x {size[1]} pixels; this OpenGL takes {limit} a side ({self.description}): "
                "make it smaller, or render.supersample"
            )

    def texture(
        self,
        values: np.ndarray,
        *,
        mipmaps: bool = False,
        wrap: tuple[bool, bool] = (False, False),
        last_level: int = 1000,
    ) -> Any:
        """A texture of half floats, filtered linearly, from an array (h, w) or (h, w, channels).

        Raises:
            ValueError: it is larger than this OpenGL allows.
        """
        self._check_size(values.shape[1::-1])
        channels = values.shape[2] if values.ndim == 3 else 1
        data = np.ascontiguousarray(values, np.float16).tobytes()
        texture = self.context.texture(values.shape[1::-1], channels, data, dtype="f2", alignment=2)
        texture.repeat_x, texture.repeat_y = wrap
        if mipmaps:
            texture.build_mipmaps(0, last_level)
        texture.filter = self._filter("LINEAR_MIPMAP_LINEAR" if mipmaps else "LINEAR", "LINEAR")
        return texture

    def _picture(self, size: tuple[int, int], channels: int, dtype: str) -> Any:
        """A texture to render to and to read without filtering."""
        texture = self.context.texture(size, channels, dtype=dtype)
        texture.filter = self._filter("NEAREST", "NEAREST")
        texture.repeat_x = texture.repeat_y = False
        return texture

    def _target(self, width: int, height: int, supersample: int) -> RenderTarget:
        gl, size, half = self.context, (width, height), ((width + 1) // 2, (height + 1) // 2)
        factor = 1 if supersample <= 2 else 2
        large = (width * factor, height * factor)
        self._check_size(large)
        depth, ids, normals = self._picture(size, 1, "f4"), self._picture(size, 1, "i4"), self._picture(size, 4, "f2")
        buffer = gl.depth_renderbuffer(size)
        open_raw_map, open_map = self._picture(half, 2, "f2"), self._picture(half, 2, "f2")
        radiance = self._picture(large, 4, "f2")
        resolved = gl.framebuffer([radiance], buffer if factor == 1 and supersample == 1 else None)
        colour = resolved
        if supersample > 1:
            many = gl.renderbuffer(large, 4, samples=SAMPLES, dtype="f2")
            colour = gl.framebuffer([many], gl.depth_renderbuffer(large, samples=SAMPLES))
        return RenderTarget(
            truth=gl.framebuffer([depth, ids, normals], buffer),
            depth=depth,
            normals=normals,
            open_raw=gl.framebuffer([open_raw_map]),
            open_raw_map=open_raw_map,
            open=gl.framebuffer([open_map]),
            open_map=open_map,
            colour=colour,
            resolved=resolved,
            radiance=radiance,
            factor=factor,
        )

    def _shadow_target(self) -> ShadowTarget:
        gl = self.context
        depth = gl.depth_texture((SIDE_TEXELS, SIDE_TEXELS))
        maps = tuple(self._picture((n, n), 1, "f4") for n in (SIDE_TEXELS // 4, *[COARSE_TEXELS] * 3))
        return ShadowTarget(gl.framebuffer([], depth), depth, tuple(gl.framebuffer([m]) for m in maps), maps)

    # ------------------------------------------------------------------------------------------------- drawing

    def write_draws(self, rows: np.ndarray) -> None:
        """Upload the draw records, one for each item."""
        if self._draws.size < rows.nbytes:
            self._draws = self.context.buffer(reserve=2 * rows.nbytes, dynamic=True)
        self._draws.write(rows.tobytes())

    def bind_blocks(self) -> None:
        """Bind the uniform blocks that all programs share."""
        self.frame.bind_to_uniform_block(BLOCKS["Frame"])
        self.sheets.bind_to_uniform_block(BLOCKS["Sheets"])
        self.lamps.bind_to_uniform_block(BLOCKS["Lamps"])

    def bind_shadows(self) -> None:
        """Bind the key light's shadow maps."""
        for unit, target in zip((NEAR, FAR), self.shadows, strict=True):
            target.depth.use(unit)
            self._raw.use(unit)
            target.depth.use(unit + 1)
            self._test.use(unit + 1)
            target.maps[-1].use(unit + 2)

    def lamp_target(self) -> tuple[Any, Any]:
        """Framebuffer and depth texture of the lamps' shadow maps, side by side; created at the first use."""
        if self._lamp_target is None:
            depth = self.context.depth_texture((MAX_LAMPS * LAMP_TEXELS, LAMP_TEXELS))
            depth.compare_func, depth.filter = "", self._filter("NEAREST", "NEAREST")
            depth.repeat_x = depth.repeat_y = False
            self._lamp_target = (self.context.framebuffer([], depth), depth)
        return self._lamp_target  # type: ignore[no-any-return]

    def draw(self, program: str, items: Sequence[tuple[int, meshes.Mesh]]) -> None:
        """Draw meshes, each with the number of its record."""
        for record, mesh in items:
            if program not in mesh.arrays:
                mesh.arrays[program] = self._vertex_array(program, mesh)
            self._draws.bind_to_uniform_block(BLOCKS["Draw"], record * layout.DRAW_STRIDE, layout.DRAW_STRIDE)
            mesh.arrays[program].render()

    def _vertex_array(self, program: str, mesh: meshes.Mesh) -> Any:
        contents: list[tuple[Any, ...]] = [
            (mesh.vertices, "3f 12x", "in_position")
            if "in_normal" not in self.programs[program]
            else (mesh.vertices, "3f 3f", "in_position", "in_normal")
        ]
        if "in_colour" in self.programs[program]:
            contents.append((mesh.colours, "3f", "in_colour"))
        return self.context.vertex_array(self.programs[program], contents, mesh.indices, index_element_size=4)

    def fill(self, program: str, target: Any, **uniforms: Any) -> None:
        """Run a fragment program on every pixel of a target."""
        if program not in self._screens:
            self._screens[program] = self.context.vertex_array(self.programs[program], [])
        for name, value in uniforms.items():
            self.programs[program][name].value = value
        target.use()
        self._screens[program].render(vertices=3)

    def prefilter(self, source: Any, size: tuple[int, int], roughness: float) -> bytes:
        """A prefiltered level of an environment map for one roughness, as half floats (`shaders/prefilter.frag`)."""
        texture = self._picture(size, 4, "f2")
        self.context.enable_only(self.context.NOTHING)
        source.use(SOURCE)
        self.fill("prefilter", self.context.framebuffer([texture]), roughness=roughness)
        return bytes(texture.read())

    def close(self) -> None:
        """Release the context and all its resources.

        Objects must not be deleted one by one when Python drops them later: OpenGL would delete the objects with the
        same numbers in the context that is current then.
        """
        self.context.gc_mode = None
        with suppress(Exception):  # the context may be lost, which is why it is closed
            self.context.release()

    def check(self, doing: str) -> None:
        """Raise RendererLost if OpenGL has recorded an error since the last check."""
        error = self.context.error
        if error != "GL_NO_ERROR":
            raise RendererLost(f"OpenGL says {error} {doing} ({self.description})")


_devices: list[Device] = []


def device() -> Device:
    """This process's device, created at the first call.

    Raises:
        RendererUnavailable: no device can be created.
    """
    if not _devices:
        _devices.append(Device())
    return _devices[0]


def forget_device() -> None:
    """Release the device, so that the next scene creates a new one: after an error its state is unknown."""
    while _devices:
        _devices.pop().close()
