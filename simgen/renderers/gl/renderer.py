"""Physically based rendering through OpenGL without a window system: on a GPU, or on Mesa's CPU rasterizer.

A frame is drawn in passes: the key light's two shadow maps; the ground truth (depth, ids and normals at the pixels'
centres); ambient occlusion from it; and light (`gl/shaders/shade.frag`, which names its sources). `supersample` 1
shades one sample per pixel; 2 takes four coverage samples and shades each surface in a pixel once (multisampling); 3
and 4 do so at twice the resolution. The ground truth is the same for all.

The scene, the camera, and what a white card gives back are as in `simgen.renderers.tiny.renderer`. Metal reflects the
spec's environment; diffuse surfaces get the spec's ambient light, also where the environment's irradiance differs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Float64

from simgen.assets.light import checked_lamps
from simgen.renderers.camera_view import CameraView, visible_on_plane
from simgen.renderers.gl import environment
from simgen.renderers.gl.blocks import frame_block, scene_block, sheets_block
from simgen.renderers.gl.device import Device, RenderTarget, device, forget_device
from simgen.renderers.gl.lamps import lamp_block
from simgen.renderers.gl.programs import (
    ENVIRONMENT,
    FLOOR_OPEN,
    IRRADIANCE,
    LAMP_MAP,
    LAMP_TEXELS,
    NOTHING_M,
    OPEN,
    RESPONSE,
    SECOND,
    SOURCE,
    STAGE_PATTERN,
    TILE,
    WEAR_COLOUR,
    WEAR_REST,
)
from simgen.renderers.gl.scene import DrawList, draw_list, place
from simgen.renderers.gl.shadows import Cascade, cascade
from simgen.renderers.tiles import tile_key
from simgen.spec.errors import RendererLost
from simgen.spec.frames import Frame, Trajectory
from simgen.spec.scene import SceneSpec
from simgen.spec.types import CLUTTER

_UNREAD = -(2**31)  # never an id


def render(spec: SceneSpec, trajectory: Trajectory, *, lit: bool = True) -> Iterator[Frame]:
    """Frames of linear light at the camera's resolution; not `lit` they are black, and hold the truth alone.

    Raises:
        RendererUnavailable: no OpenGL context can be created here.
        RendererLost: OpenGL failed; the next call starts with a new context.
        ValueError: a number of a material or a lamp is out of its range.
    """
    draws = draw_list(spec)
    checked_lamps(spec)
    try:
        scene = _Scene(spec, draws, device())
        for frame in range(spec.frames):
            yield scene.frame(trajectory, frame, lit=lit)
    except Exception:  # also moderngl's when memory is exhausted: the device's state is unknown
        forget_device()
        raise


def describe() -> str:
    """Vendor, renderer and version of the OpenGL that draws.

    Raises:
        RendererUnavailable: no OpenGL context can be created here.
    """
    return device().description


class _Scene:
    """The GPU resources that a scene's frames share."""

    def __init__(self, spec: SceneSpec, draws: DrawList, gpu: Device) -> None:
        self._spec, self._draws, self._gpu = spec, draws, gpu
        self._meshes = [gpu.meshes[item.mesh] for item in self._draws.items]
        self._lit_meshes = [gpu.meshes[item.lit_mesh] for item in self._draws.items]
        self._tiles = [gpu.tiles[item.tile] for item in self._draws.items]
        self._wear = [gpu.wear[item.wear] if item.wear else () for item in self._draws.items]
        self._variant = "+lamps" if spec.light.lamps else ""  # of the programs
        self._photo = spec.stage.photo is not None
        self._stage_tile = gpu.tiles[tile_key(spec.stage.top)]
        self._sky, self._irradiance = gpu.skies[environment.sky_of(spec.light)]
        self._floor_open = gpu.texture(environment.floor_openness(spec))
        self._target = gpu.targets[(spec.camera.width_px, spec.camera.height_px, spec.render.supersample)]
        self._constants, self._sheets = scene_block(spec), sheets_block(spec).tobytes()

    def frame(self, trajectory: Trajectory, frame: int, *, lit: bool = True) -> Frame:
        """Draw and read a frame; not `lit`, its light is 0."""
        gpu, spec = self._gpu, self._spec
        place(self._draws, trajectory, frame)
        view = CameraView.of(spec, spec.camera.world_from_camera[frame], supersample=1)
        cascades = _cascades(spec, self._draws, view)
        shift_m = trajectory.surface_shift_m(frame)
        gpu.frame.write(frame_block(spec, self._constants, view, cascades, shift_m).tobytes())
        gpu.sheets.write(self._sheets)
        gpu.write_draws(self._draws.rows)
        if self._variant:
            gpu.lamps.write(lamp_block(spec, self._draws.spheres(self._draws.casters - 1)).tobytes())
        gpu.bind_blocks()
        if lit:
            self._draw_shadows(cascades)
            self._draw_lamps()
        self._draw_truth()
        if lit:
            self._draw_occlusion()
            self._draw_light()
        return self._read(frame, lit)

    def _draw_shadows(self, cascades: tuple[Cascade, Cascade]) -> None:
        """Draw the shadow maps from back faces, so that no lit face shadows itself."""
        gpu, gl = self._gpu, self._gpu.context
        parts, standing = len(self._spec.solids), self._draws.casters
        ranges = (range(standing - 1), range(parts, standing))  # the stage's sides cast shadows on the floor alone
        for map_, (target, casters) in enumerate(zip(gpu.shadows, ranges, strict=True)):
            gl.enable_only(gl.DEPTH_TEST | gl.CULL_FACE)
            gl.depth_func, gl.front_face, gl.cull_face = "<=", "ccw", "front"
            target.picture.use()
            target.picture.clear(depth=1.0)
            gpu.programs["shadow"]["cascade"].value = map_
            gpu.draw("shadow", [(i, self._lit_meshes[i]) for i in casters])
            gl.enable_only(gl.NOTHING)
            target.depth.compare_func = ""
            sources = (target.depth, *target.maps)
            reach = cascades[map_].reach_coarse
            sources[0].use(SOURCE)
            gpu.fill("nearest", target.passes[0])
            sources[1].use(SOURCE)
            gpu.fill("nearest", target.passes[1])
            sources[2].use(SOURCE)
            gpu.fill("spread", target.passes[2], reach=reach, axis=(1, 0))
            sources[3].use(SOURCE)
            gpu.fill("spread", target.passes[3], reach=reach, axis=(0, 1))

    def _draw_lamps(self) -> None:
        """Draw the lamps' shadow maps side by side, from back faces as for the key light."""
        gpu, gl = self._gpu, self._gpu.context
        if not self._variant:
            return
        picture, depth = gpu.lamp_target()
        gl.enable_only(gl.DEPTH_TEST | gl.CULL_FACE)
        gl.depth_func, gl.front_face, gl.cull_face = "<=", "cw", "front"  # its maps are mirrored
        picture.viewport = (0, 0, *picture.size)
        picture.use()
        picture.clear(depth=1.0)
        for lamp in range(len(self._spec.light.lamps or ())):
            picture.viewport = (lamp * LAMP_TEXELS, 0, LAMP_TEXELS, LAMP_TEXELS)
            gpu.programs["lamp"]["lamp"].value = lamp
            gpu.draw("lamp", [(i, self._lit_meshes[i]) for i in range(self._draws.casters - 1)])
        depth.use(LAMP_MAP)

    def _draw_truth(self) -> None:
        """Draw depth, ids and normals at the pixels' centres."""
        gpu, gl = self._gpu, self._gpu.context
        self._target.truth.use()
        self._target.truth.clear(depth=1.0)
        gl.enable_only(gl.NOTHING)
        gpu.fill("nothing", self._target.truth)
        gl.enable_only(gl.DEPTH_TEST | gl.CULL_FACE)
        gl.depth_func, gl.front_face, gl.cull_face = "<", "cw", "back"  # images are flipped: row 0 is the top
        gpu.draw("truth", list(enumerate(self._meshes)))

    def _draw_occlusion(self) -> None:
        """Compute ambient occlusion at half the resolution."""
        gpu, target = self._gpu, self._target
        gpu.context.enable_only(gpu.context.NOTHING)
        target.depth.use(SOURCE)
        target.normals.use(SECOND)
        gpu.fill("occlusion", target.open_raw)
        target.open_raw_map.use(SOURCE)
        gpu.fill("smooth", target.open)

    def _draw_light(self) -> None:
        """Shade all items, then the sky behind them."""
        gpu, gl, target = self._gpu, self._gpu.context, self._target
        for unit, texture in (
            (ENVIRONMENT, self._sky), (IRRADIANCE, self._irradiance), (RESPONSE, gpu.response),
            (OPEN, target.open_map), (FLOOR_OPEN, self._floor_open), (STAGE_PATTERN, self._stage_tile),
        ):  # fmt: skip
            texture.use(unit)
        gpu.bind_shadows()
        target.colour.use()
        multisampled = target.colour is not target.resolved
        if multisampled:
            target.colour.clear(depth=1.0)
        scale = (1 / target.factor, 1 / target.factor)
        gl.enable_only(gl.DEPTH_TEST | gl.CULL_FACE)
        gl.depth_func = "<" if multisampled else "=="
        for program in dict.fromkeys(item.program for item in self._draws.items):
            name = program + self._variant
            if "truth_scale" in gpu.programs[name]:
                gpu.programs[name]["truth_scale"].value = scale
            for record in [i for i, item in enumerate(self._draws.items) if item.program == program]:
                self._tiles[record].use(TILE)
                for unit, texture in zip((WEAR_COLOUR, WEAR_REST), self._wear[record], strict=False):
                    texture.use(unit)
                gpu.draw(name, [(record, self._lit_meshes[record])])
        gl.enable_only(gl.DEPTH_TEST)
        gl.depth_func = "<="
        if self._photo:
            gpu.fill("sky+photo", target.colour)
        else:
            gpu.fill("sky", target.colour, truth_scale=scale)
        if multisampled:
            gl.copy_framebuffer(target.resolved, target.colour)

    def _read(self, frame: int, lit: bool) -> Frame:
        """Read a frame back from the GPU."""
        camera, target = self._spec.camera, self._target
        shape, channels = (camera.height_px, camera.width_px), 4 if self._photo else 3
        depth, ids = np.empty(shape, np.float32), np.full(shape, _UNREAD, np.int32)
        target.truth.read_into(depth, components=1, attachment=0, dtype="f4")
        target.truth.read_into(ids, components=1, attachment=1, dtype="i4")
        linear = _radiance(target, shape)[..., :channels] if lit else np.zeros((*shape, channels), np.float32)
        normals = np.frombuffer(target.normals.read(), np.float16).reshape(*shape, 4)[..., :3].astype(np.float32)
        self._gpu.check(f"in frame {frame} of scene {self._spec.index}")
        if ids.min() < CLUTTER or not np.isfinite(linear).all():
            raise RendererLost(
                f"frame {frame} of scene {self._spec.index} came back unwritten: the OpenGL context is lost "
                f"({self._gpu.description})"
            )
        depth[depth >= NOTHING_M / 2] = np.inf
        return Frame(linear=linear, depth_m=depth, ids=ids, normals=normals)


