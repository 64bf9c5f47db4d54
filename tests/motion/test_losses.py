from __future__ import annotations

import pytest
import torch

from motion_studio.errors import InputError
from motion_studio.motion.losses import LOSSES, loss_named


@pytest.mark.parametrize("name", LOSSES)
def test_zero_at_the_target_and_a_gradient_elsewhere(name):
    target = torch.randn(2, 4, 6, 3, 3)
    assert loss_named(name)(target, target, None) == 0
    prediction = (target + 0.1 * torch.rand_like(target)).requires_grad_()
    loss = loss_named(name)(prediction, target, torch.Generator().manual_seed(0))
    loss.backward()
    assert loss.shape == () and loss > 0 and prediction.grad.abs().min() > 0


def test_plain_is_the_mean_squared_error():
    a, b = torch.randn(2, 4, 6, 3, 3), torch.randn(2, 4, 6, 3, 3)
    torch.testing.assert_close(LOSSES["plain"](a, b, None), ((a - b) ** 2).mean())


def test_debiased_is_the_formula():
    a, b = torch.randn(2, 4, 6, 3, 3), torch.randn(2, 4, 6, 3, 3)
    anchors = torch.randint(6, (2,), generator=torch.Generator().manual_seed(5))

    def phi(e):
        return torch.stack([2**0.5 * clip - clip[:, n, None] for clip, n in zip(e, anchors, strict=True)])

    expected = ((a - b) ** 2).mean() + ((phi(a) - phi(b)) ** 2).mean()
    torch.testing.assert_close(LOSSES["debiased"](a, b, torch.Generator().manual_seed(5)), expected)


def test_debiased_counts_shared_errors_less_than_moving_ones():
    shared = torch.randn(1, 4, 1, 8, 8).expand(1, 4, 6, 8, 8)
    moving = torch.randn(1, 4, 6, 8, 8)
    moving = moving * (shared.square().mean() / moving.square().mean()).sqrt()
    loss = LOSSES["debiased"]
    assert loss(shared, 0 * shared, None) < 0.5 * loss(moving, 0 * moving, None)


def test_changes_is_half_the_error_of_differences_between_frames():
    a, b = torch.randn(2, 4, 6, 3, 3), torch.randn(2, 4, 6, 3, 3)
    error = a - b
    pairs = (error[:, :, :, None] - error[:, :, None]).square().mean() / 2
    torch.testing.assert_close(LOSSES["changes"](a, b, None), pairs)
    still = torch.randn(1, 4, 1, 8, 8).expand(1, 4, 6, 8, 8)
    assert LOSSES["changes"](still, 0 * still, None) < 1e-12


def test_unknown_loss():
    with pytest.raises(InputError, match="'huber'; plain, debiased, changes are allowed"):
        loss_named("huber")
