"""Reference pages from the code: every field of the labels and specs, every preset.

Sphinx calls `write_all` before each build (`docs/conf.py`). The pages are not in the repository.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

WORDS: dict[Any, str] = {str: "text", Path: "path", int: "integer", float: "number"}
COMPLETION = {"install_completion", "show_completion"}


def comments(module: ModuleType) -> dict[tuple[str, str], str]:
    """The comment behind each field of the classes of a module, by (class, field)."""
    source = inspect.getsource(module)
    behind = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    return {
        (node.name, line.target.id): behind[line.end_lineno]
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.end_lineno in behind
    }


def cell(text: str) -> str:
    """A text that can stand in a cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def class_tables(module: ModuleType) -> Iterator[str]:
    """A section for each dataclass of a module: its docstring, and a table of its fields."""
    said = comments(module)
    for name, kind in vars(module).items():
        if not (is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__):
            continue
        yield f"## {name}\n"
        if (text := inspect.getdoc(kind)) and not text.startswith(f"{name}("):
            yield cell(text.split("\n\n")[0]) + "\n"
        yield "| field | type | meaning |\n|---|---|---|"
        for field in fields(kind):
            yield f"| `{field.name}` | `{cell(str(field.type))}` | {cell(said.get((name, field.name), ''))} |"
        yield ""


def format_page() -> str:
    """The format of a data set: the layout of its files, the labels, the spec."""
    from simgen.dataset.format import reader
    from simgen.spec import frames, scene

    layout = inspect.getdoc(reader) or ""
    return "\n".join(
        [
            "# Format of a data set\n",
            "The files, then every field of the JSON in a shard. Units are in the names: `_m` metres, `_px` pixels, "
            "`_rad` radians, `_s` seconds. A pose `world_from_part` maps points of the part into the world; "
            "rotations are quaternions (x, y, z, w). Boxes are (x_min, y_min, x_max, y_max), max exclusive.\n",
            "```text",
            layout,
            "```\n",
            "Below, the labels of a clip (`labels` in its JSON) come first, then its spec (`spec`).\n",
            *class_tables(frames),
            *class_tables(scene),
        ]
    )


def command_page() -> str:
    """Every command with its options, as its `--help` says it."""
    import typer

    import hybrid.cli
    import pipelines.cli
    import simgen.cli.common

    apps = {"simgen": simgen.cli.common.app, "hybrid": hybrid.cli.app, "sim2real": pipelines.cli.app}
    lines = [
        "# Commands\n",
        "`simgen` renders and checks data sets, `hybrid` runs detectors, `sim2real` trains and reports. "
        "They also run as modules: `python -m simgen`, `python -m hybrid`, `python -m pipelines.train_sim`.\n",
    ]
    for name, app in apps.items():
        lines += command_lines(typer.main.get_command(app), (name,))
    return "\n".join(lines)


def command_lines(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The sections of a command and of its subcommands."""
    yield f"{'#' * (len(path) + 1)} {' '.join(path)}\n"
    yield inspect.cleandoc(command.help or "").replace("\b", "") + "\n"
    options = [p for p in command.params if not getattr(p, "hidden", False) and p.name not in {"help", *COMPLETION}]
    if options:
        yield "| option | value | default | meaning |\n|---|---|---|---|"
    for option in options:
        yield option_row(option)
    yield ""
    if examples := [
        re.sub(r"\[/?\w*\]", "", line).strip()
        for line in (command.epilog or "").splitlines()
        if line.strip() not in ("", "examples:")
    ]:
        yield "```text\n" + "\n".join(examples) + "\n```\n"
    for name, inner in getattr(command, "commands", {}).items():
        yield from command_lines(inner, (*path, name))


def value_of(option: Any) -> str:
    """The kind of an option's value in one word. Typer has its own classes since 0.29, and Click's before."""
    if descriptor := getattr(option, "type_descriptor", None):
        return WORDS.get(descriptor.annotation, getattr(descriptor.annotation, "__name__", "value"))
    return str(option.type.name)


def option_row(option: Any) -> str:
    """A row of the table of options."""
    argument = option.param_type_name == "argument"
    names = option.name.upper() if argument else ", ".join([*option.opts, *option.secondary_opts])
    value = "" if getattr(option, "is_flag", False) else value_of(option)
    shown, default = getattr(option, "show_default", False), option.default
    if isinstance(shown, str):
        default = shown
    elif option.required:
        default = "required"
    elif default is None or default is False or default == [] or callable(default):
        default = ""
    return f"| `{names}` | {cell(value)} | {cell(str(default))} | {cell(getattr(option, 'help', '') or '')} |"


def knob_page() -> str:
    """Every knob of a preset with unit, bounds and meaning, and its value in each preset that comes with simgen."""
    from itertools import groupby

    from simgen.presets.knobs import knobs
    from simgen.presets.layers import PRESETS
    from simgen.presets.read import load_config

    configs = {path.stem: load_config(path.stem) for path in sorted(PRESETS.glob("*.yaml"))}
    lines = [
        "# Knobs of a preset\n",
        "A knob is a key of a preset's YAML file, and of `--set KEY=VALUE`. A range is written `{low: 1, high: 2}`; "
        "a plain number is a range of this one value. `*` in a key stands for a name of your choice, such as a kind of "
        "part. Each group has a table of meanings and a table of the values in the presets.\n",
    ]
    for group, rows in groupby(knobs(), key=lambda row: row.path.split(".")[0]):
        table = list(rows)
        lines += [f"## {group}\n", "| knob | type | unit | bounds | default | meaning |\n|---|---|---|---|---|---|"]
        lines += [
            f"| `{row.path}` | {row.type} | {row.unit} | {row.bounds} | {cell(row.default)} | {cell(row.meaning)} |"
            for row in table
        ]
        lines += ["", f"| knob | {' | '.join(configs)} |", "|---" * (len(configs) + 1) + "|"]
        lines += [
            f"| `{row.path}` | {' | '.join(cell(row.value_in(config)) for config in configs.values())} |"
            for row in table
        ]
        lines.append("")
    return "\n".join(lines)


def write_all(folder: Path) -> None:
    """Write every generated page. A page that would not change is left, so that Sphinx builds it only once."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"format.md": format_page(), "commands.md": command_page(), "knobs.md": knob_page()}.items():
        page = folder / name
        if not page.is_file() or page.read_text("utf-8") != text:
            page.write_text(text, "utf-8")