def _radiance(target: RenderTarget, shape: tuple[int, int]) -> Float32[np.ndarray, "h w 4"]:
    if target.factor > 1:
        target.radiance.build_mipmaps(0, 1)
    data = target.radiance.read(level=1 if target.factor > 1 else 0)
    return np.frombuffer(data, np.float16).reshape(*shape, 4).astype(np.float32)


def _cascades(spec: SceneSpec, draws: DrawList, view: CameraView) -> tuple[Cascade, Cascade]:
    """The key light's shadow maps: of the visible stage top and the parts, and of all bodies."""
    toward, cone = np.asarray(spec.light.direction, np.float64), float(np.tan(spec.light.source_angle_rad / 2))
    parts, standing = len(spec.solids), draws.casters
    half = np.asarray(spec.stage.size_m, np.float64) / 2
    tops = draws.rows["world_from_local"][:parts, 3, 2] + draws.radii_m[:parts]
    top = float(np.clip(tops.max(initial=0.01), 0.01, 0.4))
    low, high = visible_on_plane(view, 0.0, half)
    higher = visible_on_plane(view, top, half)
    low, high = np.minimum(low, higher[0]), np.maximum(high, higher[1])
    near = cascade(toward, _corners((*low, 0.0), (*high, top)), draws.spheres(standing - 1), cone)

    spheres = draws.spheres(standing)
    bounds = [spheres.centres_m[parts:] + sign * spheres.radii_m[parts:, None] for sign in (-1, 1)]
    floor_m = -spec.stage.floor_below_m
    wide = np.full(2, environment.FLOOR_HALF_M)
    on_floor = visible_on_plane(view, floor_m, wide)
    all_low = np.minimum(bounds[0].min(axis=0), (*on_floor[0], floor_m))
    all_high = np.maximum(bounds[1].max(axis=0), (*on_floor[1], 0.0))
    return near, cascade(toward, _corners(tuple(all_low), tuple(all_high)), spheres, cone)


def _corners(low: tuple[float, ...], high: tuple[float, ...]) -> Float64[np.ndarray, "8 3"]:
    grid = np.meshgrid(*zip(low, high, strict=True), indexing="ij")
    return np.stack([g.ravel() for g in grid], axis=1).astype(np.float64)
