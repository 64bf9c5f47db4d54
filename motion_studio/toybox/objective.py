"""What the built-in model is trained for: the weighted error of v, and how much of a motion words explain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motion_studio.backbones.toybox_build import at_frames
from motion_studio.toybox.data import LatentPool

CHANGE_WEIGHT = 4.0
"""How much more the error counts that changes from frame to frame: most of what words say of a motion is in
it, and none of the still ground, which noise hides and nobody can know."""
DEPTH = 0.35
"""Drowned clips have at least 1 - DEPTH of all noise levels: a circle names no way to go, and first shows
where the noise leaves a little of it to see."""
OBJECT_WEIGHT = 3.0
"""How much more the error counts where the object is: it fills a tenth of the picture."""
LEVELS = 2.5, 1.5
"""The exponents of Kumaraswamy's distribution of noise levels: half lie in .6 to .9, where the word of a
shape changes most of what is drawn. Above, noise hides it; below, the picture itself shows it."""


class Denoiser(nn.Module):
    """Text encoder and UNet as one module, so that one optimiser and one average hold both."""

    def __init__(self, text: nn.Module, unet: nn.Module) -> None:
        super().__init__()
        self.text, self.unet = text, unet

    def forward(self, noisy: Tensor, timestep: Tensor, ids: Tensor) -> Tensor:
        """Predict v (B, C, F, h, w) from noisy latents of that shape, timesteps (B,) and token ids (B, L)."""
        words = self.text(ids).last_hidden_state.repeat_interleave(noisy.shape[2], 0)
        return self.unet(noisy, timestep, words).sample


def loss_of(
    model: nn.Module,
    latents: Tensor,
    ids: Tensor,
    cover: Tensor,
    alphas: Tensor,
    generator: torch.Generator,
    drowned: float = 0.0,
) -> Tensor:
    """Return the squared error of v at a noise level drawn for each clip, changes and objects weighted up.

    Levels are spread evenly over the clips of a step (Kingma et al., arXiv 2107.00630). Changes are a fixed
    part of the error, so that their weight moves no optimum, only how soon it is found. The object's weight
    fades with the signal's root: where noise hides the object, a weight on it would draw objects everywhere.
    The first `drowned` share of the clips are little or nothing but noise, where only words say what moves;
    there changes count twice as much again.
    """
    count, device = len(latents), latents.device
    share = _spread(count, generator, device)
    first, second = LEVELS
    level = (1 - (1 - share) ** (1 / second)) ** (1 / first)
    drown = torch.arange(count, device=device) < drowned * count
    level = torch.where(drown, 1 - DEPTH * share**1.6 if drowned < 1 else 1.0, level)
    timestep = (level * len(alphas)).long().clamp(max=len(alphas) - 1)
    noise = torch.randn(latents.shape, generator=generator, device=device)
    signal = alphas[timestep].sqrt().view(-1, 1, 1, 1, 1)
    spread = (1 - alphas[timestep]).sqrt().view(-1, 1, 1, 1, 1)
    predicted = model(signal * latents + spread * noise, timestep, ids)
    error = predicted.float() - (signal * noise - spread * latents)
    still = error.mean(2, keepdim=True)
    weight = CHANGE_WEIGHT * (1 + drown.float()).view(-1, 1, 1, 1, 1)
    error = (still.square() + weight * (error - still).square()).mean(1)
    return (error * (1 + OBJECT_WEIGHT * signal[:, 0].sqrt() * cover)).mean()


def _spread(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw `count` numbers between 0 and 1, one from each of as many equal parts, in any order."""
    part = torch.randperm(count, generator=generator, device=device)
    return (part + torch.rand(count, generator=generator, device=device)) / count


@torch.no_grad()
def explained(model: Denoiser, pool: LatentPool, alphas: Tensor) -> float:
    """Return the share of what changes from frame to frame that captions explain when all else is noise.

    On four frames of each clip in `pool`; v is then the clip itself with its sign turned. Below .06 the words
    of motion say nothing to the model.
    """
    frames = torch.tensor([1, 6, 10, 15], device=alphas.device)
    latents, ids, _ = pool.kept
    latents = latents[:, :, frames].float()
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0)).to(alphas.device)
    timestep = torch.full((len(latents),), len(alphas) - 1, device=alphas.device)
    with at_frames(model.unet, frames):
        guess = -model(noise, timestep, ids)
    change, guess = (x - x.mean(2, keepdim=True) for x in (latents, guess))
    return 1 - ((change - guess).square().sum() / change.square().sum()).item()
