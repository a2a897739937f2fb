"""Weights of another network: heads state which of their tensors have one row per category, whatever the names are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from hybrid.model.network import Network
from hybrid.model.transfer import category_tensors, load_compatible
from tests.hybrid.variants import SMALL, VARIANTS


class OddHead(nn.Module):
    """A head whose names say nothing, beside tensors whose names say too much."""

    def __init__(self, categories: int) -> None:
        super().__init__()
        self.zebra = nn.Parameter(torch.randn(categories, 3))
        self.stripes = nn.ParameterList([torch.randn(categories)])
        self.score = nn.Linear(3, 4)  # not by category
        self.label = nn.Embedding(2, 3)  # not by category
        self.register_buffer("prior", torch.randn(categories))

    def category_rows(self) -> tuple[Tensor, ...]:
        return (self.zebra, self.stripes[0], self.prior)


class Odd(nn.Module):
    def __init__(self, categories: int) -> None:
        super().__init__()
        self.body = nn.Linear(3, 3)
        self.heads = nn.ModuleList([OddHead(categories), OddHead(categories)])


ROWS = {f"heads.{k}.{name}" for k in range(2) for name in ("zebra", "stripes.0", "prior")}


def test_a_head_of_unusual_names_states_its_rows() -> None:
    assert category_tensors(Odd(3)) == ROWS
    assert category_tensors(nn.Linear(2, 2)) == frozenset()


def test_rows_follow_their_categories_and_other_tensors_are_taken_whole() -> None:
    old, new = Odd(3), Odd(2)
    start = {name: x.clone() for name, x in new.state_dict().items()}
    missing, unexpected = load_compatible(new, old.state_dict(), ("bolt", "gear"), ("washer", "bolt", "screw"))
    assert missing == unexpected == []
    for name, x in new.state_dict().items():
        given = old.state_dict()[name]
        if name in ROWS:
            assert torch.equal(x[0], given[1]), name  # bolt
            assert torch.equal(x[1], start[name][1]), name  # gear starts anew
        else:
            assert torch.equal(x, given), name


def test_a_tensor_that_only_looks_like_a_score_must_fit_as_a_whole() -> None:
    """Guessed from its name, `score.weight` would be copied row by row."""
    old, new = Odd(2), Odd(2)
    old.heads[0].score = nn.Linear(3, 5)
    start = new.heads[0].score.weight.clone()
    missing, unexpected = load_compatible(new, old.state_dict(), ("a", "b"), ("a", "b"))
    assert missing == unexpected == ["heads.0.score.bias", "heads.0.score.weight"]
    assert torch.equal(new.heads[0].score.weight, start)


def test_a_wrong_number_of_categories_is_refused_before_a_row_is_mixed_up() -> None:
    with pytest.raises(ValueError, match=r"for 2 categories, \['a', 'b'\]; heads\.\d\..* has 3 rows"):
        load_compatible(Odd(2), Odd(3).state_dict(), ("a", "b"), ("a", "b"))


def test_an_order_of_categories_is_only_an_order() -> None:
    old, new = Odd(3), Odd(3)
    load_compatible(new, old.state_dict(), ("c", "a", "b"), ("a", "b", "c"))
    back = Odd(3)
    load_compatible(back, new.state_dict(), ("a", "b", "c"), ("c", "a", "b"))
    assert all(torch.equal(x, old.state_dict()[name]) for name, x in back.state_dict().items())
    assert torch.equal(new.heads[0].zebra[0], old.heads[0].zebra[2])


@pytest.mark.parametrize("name", ["all", "everything", "plain head", "no denoising", "one layer"])
def test_the_stated_tensors_are_those_whose_size_is_the_number_of_categories(name: str) -> None:
    """A new head that has rows by category and does not state them fails here."""
    config = replace(SMALL, **VARIANTS[name], embedding=4, clip_classes=("ok", "bad"))
    two, seven = Network(config), Network(replace(config, categories=tuple("abcdefg")))
    sizes = {key: x.shape for key, x in seven.state_dict().items()}
    by_size = {key for key, x in two.state_dict().items() if x.shape != sizes[key]}
    assert category_tensors(two) == by_size
    assert len(by_size) >= 4
