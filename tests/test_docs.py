"""The documentation's generated pages say what the code says."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_field_of_a_label_has_a_row_with_its_comment(generate: ModuleType) -> None:
    from simgen.spec import frames

    page = generate.format_page()
    for kind in (frames.PartLabel, frames.Frame, frames.Trajectory):
        assert f"## {kind.__name__}\n" in page
        for field in fields(kind):
            assert f"| `{field.name}` |" in page
    row = next(line for line in page.splitlines() if line.startswith("| `depth_m` |"))
    assert row.endswith("| along the optical axis; inf where no surface is |")


def test_every_command_is_on_the_page_with_its_options_and_examples(generate: ModuleType) -> None:
    page = generate.command_page()
    for command in ("simgen render", "simgen camera fit", "hybrid predict", "hybrid export", "sim2real train-sim"):
        assert f"# {command}\n" in page
    assert "| `--scenes` | integer | required |" in page
    assert "hybrid predict --checkpoint out/sim10 --source photos/ --out detections/" in page
    assert "[bold]" not in page


def test_every_knob_is_on_the_page_with_its_unit_and_the_value_of_each_preset(generate: ModuleType) -> None:
    from simgen.presets.knobs import knobs

    page = generate.knob_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == 2 * len(list(knobs())) > 300
    (meaning, values) = [line for line in rows if line.startswith("| `sensor.jpeg_quality` |")]
    assert "1 to 100" in meaning
    assert len(values.strip("|").split("|")) == 1 + len(list((DOCS.parent / "simgen" / "presets").glob("*.yaml")))


def test_a_cell_cannot_break_its_table(generate: ModuleType) -> None:
    assert generate.cell("a | b\nc <d>") == "a \\| b c &lt;d>"


def test_links_between_pages_lead_to_files() -> None:
    root = DOCS.parent
    pages = [*DOCS.rglob("*.md"), root / "README.md"]
    links = [(p, m) for p in pages for m in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", p.read_text("utf-8"))]
    assert len(links) > 40
    assert [(p.name, m) for p, m in links if "generated/" not in m and not (p.parent / m).exists()] == []
