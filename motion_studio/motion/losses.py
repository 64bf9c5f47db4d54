"""What learning a motion makes small: prediction and target (B, C, F, h, w) to one number."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from motion_studio.errors import InputError

Loss = Callable[[Tensor, Tensor, torch.Generator | None], Tensor]
BETA = 1.0


def plain(prediction: Tensor, target: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The mean squared error."""
    return F.mse_loss(prediction, target)


def debiased(prediction: Tensor, target: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The mean squared error, plus that of phi(e) = sqrt(beta² + 1) e - beta e[anchor], beta = 1.

    The anchor is a random frame of each clip: what all frames share counts little, what moves counts more
    (MotionDirector, Zhao et al., arXiv 2310.08465).
    """
    # phi is linear, so the error of phi is phi of the error.
    error = prediction - target
    anchors = torch.randint(error.shape[2], (len(error),), generator=generator)
    anchor = error[torch.arange(len(error)), :, anchors][:, :, None]
    return error.square().mean() + ((BETA**2 + 1) ** 0.5 * error - BETA * anchor).square().mean()


def changes(prediction: Tensor, target: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The mean squared error less that of its mean over frames: what stands still does not count at all.

    Averaged over all pairs of frames it is half the error of their differences.
    """
    error = prediction - target
    return (error - error.mean(2, keepdim=True)).square().mean()


LOSSES: dict[str, Loss] = {"plain": plain, "debiased": debiased, "changes": changes}


def loss_named(name: str) -> Loss:
    """The loss of that name; InputError lists the known ones."""
    if name not in LOSSES:
        raise InputError(f"There is no loss {name!r}; {', '.join(LOSSES)} are allowed.")
    return LOSSES[name]
