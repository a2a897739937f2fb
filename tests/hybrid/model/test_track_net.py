"""The track network: frame by frame or many at once, padding, and what each of its parts can see."""

from __future__ import annotations

import pytest
import torch

from hybrid.core.errors import ConfigError
from hybrid.model.objects.track_net import TrackNetConfig, TrackNetwork

FRAMES, CLIPS, TRACKS, INPUTS = 5, 2, 4, 6


def network(**options: object) -> TrackNetwork:
    """With weights that are not zero, so that every input counts."""
    torch.manual_seed(0)
    made = TrackNetwork(TrackNetConfig(inputs=INPUTS, width=16, **options))
    for one in made.parameters():
        torch.nn.init.normal_(one, std=0.3)
    return made.eval()


def tracks(frames: int = FRAMES) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    boxes = torch.cat([200 * torch.rand(frames, CLIPS, TRACKS, 2), 20 + 20 * torch.rand(frames, CLIPS, TRACKS, 2)], -1)
    alive = torch.ones(frames, CLIPS, TRACKS, dtype=torch.bool)
    return torch.randn(frames, CLIPS, TRACKS, INPUTS), boxes, alive, torch.zeros(CLIPS, TRACKS, 16)


@torch.no_grad()
def test_a_clip_at_once_is_the_same_as_frame_by_frame() -> None:
    made, (numbers, boxes, alive, memory) = network(), tracks()
    whole, after = made(numbers, boxes, alive, memory)
    for t in range(FRAMES):
        one, memory = made(numbers[t : t + 1], boxes[t : t + 1], alive[t : t + 1], memory)
        for name in one._fields:
            torch.testing.assert_close(getattr(one, name)[0], getattr(whole, name)[t])
    torch.testing.assert_close(memory, after)


@torch.no_grad()
def test_rows_that_are_not_alive_change_nothing_and_forget_everything() -> None:
    made, (numbers, boxes, alive, memory) = network(), tracks()
    alive[2:, :, 3] = False
    other = numbers.clone()
    other[2:, :, 3] = 7.0
    first, after = made(numbers, boxes, alive, memory)
    second, _ = made(other, boxes, alive, memory)
    torch.testing.assert_close(first.fits[:, :, :3], second.fits[:, :, :3])
    assert not after[:, 3].any()
    assert after[:, :3].all()


@torch.no_grad()
def test_each_part_sees_what_it_is_for() -> None:
    numbers, boxes, alive, memory = tracks()
    earlier, others = numbers.clone(), numbers.clone()
    earlier[0, :, 0] += 1.0
    others[:, :, 1:] += 1.0

    def changed(made: TrackNetwork, given: torch.Tensor) -> bool:
        """Whether what is said of track 0 in the last frame changes."""
        said = [made(one, boxes, alive, memory)[0].fits[-1, :, 0] for one in (numbers, given)]
        return not torch.equal(*said)

    assert changed(network(), earlier)
    assert changed(network(), others)
    assert not changed(network(recurrent=False), earlier)
    assert changed(network(recurrent=False), others)
    assert changed(network(layers=0), earlier)
    assert not changed(network(layers=0), others)


@torch.no_grad()
def test_only_where_tracks_are_to_each_other_counts() -> None:
    made, (numbers, boxes, alive, memory) = network(), tracks(1)
    moved = boxes.clone()
    moved[..., :2] += 30
    near = boxes.clone()
    near[:, :, 1, :2] = near[:, :, 0, :2] + 5
    said = [made(numbers, one, alive, memory)[0].exists for one in (boxes, moved, near)]
    torch.testing.assert_close(said[0], said[1])
    assert not torch.allclose(said[0][..., 0], said[2][..., 0])


def test_before_it_has_learned_it_says_what_the_rules_say_of_places() -> None:
    numbers, boxes, alive, memory = tracks()
    said, _ = TrackNetwork(TrackNetConfig(inputs=INPUTS, width=16))(numbers, boxes, alive, memory)
    torch.testing.assert_close(said.boxes_cxcywh_px, boxes)
    assert (said.exists == 0).all()


@pytest.mark.parametrize(
    ("wrong", "named"), [({"inputs": 0}, "inputs"), ({"width": 18}, "width"), ({"layers": 99}, "layers")]
)
def test_a_wrong_size_is_named(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        TrackNetConfig(**{"inputs": 3, **wrong})
