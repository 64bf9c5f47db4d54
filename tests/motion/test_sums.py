"""What a sum of motions knows: its lineage, its path, its camera, how far it is followed."""

from __future__ import annotations

import pytest
import torch

from motion_studio.motion.arithmetic import blend, cross_fade, resampled, then
from motion_studio.motion.operations_place import Mirror
from motion_studio.motion.operations_time import Fade, Reverse, Strength


def test_lineage_of_sums(make_motion):
    a = Reverse().apply(make_motion(0, title="Wave", prompt="a", settings={"steps": 4}, base="toybox"))
    b = make_motion(1, title="Circle", prompt="b", losses=[1.0], report={"x": 1}, camera=[[0.0] * 4] * 12)
    mixed = blend([(a, 1), (b, -0.5)])
    assert [entry["operation"]["op"] for entry in mixed.info.lineage] == ["reverse", "blend"]
    assert mixed.info.lineage[-1] == {
        "operation": {"op": "blend", "weights": [1, -0.5]},
        "parents": [a.hash(), b.hash()],
    }
    info = mixed.info
    assert (info.title, info.prompt, info.base) == ("Wave + Circle", "", "toybox")
    assert (info.settings, info.losses, info.report, info.camera) == ({}, [], {}, None)
    # What two parents share is told once.
    twice = blend([(a, 1), (Mirror("x").apply(a), 1)])
    assert [entry["operation"]["op"] for entry in twice.info.lineage] == ["reverse", "mirror", "blend"]
    # A motion that follows is named as it was given, before it was put in its place.
    joined = then(make_motion(0), b, 4)
    assert joined.info.lineage == [
        {
            "operation": {"op": "then", "at": 4, "fade": 0, "join": False},
            "parents": [make_motion(0).hash(), b.hash()],
        }
    ]


def test_the_camera_of_a_sum_goes_on_from_step_to_step(make_motion):
    ramp, still = torch.zeros(6, 4), torch.zeros(6, 4)
    ramp[:, 0] = torch.linspace(0, 0.5, 6)
    a, b = (
        make_motion(seed=seed, frames=6).replace_info(camera=c.tolist())
        for seed, c in ((1, ramp), (2, still))
    )

    def camera(motion):
        return torch.tensor(motion.info.camera)

    assert torch.allclose(camera(blend([(a, 0.3)])), ramp)
    assert torch.allclose(camera(blend([(a, 1.0), (b, 1.0)])), ramp / 2)
    assert torch.allclose(camera(blend([(a, 1.0), (b, 3.0)])), ramp / 4)
    assert torch.allclose(camera(blend([(a, -1.0), (b, 1.0)])), -ramp)  # taken out of one that rests
    assert blend([(a, -1.0)]).info.camera is None
    joined = camera(then(b, a, 3.0))  # rests, then pans on
    assert torch.allclose(joined[:3], still[:3]) and torch.allclose(
        joined[3:].diff(dim=0), ramp[:3].diff(dim=0)
    )
    assert blend([(a, 1.0), (b.replace_info(camera=None), 1.0)]).info.camera is None


def test_a_sum_follows_what_is_heard_of_each(make_motion):
    frames, way = 6, torch.linspace(0.2, 0.7, 6)
    pan, tilt = torch.zeros(frames, 4), torch.zeros(frames, 4)
    pan[:, 0] = tilt[:, 1] = torch.linspace(0, 0.5, frames)
    a = make_motion(1, frames=frames).replace_info(path=torch.stack([way, 0 * way], 1), camera=pan)
    b = make_motion(2, frames=frames).replace_info(path=torch.stack([0 * way, way], 1), camera=tilt)
    first, last = Fade(length=3).apply(a), Fade(start=3).apply(b)
    both = blend([(first, 1.0), (last, 1.0)])
    assert torch.equal(both.path(), torch.cat([a.path()[:3], b.path()[3:]]))
    assert torch.equal(both.heard(), torch.ones(frames))
    steps = torch.cat([pan.diff(dim=0)[:2], tilt.diff(dim=0)[2:]])  # none is halved for who is silent
    torch.testing.assert_close(both.camera().diff(dim=0), steps)
    alone = blend([(first, 1.0)])
    assert torch.equal(alone.heard(), torch.tensor([1.0, 1, 1, 0, 0, 0]))
    assert torch.equal(alone.path(), a.path())  # where nothing is heard it is as it was
    torch.testing.assert_close(alone.camera(), first.camera())
    crossed = cross_fade(a, b, 1.0, 4.0)
    torch.testing.assert_close(crossed.heard(), torch.ones(frames))


def test_a_sum_carries_as_much_noise_as_the_one_that_carries_most(make_motion):
    a, b = make_motion(0, carry=0.3), make_motion(1, carry=0.8)
    assert blend([(a, 1), (b, 1)]).info.carry == blend([(b, 1), (a, 1)]).info.carry == 0.8
    assert then(a, b, 4).info.carry == then(b, a, 4).info.carry == 0.8


def test_a_motion_made_weaker_is_followed_less(make_motion):
    a, b = make_motion(), make_motion(seed=1, followed=0.5)
    assert blend([(a, 0.3)]).info.followed == pytest.approx(0.3)
    assert blend([(a, 0.3), (b, 0.4)]).info.followed == pytest.approx(0.5)
    assert blend([(a, 1.0), (b, -1.0)]).info.followed == 1
    assert blend([(a, 0.0)]).info.followed == 0
    for operation, left in ((Strength(0.4), 0.2), (Strength(2), 0.5), (Strength(-1), 0), (Reverse(), 0.5)):
        assert operation.apply(b).info.followed == pytest.approx(left)
    assert then(a, a, 6).info.followed == 1  # each in its frames


def test_sizes_and_turns_go_through_time_with_the_path(make_motion):
    sizes, turns = [1 + 0.1 * n for n in range(12)], [0.2 - 0.1 * n for n in range(12)]
    a = make_motion(sizes=sizes, turns=turns)
    assert Reverse().apply(a).info.sizes == pytest.approx(sizes[::-1])
    assert Reverse().apply(a).info.turns == pytest.approx(turns[::-1])
    assert resampled(a, 23).info.sizes == pytest.approx([1 + 0.05 * n for n in range(23)])
    assert resampled(a, 23).info.turns == pytest.approx([0.2 - 0.05 * n for n in range(23)])
    same = blend([(a, 1.0)])
    torch.testing.assert_close(same.sizes() / same.sizes()[0], torch.tensor(sizes))
    torch.testing.assert_close(same.turns() - same.turns()[0] + 0.2, torch.tensor(turns))
    other = blend([(a, 1.0), (make_motion(seed=1), 1.0)]).info
    assert other.sizes is None and other.turns is None


def test_raw_and_centred_looks_mix_to_raw(make_motion):
    mixed = blend([(make_motion(0, looks="centre"), 1), (make_motion(1, looks="raw"), 1)])
    assert mixed.info.looks == "raw"
    mixed = blend([(make_motion(0, looks="centre"), 1), (make_motion(1, looks="centre"), 1)])
    assert mixed.info.looks == "centre"
