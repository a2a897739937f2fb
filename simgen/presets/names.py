"""Check the names in a preset that must be rows of a table: parts, textures, materials, renderers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from simgen.presets.layers import suggest
from simgen.presets.meshes import named_kinds
from simgen.scene.config import SceneConfig
from simgen.scene.config.decoys import BLOCKS, CUTOUTS, FASTENERS, MESHES, SORTS, THINGS
from simgen.scene.quiet import quiet_stderr
from simgen.spec.text.yaml_text import KeyPath, Tree, dotted_key


def unknown_names(tree: Tree) -> Iterator[tuple[KeyPath, str]]:
    """The path and a message for each unknown part, texture, material, renderer, ... of a tree, valid or not.

    So they are found when the preset is read, and not when a scene is rendered.
    """
    with quiet_stderr():
        from simgen.assets.materials import MATERIALS, WEAR
        from simgen.assets.parts import PARTS
        from simgen.assets.surroundings import ENVIRONMENTS, FILE
        from simgen.camera.sensor.bayer import DEMOSAIC
        from simgen.renderers import RENDERERS
        from simgen.renderers.textures import TEXTURES
        from simgen.scene.kinds import KINDS as SCENE_KINDS
        from simgen.scene.sampling.lamps import KINDS, MAINS
        from simgen.scene.sampling.passing import PASSING

    imported = [name for name, _ in named_kinds(tree.values)]
    tables: tuple[tuple[str, str, Sequence[str]], ...] = (
        ("part", r"parts\.kinds\.([^.]+)", sorted({*PARTS, *imported})),
        ("kind of decoy", r"decoys\.kinds\.weights\.([^.]+)", (BLOCKS, CUTOUTS, FASTENERS, MESHES, THINGS)),
        ("thing", r"decoys\.things\.weights\.([^.]+)", SORTS),
        ("finish", r"parts\.kinds\.[^.]+\.finishes\.weights\.([^.]+)", sorted(_group(tree, "texture", "finishes"))),
        ("texture", r".*\.texture\.weights\.([^.]+)", sorted(TEXTURES)),
        ("scene kind", r"stage\.kinds\.weights\.([^.]+)", sorted(SCENE_KINDS)),
        ("thing that passes", r"clutter\.passing\.kinds\.weights\.([^.]+)", sorted(PASSING)),
        ("arrangement of sheets", r"stage\.sheets\.weights\.([^.]+)", ("none", "scattered", "covering")),
        ("material", r"matter\.[^.]+\.materials\.weights\.([^.]+)", sorted(MATERIALS)),
        ("wear", r"matter\.[^.]+\.wear\.([^.]+)", sorted(WEAR)),
        ("lamp", r"light\.lamps\.kinds\.weights\.([^.]+)", KINDS),
        ("environment", r"light\.environment\.kinds\.weights\.([^.]+)", sorted([*ENVIRONMENTS, FILE])),
        ("mains", r"light\.flicker\.mains_hz\.weights\.([^.]+)", MAINS),
        ("demosaicing", r"sensor\.demosaic\.weights\.([^.]+)", ("none", *DEMOSAIC)),
    )
    yield from _bad_folder(tree)
    for path, value in _leaves_and_groups(tree.values, ()):
        if path == ("render", "renderer") and isinstance(value, str) and value not in RENDERERS:
            yield path, f"{tree.where(path)}: render.renderer: {_no('renderer', value, sorted(RENDERERS))}"
        dotted = dotted_key(path)
        for what, pattern, known in tables:
            match = re.fullmatch(pattern, dotted)
            if match and match[1] not in known:
                yield path, f"{tree.where(path)}: {dotted}: {_no(what, match[1], known)}"


def missing_sizes(config: SceneConfig, tree: Tree) -> Iterator[str]:
    """A message for each kind of part that is drawn and whose ranges hold none of its standard's sizes."""
    from simgen.scene.sampling.parts import sources

    for kind, knobs in config.parts.kinds.items():
        try:
            if knobs.weight > 0:
                sources(kind, knobs)
        except ValueError as error:
            yield f"{tree.where(('parts', 'kinds', kind))}: {error}"


def useless_decoys(config: SceneConfig, tree: Tree) -> Iterator[str]:
    """A message for each kind of decoy that there is none of, and for decoys that bear a label elsewhere."""
    from simgen.assets.parts.library import packed_part
    from simgen.scene.sampling.decoys import foreign_sizes
    from simgen.scene.sampling.parts import category_of

    if config.decoys is None:
        return
    weights, where = config.decoys.kinds.weights, tree.where(("decoys", "kinds"))
    if weights.get(FASTENERS, 0) > 0 and not foreign_sizes(config.parts):
        yield f"{where}: decoys.kinds: no fasteners are left for decoys: the parts have all their categories"
    if weights.get(MESHES, 0) > 0 and not config.decoys.meshes:
        yield f"{where}: decoys.kinds: meshes needs decoys.meshes, a folder of imported parts (simgen parts add)"
    if weights.get(CUTOUTS, 0) > 0 and not config.decoys.cutouts:
        yield f"{where}: decoys.kinds: cutouts needs decoys.cutouts, a folder of pictures with transparency"
    labelled = {category_of(kind, knobs) for kind, knobs in config.parts.kinds.items()}
    for knob, contents in (("meshes", config.decoys.meshes), ("cutouts", config.decoys.cutouts)):
        for one in contents:
            if (category := packed_part(one.sha256).category) in labelled:
                problem = f"{one.name} is a {category!r}, as parts are"
                problem += ": a part without a label would teach the wrong thing"
                yield f"{tree.where(('decoys', knob))}: decoys.{knob}: {problem}"


def _group(tree: Tree, *path: str) -> dict[str, Any]:
    """The group at a path; empty where there is none."""
    value: Any = tree.values
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _bad_folder(tree: Tree) -> Iterator[tuple[KeyPath, str]]:
    """A message where a preset uses a folder of surroundings and the folder has none."""
    from simgen.assets.surroundings import FILE, folder_files
    from simgen.spec.errors import BadEnvironment

    where = ("light", "environment", "folder")
    share = _group(tree, "light", "environment", "kinds", "weights").get(FILE, 0)
    folder = _group(tree, "light", "environment").get("folder", "")
    if isinstance(share, int | float) and share > 0 and isinstance(folder, str):
        try:
            folder_files(folder)
        except BadEnvironment as error:
            yield where, f"{tree.where(where)}: {dotted_key(where)}: {error}"


def _no(what: str, name: str, known: Sequence[str]) -> str:
    return f"no {what} {name!r}; {suggest(name, known)}there are {', '.join(known)}"


def _leaves_and_groups(values: dict[str, Any], above: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in values.items():
        yield (*above, key), value
        if isinstance(value, dict):
            yield from _leaves_and_groups(value, (*above, key))
