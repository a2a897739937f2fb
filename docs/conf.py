"""Sphinx configuration of the documentation: `make docs` builds it into `out/docs`. Warnings are errors.

The source folder is the root of the repository, so that pages can link to benchmark pages and pictures as GitHub does.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import generate  # noqa: E402

project = "sim2line"
author = "the authors of sim2line"
root_doc = "docs/index"
include_patterns = ["docs/**", "benchmarks/*.md", "CHANGELOG.md", "assets/README.md", "hybrid/weights/runs/*/README.md"]
exclude_patterns = ["docs/ray-cluster.yaml"]
source_suffix = {".md": "markdown"}

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_block"]
myst_heading_anchors = 3
# benchmark pages begin with their date, and links may lead to scripts and reports of the repository
suppress_warnings = ["myst.header"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False}
smartquotes = False  # options begin with two dashes

html_theme = "furo"
html_title = "sim2line"
html_show_copyright = False
html_extra_path = ["root"]  # index.html leads to docs/index.html
templates_path: list[str] = []


def setup(app: object) -> None:
    """Write the pages that come from the code before Sphinx looks for pages."""
    generate.write_all(ROOT / "docs" / "reference" / "generated")
