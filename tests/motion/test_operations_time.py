from __future__ import annotations

import pytest
import torch

from motion_studio.motion.operations_time import (
    Delay,
    Ease,
    Fade,
    Loop,
    Reverse,
    Speed,
    Strength,
    Trim,
    ramp,
)


def chain(motion, *operations):
    for operation in operations:
        motion = operation.apply(motion)
    return motion


@pytest.fixture(params=[False, True], ids=["factored", "per frame"])
def motion(request, make_motion):
    return make_motion(per_frame=request.param)


IDENTITIES = {
    "reverse twice": [Reverse(), Reverse()],
    "speed 1": [Speed(1)],
    "speed 1 about a frame": [Speed(1, pivot=7)],
    "speed -1 twice": [Speed(-1), Speed(-1)],
    "reverse and speed -1": [Reverse(), Speed(-1, pivot=3)],
    "delay 0": [Delay(0)],
    "ease nothing": [Ease("in-out", amount=0)],
    "loop once": [Loop(1)],
    "strength 1": [Strength(1)],
    "strength and back": [Strength(-0.5), Strength(-2)],
    "trim nothing": [Trim(0, 12)],
    "fade nothing": [Fade()],
    "fade the whole": [Fade(0, 0, 0, 12)],
}


@pytest.mark.parametrize("operations", IDENTITIES.values(), ids=IDENTITIES.keys())
def test_identity(operations, motion, same):
    same(chain(motion, *operations), motion)


EQUAL = {
    "delay then trim": ([Delay(3), Trim(3, 9)], [Trim(0, 9)]),
    "early then trim": ([Delay(-3), Trim(0, 9)], [Trim(3, 9)]),
    "trims add up": ([Trim(2, 8), Trim(1, 4)], [Trim(3, 4)]),
    "delays add up": ([Delay(2), Delay(3)], [Delay(5)]),
    "delay past the end holds": ([Delay(99)], [Speed(0)]),
    "speed 0 holds whatever follows": ([Speed(0, 5), Reverse()], [Speed(0, 5)]),
    "two rounds are twice as fast": ([Loop(2), Trim(0, 6)], [Speed(2), Trim(0, 6)]),
    "running back is the reversed, running": ([Speed(-0.5, 2)], [Reverse(), Speed(0.5, 2)]),
    "ease out is ease in seen from the end": ([Ease("out")], [Reverse(), Ease("in"), Reverse()]),
    "ease in-out is the same from both ends": ([Ease("in-out")], [Reverse(), Ease("in-out"), Reverse()]),
    "there and back is the same from both ends": ([Loop(2, back=True)], [Loop(2, back=True), Reverse()]),
    "fades swap ends": ([Fade(4, 1)], [Reverse(), Fade(1, 4), Reverse()]),
    "strengths multiply": ([Strength(2), Strength(0.25)], [Strength(0.5)]),
    "speeds multiply where nothing is held": ([Speed(0.5), Speed(0.5)], [Speed(0.25)]),
    "one number is a flat curve": ([Strength(0.4)], [Strength([0.4] * 12)]),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal(name, motion, same):
    left, right = EQUAL[name]
    same(chain(motion, *left), chain(motion, *right))


def test_order_counts(motion):
    first, second = chain(motion, Delay(3), Reverse()), chain(motion, Reverse(), Delay(3))
    assert not torch.allclose(first.sites["mid"].v(), second.sites["mid"].v())


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Reverse(), [4, 3, 2, 1, 0]),
        (Speed(2), [0, 2, 4, 4, 4]),
        (Speed(0.5), [0, 0.5, 1, 1.5, 2]),
        (Speed(2, pivot=2), [0, 0, 2, 4, 4]),
        (Speed(0, pivot=1.5), [1.5] * 5),
        (Speed(-0.5), [4, 3.5, 3, 2.5, 2]),
        (Delay(1.5), [0, 0, 0.5, 1.5, 2.5]),
        (Ease("in"), [0, 0.25, 1, 2.25, 4]),
        (Ease("out"), [0, 1.75, 3, 3.75, 4]),
        (Ease("in-out"), [0, 0.625, 2, 3.375, 4]),
        (Loop(2), [0, 2, 4, 1, 3]),
        (Loop(1, back=True), [0, 2, 4, 2, 0]),
        (Trim(1, 3), [1, 2, 3]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_read_positions(operation, expected):
    path = torch.arange(5.0)[:, None].repeat(1, 2)
    torch.testing.assert_close(operation.apply_path(path)[:, 0], torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (Fade(2, 0), [0.25, 0.75, 1, 1, 1]),
        (Fade(0, 2), [1, 1, 1, 0.75, 0.25]),
        (Fade(0, 0, start=1, length=2), [0, 1, 1, 0, 0]),
        (Fade(2, 2, start=1, length=4), [0, 0.25, 0.75, 0.75, 0.25]),
        (Fade(0, 0, start=9), [0, 0, 0, 0, 0]),
        (Strength([0, 1, 2, -1, 0.5]), [0, 1, 2, -1, 0.5]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_gains(operation, expected):
    torch.testing.assert_close(operation.apply_strength(torch.ones(5)), torch.tensor(expected).float())


def test_overlapping_fades_add_up_to_one():
    ones = torch.ones(12)
    total = Fade(0, 4, 0, 8).apply_strength(ones) + Fade(4, 0, 4).apply_strength(ones)
    torch.testing.assert_close(total, ones)


def test_ramp_ends():
    assert ramp(6, 3, 0).tolist() == [0, 0, 0, 1, 1, 1]
    assert ramp(6, 0, 0).tolist() == [1] * 6
    assert ramp(6, 6, 0).tolist() == [0] * 6
    torch.testing.assert_close(ramp(6, 2, 2) + ramp(6, 2, 2).flip(0), torch.ones(6))


def test_camera_starts_anew(make_motion):
    camera = [[0.1 * n, 0, 0.02 * n, 0] for n in range(12)]
    reversed_ = Reverse().apply(make_motion(camera=camera)).camera()
    torch.testing.assert_close(reversed_[0], torch.zeros(4))
    back = 0.02 * torch.arange(12.0)
    torch.testing.assert_close(reversed_[:, 2], -back)
    # What had gone far while it grew comes back so, and is not where as many shifts would take it.
    torch.testing.assert_close(reversed_[:, 0], 1.1 - 5 * back - (-back).exp() * 1.1)
    panned = make_motion(camera=[[0.1 * n, 0, 0, 0] for n in range(12)])
    torch.testing.assert_close(Reverse().apply(panned).camera()[:, 0], -5 * back)


def test_version_1_runs_backwards_too(make_motion):
    a = make_motion()
    v1 = type(a)({n: type(s)(s.qk) for n, s in a.sites.items()}, a.info)
    assert torch.equal(Reverse().apply(v1).sites["up"].qk, v1.sites["up"].qk.flip(0))


def test_one_frame(make_motion, same):
    a = make_motion(frames=1)
    for operation in (
        Reverse(),
        Speed(3),
        Ease("in"),
        Loop(2),
        Loop(2, back=True),
        Delay(1),
        Trim(0, 1),
        Fade(),
    ):
        same(operation.apply(a), a)
