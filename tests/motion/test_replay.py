"""Orders in which a clip is learnt, and the embedding read in the same one."""

from __future__ import annotations

import pytest
import torch

from motion_studio.motion.embedding import SiteEmbedding
from motion_studio.motion.operations_time import Reverse
from motion_studio.motion.replay import draw_order, in_order, stretched_order


@pytest.mark.parametrize("frames", [2, 7, 16])
def test_orders_run_by_steps_of_one_or_hold_an_end(frames):
    generator = torch.Generator().manual_seed(0)
    orders = [draw_order(frames, generator) for _ in range(200)]
    for order in orders:
        assert order.shape == (frames,) and int(order.min()) >= 0 and int(order.max()) < frames
        assert set(order.diff().tolist()) <= {0, 1} or set(order.diff().tolist()) <= {0, -1}
    plain = sum(torch.equal(order, torch.arange(frames)) for order in orders)
    backwards = sum(torch.equal(order, torch.arange(frames).flip(0)) for order in orders)
    assert min(plain, backwards) > 200 * 0.15  # a quarter of each are expected
    # Which end is held, and how long, is in the sum of the ends.
    shifts = [int(order[0] + order[-1]) - (frames - 1) for order in orders]
    assert sum(shift != 0 for shift in shifts) > 200 * 0.15
    assert -frames / 2 - 0.5 <= min(shifts) < -frames / 4 and frames / 4 < max(shifts) <= frames / 2 + 0.5


def test_the_same_generator_draws_the_same_orders():
    one, two = (
        torch.stack([draw_order(16, generator) for _ in range(9)])
        for generator in (torch.Generator().manual_seed(seed) for seed in (3, 3))
    )
    assert torch.equal(one, two)


def test_an_order_stretched_keeps_its_ends_and_its_way():
    backwards = torch.arange(5).flip(0)
    assert torch.equal(stretched_order(backwards, 17), torch.arange(17).flip(0))
    later = torch.tensor([0, 0, 0, 1, 2])
    assert stretched_order(later, 9).tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4]
    assert stretched_order(later, 5) is later


def test_it_is_what_the_operation_makes_and_gradients_pass(make_motion):
    motion = make_motion()
    backwards = torch.arange(motion.frames).flip(0)
    for name, site in Reverse().apply(motion).sites.items():
        assert torch.equal(in_order(motion.sites[name], backwards).v(), site.v())
        assert torch.equal(in_order(motion.sites[name], backwards).qk, site.qk)
    leaf = torch.zeros(3, 2, requires_grad=True)
    in_order(SiteEmbedding(leaf), torch.tensor([0, 0, 2])).qk.sum().backward()
    assert leaf.grad.tolist() == [[2, 2], [0, 0], [1, 1]]
