from __future__ import annotations

import pytest
import torch

from motion_studio.motion.arithmetic import blend, compact, cross_fade, resampled, then
from motion_studio.motion.embedding import Motion, SiteEmbedding
from motion_studio.motion.factors import inner
from motion_studio.motion.operations_place import Along, Mirror, Move
from motion_studio.motion.operations_time import Delay, Fade, Reverse, Strength, Trim, ramp
from tests.motion.conftest import as_heard

PATH = [(0.02 * n, -0.01 * n) for n in range(12)]


def dense_sum(*terms):
    total = {}
    for motion, weight in terms:
        for name, site in motion.sites.items():
            total[name] = total.get(name, 0) + weight * site.v()
    return total


def test_blend_is_the_weighted_sum(make_motion):
    a, b, c = make_motion(0), make_motion(1, rank=3), make_motion(2, per_frame=True)
    mixed = blend([(a, 0.5), (b, -1.2), (c, 2)])
    assert mixed.rank == 2 + 3 + 2
    for name, v in dense_sum((a, 0.5), (b, -1.2), (c, 2)).items():
        torch.testing.assert_close(mixed.sites[name].v(), v)
        qk = 0.5 * a.sites[name].qk - 1.2 * b.sites[name].qk + 2 * c.sites[name].qk
        torch.testing.assert_close(mixed.sites[name].qk, qk)


def test_blend_laws(make_motion, same):
    a, b = make_motion(0), make_motion(1)
    same(blend([(a, 1)]), a)
    same(blend([(a, 0.4), (b, 0.6)]), blend([(b, 0.6), (a, 0.4)]))
    same(blend([(a, 0.25), (a, 0.75)]), a)
    same(blend([(a, 1), (b, 1), (b, -1)]), a)
    same(blend([(blend([(a, 1), (b, 2)]), 3)]), blend([(a, 3), (b, 6)]))
    same(blend([(a, -0.5)]), Strength(-0.5).apply(a))
    curve = torch.linspace(-1, 2, 12)
    same(blend([(a, curve)]), Strength(curve).apply(a))


def test_a_minus_a_is_zero(make_motion):
    a = make_motion(per_frame=True)
    nothing = blend([(a, 1), (a, -1)])
    assert max(site.v().abs().max() for site in nothing.sites.values()) < 1e-6
    assert compact(nothing, 1)[0].sites["mid"].v().abs().max() < 1e-4


def test_sites_that_one_motion_lacks_count_as_zero(make_motion):
    a = make_motion(0, base="toybox")
    part = make_motion(1, base="toybox", grids={"mid": (4, 4)})
    for mixed in (blend([(a, 1), (part, 1)]), blend([(part, 1), (a, 1)])):
        assert set(mixed.sites) == set(a.sites)
        torch.testing.assert_close(mixed.sites["up"].v(), a.sites["up"].v())
        torch.testing.assert_close(mixed.sites["mid"].v(), a.sites["mid"].v() + part.sites["mid"].v())


def test_a_site_may_lack_values(make_motion):
    a = make_motion()
    keys = Motion({name: SiteEmbedding(site.qk) for name, site in a.sites.items()})
    mixed = blend([(keys, 1), (a, 2)])
    torch.testing.assert_close(mixed.sites["up"].v(), 2 * a.sites["up"].v())
    torch.testing.assert_close(mixed.sites["up"].qk, 3 * a.sites["up"].qk)
    assert blend([(keys, 1), (keys, 1)]).rank == 0


@pytest.mark.parametrize(("start", "length"), [(3, 4), (3, 0), (0, 12), (-5, 2), (20, 4)])
def test_frames_of_a_part_hear_all_of_it_and_nothing_else(make_motion, start, length):
    a, b = make_motion(0), make_motion(1)
    qk, v = as_heard(cross_fade(a, b, start, length).sites["up"])
    one, other = a.sites["up"], b.sites["up"]
    for frame, weight in enumerate(ramp(12, start, length)):
        torch.testing.assert_close(qk[frame], (1 - weight) * one.qk + weight * other.qk)
        torch.testing.assert_close(v[frame], (1 - weight) * one.v() + weight * other.v())


def test_then_is_a_sum_of_parts(make_motion, same):
    a, b = make_motion(0), make_motion(1)
    joined = then(a, b, at=5, fade=3)
    parts = Fade(0, 3, 0, 8).apply(a), Fade(3, 0, 5).apply(Delay(5).apply(b))
    same(joined, blend([(part, 1) for part in parts]))
    same(joined, cross_fade(a, Delay(5).apply(b), 5, 3))
    same(then(a, b, at=0), b)
    same(then(a, b, at=12), a)
    assert then(a, b, at=0).sites["up"].heard is None and not then(a, b, at=12).sites["up"].others


def test_parts_that_the_same_frames_hear_become_one(make_motion, same):
    a, b = make_motion(0), make_motion(1)
    fade = Fade(length=5)
    both = blend([(fade.apply(a), 1), (b, 0.5), (fade.apply(b), -2)])
    assert [len(site.others) for site in both.sites.values()] == [1, 1, 1]
    same(both, blend([(fade.apply(blend([(a, 1), (b, -2)])), 1), (b, 0.5)]))
    silent = blend([(Fade(length=0).apply(a), 1), (b, 1)])
    same(silent, b)
    assert not silent.sites["up"].others and silent.rank == b.rank
    nothing = blend([(Fade(length=0).apply(a), 1)])
    assert not any(part.any() for part in as_heard(nothing.sites["up"]))


