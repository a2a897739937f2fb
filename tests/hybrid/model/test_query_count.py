"""How many queries a picture has: in use more, the larger it is."""

import pytest
import torch

from hybrid.core.config import ModelConfig
from hybrid.model.network import Network
from hybrid.model.objects import queries
from tests.hybrid.variants import TARGET, clip


def count(network, height, width, targets=None):
    with torch.no_grad():
        return network(clip(1, height, width), targets=targets)[0].logits.shape[2]


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setattr(queries, "QUERIES_PX", 32 * 48)
    monkeypatch.setattr(queries, "MOST_QUERIES", 30)
    return Network(ModelConfig(categories=("bolt", "nut"), branches="cnn", width=16, queries=7)).eval()


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [(32, 48, 7), (16, 16, 7), (64, 48, 14), (48, 48, 11), (64, 96, 28), (96, 96, 30)],
)
def test_queries_follow_the_area_up_to_a_limit(network, height, width, wanted):
    assert count(network, height, width) == wanted


def test_in_training_there_are_as_many_as_the_config_says(network):
    network.train()
    config = network.config
    assert count(network, 64, 96, [[TARGET]]) == config.queries


def test_a_limit_below_the_config_takes_none_away(network, monkeypatch):
    monkeypatch.setattr(queries, "MOST_QUERIES", 3)
    assert count(network, 64, 96) == 7
