"""Scenes of every preset are those of the last version, unless they were changed on purpose.

`tests/golden/presets.json` holds, for each preset, the hashes of whole scenes, rounded so that they are the same on any
machine. After a change on purpose, write it anew:

    python -m tests.simgen.presets.test_preset_drift
"""

import hashlib
import json
from pathlib import Path

import pytest

from simgen.presets.layers import PRESETS
from simgen.presets.read import load_config
from simgen.scene.config import SceneConfig
from simgen.scene.sampling.sample import sample

GOLDEN = Path(__file__).parents[2] / "golden" / "presets.json"
SEED, SCENES = 7, 3
NAMES = sorted(path.stem for path in PRESETS.glob("*.yaml"))
REWRITE = (
    "if this is on purpose: python -m tests.simgen.presets.test_preset_drift, and commit tests/golden/presets.json"
)


def rounded(value):
    """Floats to seven digits, and none finer than 1e-12: math libraries differ in a double's last bits."""
    if isinstance(value, float):
        return f"{round(value, 12) + 0.0:.7g}"
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def scene_hashes(config: SceneConfig) -> list[str]:
    """Of the first scenes, each with all that it holds."""
    specs = [json.loads(sample(config, SEED, index).to_json()) for index in range(SCENES)]
    return [hashlib.sha256(json.dumps(rounded(one), sort_keys=True).encode()).hexdigest()[:16] for one in specs]


def drift(name: str, config: SceneConfig, golden: dict[str, list[str]]) -> list[str]:
    """One line for each scene that is another than in `golden`."""
    pairs = enumerate(zip(scene_hashes(config), golden.get(name, [""] * SCENES), strict=True))
    return [f"preset {name!r}, seed {SEED}, scene {k}: is another scene; {REWRITE}" for k, (a, b) in pairs if a != b]


def test_every_preset_is_pinned():
    assert sorted(json.loads(GOLDEN.read_text())) == NAMES, REWRITE
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_the_scenes_of_a_preset_are_those_that_were_pinned(name):
    lines = drift(name, load_config(name), json.loads(GOLDEN.read_text()))
    assert not lines, "\n".join(lines)


def test_a_knob_that_moves_a_little_is_named_with_its_preset():
    lines = drift("tiny", load_config("tiny", ["timing.settle_s=0.2000001"]), json.loads(GOLDEN.read_text()))
    assert [line.partition(": ")[0] for line in lines] == [f"preset 'tiny', seed 7, scene {k}" for k in range(SCENES)]


def test_the_last_bit_of_a_number_does_not_count_and_the_seventh_digit_does():
    assert rounded([0.1 + 0.2, 1e-17, -1e-17, 3]) == rounded([0.3, 0.0, 0.0, 3])
    assert rounded({"a": 1.000001}) != rounded({"a": 1.0})


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: scene_hashes(load_config(name)) for name in NAMES}, indent=1) + "\n")
