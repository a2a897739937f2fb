"""What a process keeps on its graphics processor: a context, programs, and bounded stores of meshes, tiles, targets."""

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
from simgen.spec.scene import MAX_LAMPS, LightSpec

SAMPLES = 4  # coverage samples of a multisampled pixel: what OpenGL 4.3 promises at least
MAX_MESHES, MAX_TILES, MAX_WEAR, MAX_SKIES, MAX_TARGETS = 512, 128, 32, 8, 3
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Store(Generic[K, V]):
    """The `limit` values that were used last, each made once. What is dropped goes when nothing uses it any more."""

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
class Target:
    """Pictures to draw into, for one size and sampling."""

    truth: Any  # depth, ids, normals; a pixel's centre alone
    depth: Any
    normals: Any
    open_raw: Any
    open_raw_map: Any
    open: Any
    open_map: Any
    colour: Any
    resolved: Any  # one sample a pixel
    radiance: Any
    factor: int  # pixels of `colour` along each of the camera's


@dataclass(frozen=True)
class ShadowTarget:
    picture: Any
    depth: Any
    passes: tuple[Any, ...]  # 256, 64, 64 and 64 texels wide
    maps: tuple[Any, ...]


class Device:
    """One context and what is kept on it.

    Raises:
        RendererUnavailable: there is no context to be had, or a shader is refused.
    """

    def __init__(self) -> None:
        self.context = create_context()
        self.description = describe(self.context)
        self._screens: dict[str, Any] = {}
        try:
            self.programs = Programs(self.context)
        except Exception as error:  # moderngl's own
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
        self.targets: Store[tuple[int, int, int], Target] = Store(MAX_TARGETS, lambda key: self._target(*key))
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

    # ------------------------------------------------------------------------------------------------- making

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
            ValueError: it is larger than this OpenGL takes.
        """
        self._check_size(values.shape[1::-1])
        channels = values.shape[2] if values.ndim == 3 else 1
        data = np.ascontiguousarray(values, np.float16).tobytes()
        made = self.context.texture(values.shape[1::-1], channels, data, dtype="f2", alignment=2)
        made.repeat_x, made.repeat_y = wrap
        if mipmaps:
            made.build_mipmaps(0, last_level)
        made.filter = self._filter("LINEAR_MIPMAP_LINEAR" if mipmaps else "LINEAR", "LINEAR")
        return made

    def _picture(self, size: tuple[int, int], channels: int, dtype: str) -> Any:
        """A texture to draw into and to read texel by texel."""
        made = self.context.texture(size, channels, dtype=dtype)
        made.filter = self._filter("NEAREST", "NEAREST")
        made.repeat_x = made.repeat_y = False
        return made

    def _target(self, width: int, height: int, supersample: int) -> Target:
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
        return Target(
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
        """The records of all that will be drawn, one for each item."""
        if self._draws.size < rows.nbytes:
            self._draws = self.context.buffer(reserve=2 * rows.nbytes, dynamic=True)
        self._draws.write(rows.tobytes())

    def bind_blocks(self) -> None:
        self.frame.bind_to_uniform_block(BLOCKS["Frame"])
        self.sheets.bind_to_uniform_block(BLOCKS["Sheets"])
        self.lamps.bind_to_uniform_block(BLOCKS["Lamps"])

    def bind_shadows(self) -> None:
        for unit, target in zip((NEAR, FAR), self.shadows, strict=True):
            target.depth.use(unit)
            self._raw.use(unit)
            target.depth.use(unit + 1)
            self._test.use(unit + 1)
            target.maps[-1].use(unit + 2)

    def lamp_target(self) -> tuple[Any, Any]:
        """Framebuffer and depth texture of what lamps see, side by side; made when it is first asked for."""
        if self._lamp_target is None:
            depth = self.context.depth_texture((MAX_LAMPS * LAMP_TEXELS, LAMP_TEXELS))
            depth.compare_func, depth.filter = "", self._filter("NEAREST", "NEAREST")
            depth.repeat_x = depth.repeat_y = False
            self._lamp_target = (self.context.framebuffer([], depth), depth)
        return self._lamp_target  # type: ignore[no-any-return]

    def draw(self, program: str, items: Sequence[tuple[int, meshes.Mesh]]) -> None:
        """Meshes, each with the number of its record."""
        for record, mesh in items:
            if program not in mesh.arrays:
                mesh.arrays[program] = self._vertex_array(program, mesh)
            self._draws.bind_to_uniform_block(BLOCKS["Draw"], record * layout.DRAW_STRIDE, layout.DRAW_STRIDE)
            mesh.arrays[program].render()

    def _vertex_array(self, program: str, mesh: meshes.Mesh) -> Any:
        content = (
            (mesh.vertices, "3f 12x", "in_position")
            if "in_normal" not in self.programs[program]
            else (mesh.vertices, "3f 3f", "in_position", "in_normal")
        )
        return self.context.vertex_array(self.programs[program], [content], mesh.indices, index_element_size=4)

    def fill(self, program: str, target: Any, **uniforms: Any) -> None:
        """Run a program once for every pixel of a target."""
        if program not in self._screens:
            self._screens[program] = self.context.vertex_array(self.programs[program], [])
        for name, value in uniforms.items():
            self.programs[program][name].value = value
        target.use()
        self._screens[program].render(vertices=3)

    def prefilter(self, source: Any, size: tuple[int, int], roughness: float) -> bytes:
        """A level of an environment: half floats, by the shader that says what they are."""
        made = self._picture(size, 4, "f2")
        self.context.enable_only(self.context.NOTHING)
        source.use(SOURCE)
        self.fill("prefilter", self.context.framebuffer([made]), roughness=roughness)
        return bytes(made.read())

    def close(self) -> None:
        """Let go of the context and all that is on it.

        Its objects must not be deleted one by one when Python drops them later: OpenGL would delete what has their
        numbers in the context that is current by then.
        """
        self.context.gc_mode = None
        with suppress(Exception):  # the context may be lost, which is why it is closed
            self.context.release()

    def check(self, doing: str) -> None:
        """Raises RendererLost if OpenGL noted an error since the last check."""
        error = self.context.error
        if error != "GL_NO_ERROR":
            raise RendererLost(f"OpenGL says {error} {doing} ({self.description})")


_kept: list[Device] = []


def device() -> Device:
    """This process's device, made when it is first asked for.

    Raises:
        RendererUnavailable: there is none to be had.
    """
    if not _kept:
        _kept.append(Device())
    return _kept[0]


def forget_device() -> None:
    """Let go of the device, so that the next scene makes a new one: after an error nothing on it can be relied on."""
    while _kept:
        _kept.pop().close()
