"""Two processes train as one does with the whole batch; one of them writes; a killed one ends the run in words."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
from pathlib import Path

import pytest

from hybrid.training.loop import train
from hybrid.weights.checkpoint import read_tensors
from tests.hybrid.photos import coco_document, write_coco
from tests.hybrid.training.one_of_two import PLAN, network, one_of_two, source, warming


def by_two(file: Path, folder: Path, dies_at: int = 0) -> list[int | None]:
    """Train in two processes, forked: torch is loaded already. The exit status of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=one_of_two, args=(rank, file, folder, dies_at)) for rank in (0, 1)]
    for process in running:
        process.start()
    for process in running:
        process.join(timeout=300)
        process.kill()
    return [process.exitcode for process in running]


def photos(folder: Path) -> Path:
    """Six photos of one to four boxes: the parts of a batch have different numbers of them."""
    document = coco_document(6, (64, 48), boxes=4)
    document["annotations"] = [a for a in document["annotations"] if a["id"] % 4 <= a["image_id"] % 4]
    return write_coco(folder, document)


def rows(folder: Path) -> list[dict[str, float]]:
    """The losses of each step."""
    stated = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in row if name not in ("seconds_per_step", "data_wait_share")} for row in stated]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_two_processes_train_as_one_and_the_run_survives_the_loss_of_one(tmp_path: Path) -> None:
    file, two = photos(tmp_path / "photos"), tmp_path / "two"
    assert by_two(file, two, dies_at=3) == [2, -9]  # the second is killed in the third step
    said = (tmp_path / "said-0").read_text()
    assert "another of the 2 processes of this training has ended, so process 0 ends too" in said
    assert not (two / "run.json").exists()
    assert [row["step"] for row in rows(two)] == [1, 2]

    assert by_two(file, two) == [0, 0]
    assert json.loads((two / "run.json").read_text())["devices"] == 2
    whole = train(network(), source(file), PLAN, tmp_path / "whole", warming=warming(file)).folder
    one, other = (json.loads((run / "run.json").read_text())["warm_up"] for run in (whole, two))
    assert [other.pop(key) for key in ("first_loss", "last_loss")] == pytest.approx(
        [one.pop(key) for key in ("first_loss", "last_loss")], rel=1e-4
    )
    assert one == other == {"name": "masked-pictures", "steps": 2, "frames": 6}
    assert [row["step"] for row in rows(two)] == [1, 2, 3, 4]
    for one, other in zip(rows(whole), rows(two), strict=True):
        assert other.pop("grad_norm") == pytest.approx(one.pop("grad_norm"), rel=0.01)
        assert other == pytest.approx(one, rel=1e-3)
    assert {"loss", "score", "denoising/box", "proposals/score", "clip"} <= rows(whole)[0].keys()
    first, second = (read_tensors(run / "raw.safetensors")[0] for run in (whole, two))
    start = network().state_dict()
    moved, apart = (sum(float((first[k] - x[k]).abs().sum()) for k in first) for x in (start, second))
    assert apart < 0.05 * moved  # AdamW's first steps make much of the sign of a gradient near 0
