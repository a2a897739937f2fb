import pytest

p = pytest.importorskip("pybullet")

from dataclasses import replace  # noqa: E402

from simgen.assets.parts import part_model  # noqa: E402
from simgen.scene import bullet  # noqa: E402
from simgen.scene.bullet import SCALE, world  # noqa: E402
from simgen.scene.simulate import simulate  # noqa: E402
from simgen.spec.scene import BodySpec  # noqa: E402
from simgen.spec.types import Pose  # noqa: E402
from tests.simgen.scenes import GREY, part, scene  # noqa: E402

UPRIGHT = (0.0, 0.0, 0.0, 1.0)


def body(shape="box", x=0.3):
    pose = Pose(position_m=(x, 0.0, 0.1), rotation_xyzw=UPRIGHT)
    return BodySpec(
        shape=shape, size_m=(0.1, 0.1, 0.2), material=GREY, world_from_body=pose, velocity_m_s=(0.0, 0.0, 0.0)
    )


def at(body_id, client):
    return p.getBasePositionAndOrientation(body_id, physicsClientId=client)[0]


def full_scene():
    parts = [part("washer", "M8", (0.0, 0.0, 0.1)), part("hex_bolt", "M8x40", (0.1, 0.0, 0.2))]
    return scene(parts, clutter=[body(), body("cylinder", 0.4)], occluders=[body(x=-0.3)])


def test_a_world_to_draw_has_everything_where_the_spec_says():
    spec = full_scene()
    with world(spec, collide=False) as drawn:
        for body_id, made in zip(drawn.parts, spec.parts, strict=True):
            assert at(body_id, drawn.client) == pytest.approx(made.world_from_part.position_m)
        for body_id, made in zip((*drawn.fixtures, *drawn.occluders), (*spec.clutter, *spec.occluders), strict=True):
            assert at(body_id, drawn.client) == pytest.approx(made.world_from_body.position_m)
        assert len({*drawn.parts, *drawn.fixtures, *drawn.occluders}) == 5


def test_a_world_has_nothing_of_those_before_it():
    with world(full_scene(), collide=True) as solid:
        assert p.getNumBodies(physicsClientId=solid.client) > 2
        p.setGravity(0, 0, 5, physicsClientId=solid.client)
    for collide in (False, True, False):
        with world(scene([]), collide=collide) as empty:
            others = p.getNumBodies(physicsClientId=empty.client) - (5 if collide else 0)  # the top and its walls
            assert others == 0


def test_a_world_that_broke_is_not_used_again():
    clients = []

    def breaks():
        with world(full_scene(), collide=False) as drawn:
            clients.append(drawn.client)
            raise LookupError

    with pytest.raises(LookupError):
        breaks()
    assert not p.isConnected(clients[0])


def test_physics_does_not_depend_on_the_scenes_before():
    specs = [full_scene(), scene([part("hex_nut", "M8", (0.0, 0.0, 0.05)), part("washer", "M8", (0.0, 0.0, 0.1))])]
    alone = [simulate(spec) for spec in specs]
    again = [simulate(spec) for spec in (*reversed(specs), *specs)]
    for one, other in zip((*reversed(alone), *alone), again, strict=True):
        assert (one.positions_m == other.positions_m).all()
        assert (one.rotations_xyzw == other.rotations_xyzw).all()


def test_nothing_moves_in_a_world_to_draw():
    with world(full_scene(), collide=False) as drawn:
        before = [at(i, drawn.client) for i in drawn.parts]
        for _ in range(10):
            p.stepSimulation(physicsClientId=drawn.client)
        assert [at(i, drawn.client) for i in drawn.parts] == before


def test_parts_to_simulate_have_the_meshs_inertia_at_the_scale():
    spec = full_scene()
    with world(spec, collide=True) as solid:
        assert len(solid.parts) == 2
        for body_id, made in zip(solid.parts, spec.parts, strict=True):
            mass, friction, inertia, *_ = p.getDynamicsInfo(body_id, -1, physicsClientId=solid.client)
            moments = part_model(made.source).inertia_m2
            assert mass == pytest.approx(made.mass_kg)
            assert friction == pytest.approx(made.friction)
            assert inertia == pytest.approx([made.mass_kg * moment * SCALE**2 for moment in moments])


def test_worlds_at_the_same_time_are_apart():
    with world(full_scene(), collide=False) as drawn, world(full_scene(), collide=True) as solid:
        assert drawn.client != solid.client
        assert p.isConnected(drawn.client)
        assert p.isConnected(solid.client)


def test_a_world_that_fails_to_build_goes_away_too(monkeypatch):
    monkeypatch.setattr(bullet, "_FREE", [])
    free = p.connect(p.DIRECT)
    p.disconnect(free)
    wrong = replace(full_scene(), clutter=(body("torus"),))
    with (
        pytest.raises(ValueError, match="no body of shape 'torus'; there are box and cylinder"),
        world(wrong, collide=False),
    ):
        pass
    assert not p.isConnected(free)
    assert not bullet._FREE
