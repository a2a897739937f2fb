"""Parts that fell wrongly are drawn again, at most three times; then the scene is left out with the reason."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pybullet")

from simgen.generation import clip
from simgen.generation.clip import ATTEMPTS, settled_scene
from simgen.presets.read import load_config
from simgen.scene.bullet import Contact
from simgen.scene.faults import first_fault
from simgen.scene.sampling.sample import sample
from simgen.scene.simulate import simulate_checked
from simgen.spec.errors import UnsettledScene
from simgen.spec.scene import Block
from tests.simgen.scenes import part, scene

LYING = (0.0, 0.7071068, 0.0, 0.7071068)


def test_parts_that_lie_on_a_table_are_as_they_should_be():
    spec = scene([part("hex_nut", "M12", (0.0, 0.0, 0.02)), part("hex_bolt", "M8x40", (0.1, 0.0, 0.02), LYING)])
    assert simulate_checked(spec)[1] == ""
    assert simulate_checked(scene([]))[1] == ""


def test_two_parts_in_one_place_are_named():
    nuts = [part("hex_nut", "M20", (x, 0.0, 0.016)) for x in (0.0, 0.002)]
    spec = scene([replace(nut, source=Block("box", (0.03, 0.03, 0.03))) for nut in nuts], settle_s=1 / 480)
    assert "part 0 (hex_nut) and part 1 (hex_nut) stick 2" in simulate_checked(spec)[1]


def test_thin_parts_that_hit_each_other_while_they_fall_are_no_fault():
    washers = [part("washer", "M10", (x, 0.0, 0.002)) for x in (0.0, 0.02)]
    positions = np.array([washer.world_from_part.position_m for washer in washers])
    turns, still = np.tile(np.array([[0.0, 0.0, 0.0, 1.0]], np.float32), (2, 1)), np.zeros((2, 3))
    for settle_s, depth_m, fault in ((0.55, 0.0035, True), (0.2, 0.0035, False), (0.2, 0.011, True)):
        named = first_fault(scene(washers, settle_s=settle_s), [Contact(0, 1, depth_m)], positions, turns, still)
        assert bool(named) == fault


def test_a_part_that_still_falls_is_named_where_it_had_the_time_to_rest():
    high = [part("hex_nut", "M20", (0.0, 0.0, 2.0))]
    assert simulate_checked(scene(high, settle_s=0.55))[1] == "part 0 (hex_nut) still moves at 5.40 m/s"
    assert simulate_checked(scene(high, settle_s=0.2))[1] == ""


@pytest.mark.parametrize(("position_m", "text"), [
    ((0.0, 0.0, -0.01), "part 0 (hex_nut) fell through the work surface, to -10.0 mm"),
    ((0.7, 0.0, 0.01), "part 0 (hex_nut) lies 200 mm beyond the edge of the stage"),
    ((float("nan"), 0.0, 0.01), "part 0 (hex_nut) is nowhere"),
])  # fmt: skip
def test_a_part_outside_the_world_is_named(position_m, text):
    spec = scene([part("hex_nut", "M12")])
    turn, still = np.array([[0.0, 0.0, 0.0, 1.0]], np.float32), np.zeros((1, 3))
    assert first_fault(spec, [], np.array([position_m]), turn, still) == text


def test_a_belt_has_no_ends():
    spec = scene([part("hex_nut", "M12")], belt_speed_m_s=0.3)
    turn, still = np.array([[0.0, 0.0, 0.0, 1.0]], np.float32), np.zeros((1, 3))
    assert first_fault(spec, [], np.array([(3.0, 0.0, 0.01)]), turn, still) == ""


def test_a_washer_may_not_stick_as_deep_as_a_bolt():
    spec = scene([part("washer", "M10"), part("hex_bolt", "M20x80"), part("hex_bolt", "M20x80")])
    rest = np.array([(0.0, 0.0, 0.01)] * 3), np.array([[0.0, 0.0, 0.0, 1.0]] * 3, np.float32), np.zeros((3, 3))
    assert first_fault(spec, [Contact(1, 2, 0.0035)], *rest) == ""
    assert "part 0 (washer)" in first_fault(spec, [Contact(1, 0, 0.0035)], *rest)


def faulty(monkeypatch, times):
    """Let the first draws of each scene fall wrongly."""
    seen = []

    def checked(spec):
        seen.append(spec)
        trajectory, _ = simulate_checked(spec)
        return trajectory, "part 0 (nut) is nowhere" if len(seen) <= times else ""

    monkeypatch.setattr(clip, "simulate_checked", checked)
    return seen


@pytest.mark.parametrize("times", [1, 3])
def test_a_scene_is_drawn_again_and_only_its_parts(monkeypatch, times):
    seen = faulty(monkeypatch, times)
    config = load_config("tiny")
    spec, _ = settled_scene(config, 7, 1)
    assert [one.attempt for one in seen] == [None, *range(1, times + 1)]
    assert spec.attempt == times
    assert len({one.id for one in seen}) == times + 1
    first = sample(config, 7, 1)
    assert spec.parts != first.parts
    assert replace(spec, parts=first.parts, attempt=None) == first
    assert '"attempt"' not in first.to_json()


def test_after_three_more_draws_the_scene_is_left_out_with_the_reason(monkeypatch):
    seen = faulty(monkeypatch, 99)
    with pytest.raises(UnsettledScene, match=r"drawn 4 times and fell wrongly each time, at last so: part 0 \(nut\)"):
        settled_scene(load_config("tiny"), 7, 1)
    assert len(seen) == ATTEMPTS == 4
