"""Laws that every operation obeys."""

from __future__ import annotations

import json

import pytest
import torch

from motion_studio.motion.arithmetic import OPERATIONS, blend, operation_from_json
from motion_studio.motion.carried import camera_steps
from motion_studio.motion.factors import interpolation
from motion_studio.motion.operations_time import Delay, Fade, Loop, Reverse, Speed, Strength, Trim
from tests.motion.conftest import as_heard
from tests.motion.operation_examples import ALL, GAIN, MASKS, PLACE, TIME, name


def test_every_operation_has_an_example():
    assert {operation.op for operation in ALL} == set(OPERATIONS)
    assert all(op == cls.op for op, cls in OPERATIONS.items())


@pytest.mark.parametrize("operation", ALL, ids=name)
@pytest.mark.parametrize("per_frame", [False, True])
def test_linear(operation, per_frame, make_motion, same):
    a, b = make_motion(0), make_motion(1, per_frame=per_frame, rank=3)
    together = operation.apply(blend([(a, 0.7), (b, -1.3)]))
    same(together, blend([(operation.apply(a), 0.7), (operation.apply(b), -1.3)]))


@pytest.mark.parametrize("operation", ALL, ids=name)
def test_differences_vanish(operation, make_motion):
    a = make_motion()
    for site in operation.apply(blend([(a, 1), (a, -1)])).sites.values():
        assert site.v().abs().max() < 1e-5
        assert not site.qk.any()


@pytest.mark.parametrize("operation", ALL, ids=name)
def test_the_same_whether_places_differ_by_frame_or_not(operation, make_motion, same):
    a = make_motion()
    spread = blend([(a, 1), (make_motion(1, per_frame=True), 0)])
    assert spread.sites["mid"].space.shape[0] == a.frames
    same(operation.apply(spread), operation.apply(a))


@pytest.mark.parametrize("operation", ALL, ids=name)
def test_json_round_trip(operation):
    text = json.dumps(operation.to_json(), allow_nan=False)
    assert operation_from_json(json.loads(text)) == operation


@pytest.mark.parametrize("operation", ALL, ids=name)
def test_lineage_and_provenance(operation, make_motion):
    a = make_motion(title="Wave", base="toybox", report={"path": 0.9}, losses=[1.0], camera=[[0.0] * 4] * 12)
    edited = operation.apply(operation.apply(a)) if operation.op != "trim" else operation.apply(a)
    assert edited.info.lineage[0] == {"operation": operation.to_json(), "parents": [a.hash()]}
    assert edited.info.lineage[-1]["operation"] == operation.to_json()
    assert (edited.info.title, edited.info.base, edited.info.report) == ("Wave", "toybox", {})
    assert not a.info.lineage and a.info.report
    json.dumps(edited.info.lineage, allow_nan=False)


@pytest.mark.parametrize("operation", PLACE + MASKS, ids=name)
def test_places_leave_queries_and_keys(operation, make_motion):
    a = make_motion()
    edited = operation.apply(a)
    assert all(torch.equal(edited.sites[site].qk, a.sites[site].qk) for site in a.sites)


@pytest.mark.parametrize("operation", PLACE, ids=name)
def test_what_is_the_same_everywhere_stays_so(operation, make_motion, same):
    a = make_motion()
    flat = type(a)({n: type(s)(s.qk, torch.ones_like(s.space), s.time, s.grid) for n, s in a.sites.items()})
    same(operation.apply(flat), flat)


@pytest.mark.parametrize("operation", TIME + GAIN, ids=name)
def test_time_and_place_commute(operation, make_motion, same):
    a = make_motion()
    for place in (
        operation_from_json({"op": "turn", "degrees": 30}),
        operation_from_json({"op": "zoom", "factor": 1.2}),
    ):
        same(operation.apply(place.apply(a)), place.apply(operation.apply(a)))


@pytest.mark.parametrize("operation", [one for one in TIME + GAIN if one.op != "fade"], ids=name)
def test_time_operations_are_their_matrix(operation, make_motion):
    a = make_motion()
    edited, matrix = operation.apply(a), operation.matrix(a.frames)
    for site, embedding in a.sites.items():
        torch.testing.assert_close(edited.sites[site].v(), torch.einsum("mn,pnc->pmc", matrix, embedding.v()))
        torch.testing.assert_close(edited.sites[site].qk, matrix @ embedding.qk)
    assert edited.rank == a.rank
    curve = torch.rand(a.frames)
    torch.testing.assert_close(operation.apply_strength(curve), matrix @ curve)


@pytest.mark.parametrize("operation", [one for one in GAIN if one.op == "fade"], ids=name)
@pytest.mark.parametrize("after", [None, Reverse(), Delay(3), Speed(0.5), Loop(2), Trim(2, 5)], ids=str)
def test_a_fade_says_who_hears_a_motion_not_what_it_says(operation, after, make_motion):
    a = make_motion()
    faded = operation.apply(a)
    positions = torch.arange(12.0) if after is None else after.positions(12)
    heard = interpolation(positions, 12) @ operation.gain(12)
    faded, whole = (motion if after is None else after.apply(motion) for motion in (faded, a))
    assert faded.rank == a.rank
    for site, embedding in faded.sites.items():
        for got, wanted in zip(as_heard(embedding), as_heard(whole.sites[site]), strict=True):
            torch.testing.assert_close(got, torch.einsum("m,m...->m...", heard, wanted))
    curve = torch.rand(12)
    torch.testing.assert_close(operation.apply_strength(curve), operation.gain(12) * curve)


def test_a_motion_that_is_silent_or_turned_against_itself_has_no_camera(make_motion):
    a = make_motion(camera=[[0.1 * n, 0, 0.02 * n, 0.03 * n] for n in range(12)])
    for value in (0, -1, [-1] * 6 + [0] * 6):
        assert Strength(value).apply(a).camera() is None
    for value in (0.3, 2, [-1] * 11 + [1]):
        torch.testing.assert_close(Strength(value).apply(a).camera(), a.camera())


def test_a_camera_rests_where_a_motion_is_faded_out(make_motion):
    a = make_motion(camera=[[0.1 * n, 0, 0.02 * n, 0.03 * n] for n in range(12)])
    heard = torch.tensor([0, 0, 0.25, 0.75, 1, 1, 1, 0, 0, 0, 0])[:, None]
    faded = Fade(in_frames=2, start=3, length=5).apply(a)
    torch.testing.assert_close(camera_steps(faded.camera()), heard * camera_steps(a.camera()))
    torch.testing.assert_close(faded.heard()[1:], heard[:, 0])


@pytest.mark.parametrize("operation", ALL, ids=name)
def test_gradients_pass(operation, make_motion):
    a = make_motion().map(lambda tensor: tensor.clone().requires_grad_())
    sum(site.v().square().sum() for site in operation.apply(a).sites.values()).backward()
    assert all(
        site.space.grad.isfinite().all() and site.time.grad.abs().sum() > 0 for site in a.sites.values()
    )
