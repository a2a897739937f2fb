"""Several processes on one batch: their random numbers and divisors together are those of one process."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core import processes
from hybrid.core.environment import is_alone, is_first_process
from hybrid.core.processes import Draws, as_draws, divisor

CPU = torch.device("cpu")


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(0, 9), st.integers(1, 4), st.integers(0, 3), st.lists(st.integers(0, 3), max_size=2))
def test_the_parts_of_a_batch_draw_what_the_whole_batch_draws(
    seed: int, parts: int, rows: int, shape: list[int]
) -> None:
    """Twice in a row: every part's generator is as far as that of the whole batch."""
    whole = Draws(generator(seed))
    each = [Draws(generator(seed), part, parts) for part in range(parts)]
    for _ in range(2):
        drawn = torch.cat([one.rand(rows, *shape) for one in each])
        assert torch.equal(drawn, whole.rand(rows * parts, *shape))


def test_without_a_generator_the_numbers_are_those_of_torch() -> None:
    torch.manual_seed(3)
    drawn = as_draws(None).rand(2, 2)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(2, 2))
    second = Draws(generator(0), 1, 2)
    assert as_draws(second) is second
    assert as_draws(second.generator).parts == 1


def test_one_process_divides_by_its_count_but_never_by_zero() -> None:
    assert [divisor(count, CPU) for count in (0, 1, 7)] == [1.0, 1.0, 7.0]
    assert Draws(None, least_most=5).most(3, CPU) == 5
    assert Draws(None, least_most=5).most(8, CPU) == 8


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_the_mean_over_processes_of_shares_is_the_share_of_the_whole(counts: list[int]) -> None:
    """Each process sums its own boxes and divides; torch averages the processes: as one process with all boxes."""
    whole = sum(counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "processes", lambda: len(counts))
        patch.setattr(processes.dist, "all_reduce", lambda tensor, op=None: tensor.fill_(whole))
        shares = [count / float(divisor(count, CPU)) for count in counts]
    expected = whole / max(1, whole) if len(counts) > 1 else counts[0] / max(1, counts[0])
    assert sum(shares) / len(shares) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("environment", "first", "alone"),
    [
        ({}, True, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True, False),
        ({"RANK": "1", "WORLD_SIZE": "2"}, False, False),
    ],
)
def test_the_environment_of_torchrun_says_who_writes(
    environment: dict[str, str], first: bool, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(key, raising=False)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert (is_first_process(), is_alone()) == (first, alone)
