"""The runs that tests of the pipelines share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.scripts import SMALL, done, photographs, script


@pytest.fixture(scope="session")
def line(tiny_data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three runs that a report compares, three steps each."""
    out = tmp_path_factory.mktemp("line")
    photos = photographs(out / "photos")
    photographs(out / "test-photos", seed=1)
    done(script("train_sim", "--data", tiny_data_set, "--out", out / "sim", "--holdout", 0.4, *SMALL))
    tune = ["--data", photos, "--shots", 3, *SMALL]
    done(script("finetune_real", "--checkpoint", out / "sim", *tune, "--out", out / "tuned"))
    done(script("finetune_real", "--checkpoint", "none", *tune, "--out", out / "scratch"))
    return out
