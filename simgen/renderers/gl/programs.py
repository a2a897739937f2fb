"""The shader programs: from which files they are made, their texture units and uniform blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simgen.renderers.gl import layout
from simgen.spec.types import MAX_LAMPS

SHADERS = Path(__file__).parent / "shaders"
NOTHING_M = 1e30  # depth in the shaders where no surface is
LAMP_TEXELS = 1024  # side of one lamp's shadow map

# Texture units, the same in every program.
ENVIRONMENT, IRRADIANCE, RESPONSE, NEAR, FAR, OPEN, FLOOR_OPEN, STAGE_PATTERN, TILE, SOURCE, SECOND = (
    0, 1, 2, 3, 6, 9, 10, 11, 12, 13, 14,
)  # fmt: skip
WEAR_COLOUR, WEAR_REST, LAMP_MAP = 15, 16, 17
_UNITS = {
    "environment": ENVIRONMENT, "irradiance": IRRADIANCE, "response": RESPONSE, "open_map": OPEN,
    "floor_open": FLOOR_OPEN, "stage_pattern": STAGE_PATTERN, "tile": TILE, "source": SOURCE, "depth_map": SOURCE,
    "normal_map": SECOND, "wear_colour": WEAR_COLOUR, "wear_rest": WEAR_REST, "lamp_map": LAMP_MAP,
}  # fmt: skip
BLOCKS = {"Frame": 0, "Draw": 1, "Sheets": 2, "Lamps": 3}
_PROGRAMS: dict[str, tuple[str, str, tuple[str, ...]]] = {  # vertex shader, fragment shader, macros
    "truth": ("geometry.vert", "truth.frag", ()),
    "nothing": ("screen.vert", "nothing.frag", ()),
    "shadow": ("shadow.vert", "shadow.frag", ()),
    "nearest": ("screen.vert", "nearest.frag", ()),
    "spread": ("screen.vert", "spread.frag", ()),
    "occlusion": ("screen.vert", "occlusion.frag", ()),
    "smooth": ("screen.vert", "smooth.frag", ()),
    "prefilter": ("screen.vert", "prefilter.frag", ()),
    "sky": ("screen.vert", "sky.frag", ()),
    "part": ("geometry.vert", "shade.frag", ("PART", "MAP 0")),
    "stage": ("geometry.vert", "shade.frag", ("STAGE", "MAP 0")),
    "body": ("geometry.vert", "shade.frag", ("BODY", "MAP 1")),
    "floor": ("geometry.vert", "shade.frag", ("FLOOR", "MAP 1")),
}
# Variants of a program, named as "part+matter+lamps". They are compiled at their first use.
_VARIANTS = {"matter": "MATTER", "lathe": "LATHE", "coloured": "COLOURED", "lamps": "LAMPS", "photo": "PHOTO"}
_RARE: dict[str, tuple[str, str, tuple[str, ...]]] = {"lamp": ("lamp.vert", "lamp.frag", ("LAMPS",))}


class Programs(dict[str, Any]):
    """Compiled programs by name, such as "part" or "part+matter+lamps". Variants are compiled at their first use.

    Raises:
        Exception: moderngl's own, where the driver refuses a shader.
    """

    def __init__(self, context: Any) -> None:
        super().__init__({name: _compiled(context, *parts) for name, parts in _PROGRAMS.items()})
        self._context = context

    def __missing__(self, name: str) -> Any:
        base, *variants = name.split("+")
        vertex, fragment, macros = _RARE[base] if base in _RARE else _PROGRAMS[base]
        self[name] = _compiled(self._context, vertex, fragment, (*macros, *(_VARIANTS[word] for word in variants)))
        return self[name]


def _compiled(context: Any, vertex: str, fragment: str, macros: tuple[str, ...]) -> Any:
    """A program with its texture units and blocks bound."""
    constants = [
        *macros, f"MAX_SHEETS {layout.MAX_SHEETS}", f"NOTHING_M {NOTHING_M}", f"MAX_LAMPS {MAX_LAMPS}",
        f"LAMP_TEXELS {LAMP_TEXELS}.0",
    ]  # fmt: skip
    head = "#version 430\n" + "".join(f"#define {line}\n" for line in constants)
    blocks = ("frame.glsl", "lamps.glsl") if "LAMPS" in macros else ("frame.glsl",)
    frame = "".join((SHADERS / name).read_text("utf-8") for name in blocks)
    vertex_shader, fragment_shader = (head + frame + (SHADERS / name).read_text("utf-8") for name in (vertex, fragment))
    program = context.program(vertex_shader=vertex_shader, fragment_shader=fragment_shader)
    shadow = FAR if "MAP 1" in macros else NEAR
    units = {**_UNITS, "shadow_map": shadow, "shadow_test": shadow + 1, "casters": shadow + 2}
    for name in program:
        if name in units:
            program[name].value = units[name]
        elif name in BLOCKS:
            program[name].binding = BLOCKS[name]
    return program
