"""What to install for an optional feature. The one place that knows the name of the distribution."""

from __future__ import annotations

DISTRIBUTION = "sim2line"  # on PyPI `simgen` is another project; the import names stay simgen, hybrid, pipelines


def install_hint(extra: str) -> str:
    """The command that installs an extra of `pyproject.toml`.

    >>> install_hint("ray")
    'pip install "sim2line[ray]"'
    """
    return f'pip install "{DISTRIBUTION}[{extra}]"'
