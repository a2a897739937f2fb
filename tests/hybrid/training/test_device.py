"""The device of a process under torchrun: its environment, what processes tell each other, and one that is lost."""

from __future__ import annotations

import pytest
import torch
from torch import distributed as dist

from hybrid.core.errors import RunError
from hybrid.training import device as module
from hybrid.training.device import TrainingDevice, training_device

CPU = torch.device("cpu")
ALONE, SECOND = TrainingDevice(CPU, 0, 1), TrainingDevice(CPU, 1, 2)


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(key, raising=False)
    assert training_device("cpu") == ALONE
    assert ALONE.is_first
    assert not SECOND.is_first


@pytest.mark.parametrize("key", ["RANK", "WORLD_SIZE"])
@pytest.mark.parametrize("value", ["-1", "", "1.5", "two", "²"])
def test_an_environment_that_is_not_torchrun_s_is_named(key: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(RunError, match=rf"the environment's {key} is '{value}'; torchrun sets it to a whole number"):
        training_device("cpu")


def test_processes_that_do_not_meet_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(backend: str) -> None:
        assert backend == "gloo"  # nccl has no CPU
        raise ValueError("no MASTER_ADDR " + "x" * 1000)

    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr(module.dist, "init_process_group", refuse)
    with pytest.raises(RunError, match="the 3 processes of this training do not meet: no MASTER_ADDR") as said:
        training_device("cpu")
    assert len(str(said.value)) < 300


def test_only_the_first_process_decides_and_the_others_hear_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [ALONE.first_decides(lambda answer=answer: answer) for answer in (True, False)] == [True, False]

    def never() -> bool:
        raise AssertionError("the second process decides nothing")

    for told in (0, 1):
        monkeypatch.setattr(module.dist, "broadcast", lambda tensor, source, told=told: tensor.fill_(told))
        assert SECOND.first_decides(never) is bool(told)


def test_losses_are_means_over_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = {"box": torch.tensor(1.0, requires_grad=True), "score": torch.tensor(3.0)}
    assert ALONE.means(losses) == losses
    others = torch.tensor([2.0, 5.0])  # of the first process
    monkeypatch.setattr(module.dist, "all_reduce", lambda values: values.add_(others))
    means = SECOND.means(losses)
    assert {name: float(value) for name, value in means.items()} == {"box": 1.5, "score": 4.0}
    assert not means["box"].requires_grad


@pytest.mark.parametrize("error", [RuntimeError("Connection reset by peer"), dist.DistBackendError("x")])
def test_a_lost_process_is_told_by_those_that_are_left(error: RuntimeError) -> None:
    with (
        pytest.raises(RunError, match=r"another of the 2 processes .* so process 1 ends too"),
        SECOND.losses_of_processes_told(),
    ):
        raise error
    with pytest.raises(type(error)) as said, ALONE.losses_of_processes_told():  # alone, nobody can be lost
        raise error
    assert said.value is error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), RunError("gloo: told already"), KeyError("gloo")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as said, SECOND.losses_of_processes_told():
        raise error
    assert said.value is error