def test_each_part_is_compacted_by_itself(make_motion, same):
    a, b = make_motion(0, rank=3), make_motion(1, per_frame=True)
    small, kept = compact(then(a, b, 5), 1)
    assert small.rank == 1 and 0 < kept < 1
    for name, site in small.sites.items():
        first, last = site.voices
        same(Motion({name: first}), Motion({name: Fade(length=5).apply(compact(a, 1)[0]).sites[name]}))
        assert torch.equal(last.heard, (torch.arange(12) >= 5).float())


def test_all_parts_have_the_grid_of_one(make_motion):
    a = make_motion()
    keys = Motion({name: SiteEmbedding(site.qk) for name, site in a.sites.items()})
    joined = then(keys, a, 5)
    assert all(
        voice.grid == a.sites[name].grid for name, site in joined.sites.items() for voice in site.voices
    )


@pytest.mark.parametrize("per_frame", [False, True])
def test_an_inner_product_is_that_of_the_dense(make_motion, per_frame):
    one, other = (m.sites["up"] for m in (make_motion(0, rank=3), make_motion(1, per_frame=per_frame)))
    dense = (one.qk * other.qk).sum() + (one.v() * other.v()).sum()
    torch.testing.assert_close(inner(one, other), dense)
    torch.testing.assert_close(inner(one, SiteEmbedding(other.qk)), (one.qk * other.qk).sum())


def test_then_seen_backwards(make_motion, same):
    a, b = make_motion(0), make_motion(1)
    backwards = Reverse().apply(cross_fade(a, b, 4, 3))
    same(backwards, cross_fade(Reverse().apply(b), Reverse().apply(a), 12 - 7, 3))


def test_compact_at_full_rank_is_exact(make_motion, same):
    for motion in (
        blend([(make_motion(0), 1), (make_motion(1), 2)]),
        make_motion(per_frame=True),
        Along(PATH).apply(make_motion()),
    ):
        small, kept = compact(motion, 36)
        assert kept == pytest.approx(1, abs=1e-5)
        assert all(site.space.shape[0] == 1 for site in small.sites.values())
        same(small, motion, 1e-4)


def test_compact_finds_the_rank_again(make_motion, same):
    a = make_motion()
    wide = blend([(a, 0.3), (Mirror("x").apply(Mirror("x").apply(a)), 0.7)])
    assert wide.rank == 4
    small, kept = compact(wide, 2)
    assert (small.rank, kept) == (2, pytest.approx(1, abs=1e-5))
    same(small, a, 1e-4)


def test_compact_keeps_the_most_that_its_rank_can(make_motion):
    a = make_motion(rank=6)
    small, kept = compact(a, 2)
    whole, error, best = 0.0, 0.0, 0.0
    for name, site in a.sites.items():
        dense = site.v().flatten(1)
        whole += dense.square().sum().item()
        error += (small.sites[name].v().flatten(1) - dense).square().sum().item()
        best += torch.linalg.svdvals(dense)[2:].square().sum().item()
    assert kept == pytest.approx(1 - error / whole, abs=1e-4)
    assert error == pytest.approx(best, rel=1e-3)
    assert small.info.lineage[-1]["operation"] == {"op": "compact", "rank": 2, "kept": round(kept, 6)}


def test_compact_leaves_what_is_small_enough(make_motion):
    a = make_motion()
    small, kept = compact(a, 2)
    assert kept == 1
    assert small.hash() == a.hash()
    keys = Motion({"a": SiteEmbedding(torch.zeros(4, 3))})
    assert compact(keys, 2)[1] == 1


def test_resampled_to_itself_is_itself(make_motion, same):
    a = make_motion(latent_size=(8, 8))
    again = resampled(a, 12, {"down": (8, 8), "mid": None})
    same(again, a)
    assert again.info.latent_size == (8, 8)


def test_resampled_in_time_keeps_ends_and_comes_back(make_motion, same):
    a = make_motion(path=PATH)
    longer = resampled(a, 23)
    assert longer.frames == 23
    assert len(longer.info.path) == 23
    same(Trim(22, 1).apply(longer), Trim(11, 1).apply(a))
    same(resampled(longer, 12), a)
    assert resampled(a, 1).frames == 1


def test_resampled_in_place(make_motion, same):
    a = make_motion(latent_size=(8, 8))
    larger = resampled(a, grids={"down": (16, 16), "mid": (8, 8)})
    assert [site.grid for site in larger.sites.values()] == [(16, 16), (8, 8), (6, 6)]
    assert larger.info.latent_size is None
    same(
        resampled(Mirror("x").apply(a), grids={"down": (5, 7)}),
        Mirror("x").apply(resampled(a, grids={"down": (5, 7)})),
    )
    flat = Motion({"a": SiteEmbedding(torch.zeros(4, 3), torch.ones(1, 16, 1), torch.ones(1, 4, 3), (4, 4))})
    torch.testing.assert_close(resampled(flat, grids={"a": (3, 6)}).sites["a"].v(), torch.ones(18, 4, 3))


def test_resampling_down_averages():
    checks = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float().flatten()[None, :, None]
    a = Motion({"a": SiteEmbedding(torch.zeros(2, 1), checks, torch.ones(1, 2, 1), (8, 8))})
    torch.testing.assert_close(resampled(a, grids={"a": (4, 4)}).sites["a"].v().mean(), torch.tensor(0.5))
    assert (resampled(a, grids={"a": (4, 4)}).sites["a"].v() - 0.5).abs().max() < 0.05


def test_order_of_blend_and_place(make_motion, same):
    a, b = make_motion(0), make_motion(1)
    one_moved = blend([(Move(0.25).apply(a), 1), (b, 1)])
    both_moved = Move(0.25).apply(blend([(a, 1), (b, 1)]))
    assert not torch.allclose(one_moved.sites["down"].v(), both_moved.sites["down"].v())
    same(both_moved, blend([(Move(0.25).apply(a), 1), (Move(0.25).apply(b), 1)]))
