"""An OpenGL context without a window system, through EGL: on a GPU without a display, or on Mesa's CPU rasterizer."""

from __future__ import annotations

from typing import Any

from simgen.spec.errors import RendererUnavailable

OPENGL = 430  # the minimum version: texture sizes in shaders, textureGather, uniform blocks
LIBRARIES: dict[str, str] = {}  # names of the libraries to open in place of the default ones
HELP = "install a GPU driver with EGL, or Mesa's CPU rasterizer: apt-get install libegl1 libgl1-mesa-dri"


def create_context() -> Any:
    """A new moderngl context.

    Raises:
        RendererUnavailable: no EGL, no driver, or no OpenGL 4.3.
    """
    try:
        import moderngl
    except ImportError as error:
        raise RendererUnavailable(f"moderngl cannot be imported ({error}): pip install moderngl") from error
    try:
        create: Any = moderngl.create_standalone_context  # its annotations do not match its documentation
        context = create(backend="egl", require=OPENGL, **LIBRARIES)
    except Exception as error:  # moderngl and its loader raise bare Exceptions
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RendererUnavailable(f"no OpenGL {OPENGL / 100:.1f} context through EGL ({reason}); {HELP}") from error
    context.gc_mode = "auto"
    return context


def describe(context: Any) -> str:
    """Vendor, renderer and version of an OpenGL context."""
    info = context.info
    return ", ".join(str(info[name]) for name in ("GL_VENDOR", "GL_RENDERER", "GL_VERSION"))
