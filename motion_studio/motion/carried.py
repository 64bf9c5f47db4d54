"""Noise that the camera carries along: what a model makes of it moves as the camera's curve says."""

from __future__ import annotations

import torch
from torch import Tensor

from motion_studio.errors import InputError

FINE = 4
"""Points of the noise plane along each side of a latent cell."""
PLANE = 2
"""Side of the noise plane in picture widths; beyond it the plane begins again."""
ZOOM_AT = 0.35
"""Distance from the picture's centre at which zoom and roll count as shifts, in widths."""
WHOLE = 0.05
"""Spread of the ground's shifts, in widths, from which on all of the noise is carried."""
RESTS = 0.02
"""Share of `WHOLE` below which a camera is at rest: what tracking gives of one is .006 at most."""


def camera_maps(camera: Tensor) -> tuple[Tensor, Tensor]:
    """What a camera's curve (F, 4) makes of points from the centre: linear maps (F, 2, 2), shifts (F, 2)."""
    cos, sin = camera[:, 3].cos(), camera[:, 3].sin()
    turns = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    return camera[:, 2].exp()[:, None, None] * turns, camera[:, :2]


def rebased(camera: Tensor) -> Tensor:
    """A camera's curve (F, 4) as seen from its own first frame, which is then at rest."""
    linear, shifts = camera_maps(camera)
    since = linear @ torch.linalg.inv(linear[0])
    return torch.cat([shifts - since @ shifts[0], camera[:, 2:] - camera[0, 2:]], dim=1)


def camera_steps(camera: Tensor) -> Tensor:
    """From each frame of a camera's curve (N, 4) to the next, as seen from that frame, (N-1, 4)."""
    steps = camera.diff(dim=0)
    linear, _ = camera_maps(steps)
    return torch.cat([camera[1:, :2] - (linear @ camera[:-1, :2, None])[:, :, 0], steps[:, 2:]], dim=1)


def camera_from_steps(steps: Tensor) -> Tensor:
    """The curve (N, 4) of a camera that begins at rest and goes on by `steps` (N-1, 4)."""
    linear, moved = camera_maps(steps)
    shifts = [steps.new_zeros(2)]
    for turn, move in zip(linear, moved, strict=True):
        shifts.append(turn @ shifts[-1] + move)
    since = torch.cat([steps.new_zeros(1, 2), steps[:, 2:].cumsum(0)])
    return torch.cat([torch.stack(shifts), since], dim=1)


def rested(camera: Tensor, heard: Tensor) -> Tensor:
    """A camera's curve (N, 4) that goes on only as far as each frame hears it, 0 to 1 (N,)."""
    return camera_from_steps(heard[1:, None] * camera_steps(camera))


def carried_back(camera: Tensor, height: int, width: int) -> Tensor:
    """Where the ground at each pixel was in frame 0, (F, 2, H, W), from the picture's centre in widths.

    `camera` (F, 4) is as in `video.tracks`.
    """
    y = (torch.arange(height).to(camera) + 0.5 - height / 2) / width
    x = (torch.arange(width).to(camera) + 0.5 - width / 2) / width
    dx, dy, zoom, roll = camera.T[:, :, None, None]
    cos, sin = roll.cos() * (-zoom).exp(), roll.sin() * (-zoom).exp()
    x, y = x[None, None, :] - dx, y[None, :, None] - dy
    return torch.stack([cos * x + sin * y, cos * y - sin * x], 1)


def carried_along(camera: Tensor, places: Tensor) -> Tensor:
    """Where ground at places (N, 2, H, W) of frame 0 is in each frame, (F, N, 2, H, W), as `carried_back`."""
    linear, shifts = camera_maps(camera)
    return torch.einsum("fij,njhw->fnihw", linear, places) + shifts[:, None, :, None, None]


def moving(camera: Tensor) -> float:
    """How much of the noise a camera's curve (F, 4) carries, 0 to 1: none at rest, all from `WHOLE` on.

    A camera at rest would give all frames the same noise, and what moves before it would be held back.
    """
    shifts = camera * camera.new_tensor([1, 1, ZOOM_AT, ZOOM_AT])
    spread = (shifts - shifts.mean(0)).square().sum(1).mean().sqrt()
    share = min(1.0, float(spread) / WHOLE)
    return share if share >= RESTS else 0.0


class CarriedNoise:
    """Unit noise seen as a camera's curve (F, 4) moves, on latents of `height` x `width` cells.

    Each value is the sum of a noise plane's points in its cell, over the root of their number, so that within
    a frame noise stays white (Chang et al., arXiv 2504.03072) but for a zoom in, which shows points more than
    once. Where the points lie is found once: learning draws at every step.
    """

    def __init__(self, camera: Tensor, height: int, width: int) -> None:
        self.side = side = PLANE * width * FINE
        at = carried_back(camera.double().cpu(), height * FINE, width * FINE) * width * FINE
        at = at.floor().long() % side
        cells = (at[:, 1] * side + at[:, 0]).unflatten(2, (width, FINE)).unflatten(1, (height, FINE))
        self.points = cells.transpose(2, 3).flatten(3)  # (F, h, w, FINE²)
        # Points that are met twice count twice: the variance is the number of pairs that are the same.
        pairs = [(frame[..., None] == frame[..., None, :]).sum((-1, -2)) for frame in self.points]
        self.spread = torch.stack(pairs).sqrt()

    def draw(self, batch: int, channels: int, generator: torch.Generator | None = None) -> Tensor:
        """Noise (B, C, F, h, w), one plane of it a clip."""
        plane = torch.randn(batch, channels, self.side**2, generator=generator)
        frames = zip(self.points, self.spread, strict=True)
        return torch.stack([plane[:, :, points].sum(-1) / spread for points, spread in frames], 2)


def carried_noise(shape: tuple[int, ...], camera: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """`CarriedNoise` of `shape` (B, C, F, h, w), once; InputError for a curve of another length than F."""
    batch, channels, frames, height, width = shape
    if camera.shape != (frames, 4):
        raise InputError(f"The camera has shape {tuple(camera.shape)}; ({frames}, 4) is allowed.")
    return CarriedNoise(camera, height, width).draw(batch, channels, generator)
