from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from motion_studio.errors import InputError, MotionFileError
from motion_studio.motion.arithmetic import cross_fade
from motion_studio.motion.embedding import MAX_VOICES, Motion, MotionInfo, SiteEmbedding


def site(**changes) -> SiteEmbedding:
    parts = {
        "qk": torch.zeros(4, 3),
        "space": torch.zeros(1, 6, 2),
        "time": torch.zeros(2, 4, 3),
        "grid": (2, 3),
    }
    return SiteEmbedding(**{**parts, **changes})


def test_dense_v_is_the_sum_over_pictures(make_motion):
    for per_frame in (False, True):
        embedding = make_motion(per_frame=per_frame).sites["mid"]
        v = embedding.v()
        assert v.shape == (16, 12, 5)
        n = 7
        expected = embedding.space[n if per_frame else 0] @ embedding.time[:, n]
        torch.testing.assert_close(v[:, n], expected)
    assert SiteEmbedding(torch.zeros(4, 3)).v() is None


def test_onto_adds_v_and_brings_its_gradients(make_motion):
    features = torch.randn(2, 16, 12, 5, generator=torch.Generator().manual_seed(1))
    for per_frame in (False, True):
        embedding = (
            make_motion(per_frame=per_frame).sites["mid"].map(lambda part: part.clone().requires_grad_())
        )
        leaves = [embedding.space, embedding.time]
        wanted, added = features + 0.5 * embedding.v(), embedding.onto(features, 0.5)
        torch.testing.assert_close(added, wanted)
        both = [torch.autograd.grad(out.square().sum(), leaves) for out in (added, wanted)]
        torch.testing.assert_close(*both)
        half = embedding.onto(features.half(), 0.5)
        assert half.dtype == torch.float16
        torch.testing.assert_close(half.float(), wanted, atol=5e-3, rtol=5e-3)
    assert torch.equal(SiteEmbedding(torch.zeros(12, 5)).onto(features), features)


def test_properties(make_motion):
    a = make_motion(rank=3)
    assert (a.frames, a.rank, a.aspect) == (12, 3, 1.0)
    assert make_motion(grids={"small": (2, 2), "large": (9, 16)}).aspect == 9 / 16
    v1 = Motion({"a": SiteEmbedding(torch.zeros(4, 3))}, MotionInfo(version="v1", latent_size=(32, 64)))
    assert (v1.rank, v1.aspect, v1.path(), v1.camera()) == (0, 0.5, None, None)
    assert Motion({"a": SiteEmbedding(torch.zeros(4, 3))}).aspect == 1


def test_hash_tells_tensors_and_nothing_else(make_motion):
    a = make_motion()
    assert a.hash() == make_motion(title="another").hash() == a.replace_info(notes="x").hash()
    assert len(a.hash()) == 64
    assert a.hash() != make_motion(1).hash()
    assert a.hash() != Motion({f"x{name}": site for name, site in a.sites.items()}).hash()
    assert a.hash() == Motion(dict(reversed(a.sites.items()))).hash()


def test_nothing_changes_in_place(make_motion):
    a = make_motion()
    with pytest.raises(FrozenInstanceError):
        a.info = MotionInfo()
    renamed = a.replace_info(title="new")
    assert (a.info.title, renamed.info.title) == ("", "new")
    assert renamed.sites is a.sites


def test_map_reaches_all_tensors(make_motion):
    doubled = cross_fade(make_motion(0), make_motion(1), 3, 4).map(torch.Tensor.double)
    voices = [voice for s in doubled.sites.values() for voice in s.voices]
    assert len(voices) == 6
    parts = [part for v in voices for part in (v.qk, v.space, v.time, v.heard)]
    assert all(part.dtype == torch.float64 for part in parts)


def test_the_hash_tells_who_hears_it(make_motion):
    a, b = make_motion(0), make_motion(1)
    hashes = {cross_fade(a, b, start, length).hash() for start, length in ((3, 0), (4, 0), (3, 2))}
    assert len(hashes | {cross_fade(b, a, 3, 0).hash(), a.hash()}) == 5


BROKEN = {
    "qk of one dimension": (site(qk=torch.zeros(4)), r"qk has shape \(4,\), \(frames, channels\) is allowed"),
    "no frames": (site(qk=torch.zeros(0, 3)), "qk has shape"),
    "no time": (site(time=None), "lacks time"),
    "no space": (site(space=None), "lacks space"),
    "another number of frames": (site(time=torch.zeros(2, 5, 3)), r"\(rank, 4, 3\) is allowed"),
    "another number of channels": (site(time=torch.zeros(2, 4, 2)), r"time has shape \(2, 4, 2\)"),
    "rank 0": (site(space=torch.zeros(1, 6, 0), time=torch.zeros(0, 4, 3)), "time has shape"),
    "another rank": (site(space=torch.zeros(1, 6, 3)), r"\(1 or 4, places, 2\) is allowed"),
    "some frames' places": (site(space=torch.zeros(3, 6, 2)), r"space has shape \(3, 6, 2\)"),
    "another grid": (site(grid=(3, 3)), r"has 6 places, its grid \(3, 3\)"),
    "no grid": (site(grid=None), "grid None"),
    "empty grid": (site(grid=(0, 6)), "of at least 1 is allowed"),
    "NaN": (site(qk=torch.full((4, 3), torch.nan)), "qk holds values that are not finite"),
    "infinity": (site(time=torch.full((2, 4, 3), torch.inf)), "time holds values that are not finite"),
    "heard by other frames": (site(heard=torch.ones(5)), r"heard has shape \(5,\), \(4,\) is allowed"),
    "heard NaN": (site(heard=torch.full((4,), torch.nan)), "heard holds values outside of 0 to 1"),
    "heard too loudly": (site(heard=torch.full((4,), 3e38)), "heard holds values outside of 0 to 1"),
    "heard backwards": (site(heard=torch.full((4,), -0.5)), "heard holds values outside of 0 to 1"),
    "others on another grid": (site(others=(site(grid=(3, 2)),)), "do not fit"),
    "others of another shape": (site(others=(SiteEmbedding(torch.zeros(5, 3)),)), "do not fit"),
    "broken others": (site(others=(site(time=None),)), "lacks time"),
    "too many others": (site(others=(site(),) * MAX_VOICES), "65 parts .* 64 are allowed"),
    "others with others": (site(others=(site(others=(site(),)),)), "have others themselves"),
    "whole numbers": (site(qk=torch.zeros(4, 3, dtype=torch.long)), "qk is torch.int64"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_sites_are_refused_at_the_door(name):
    broken, message = BROKEN[name]
    with pytest.raises(MotionFileError, match=message) as caught:
        Motion({"block": broken})
    assert "block" in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_broken_motions_are_refused_at_the_door():
    with pytest.raises(MotionFileError, match="no site"):
        Motion({})
    with pytest.raises(MotionFileError, match="'a': 4, 'b': 5"):
        Motion({"a": site(), "b": SiteEmbedding(torch.zeros(5, 3))})
    for info in (
        MotionInfo(path=[[0.5, 0.5]] * 3),
        MotionInfo(path=[[0.5, 0.5, 0.5]] * 4),
        MotionInfo(path=[[0.5, float("nan")]] * 4),
        MotionInfo(camera=[[0.0, 0.0]] * 4),
    ):
        with pytest.raises(MotionFileError, match="path|camera"):
            Motion({"a": site()}, info)
    with pytest.raises(MotionFileError, match="4 rows of 2 numbers"):
        replace(Motion({"a": site()}), info=MotionInfo(path=[]))
