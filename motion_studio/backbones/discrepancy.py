"""How far each site looks in time: its attention map, averaged, and how local that is.

Temporal Discrepancy (arXiv 2403.20193, v1): sites whose frames look at their neighbours carry motion, sites
where every frame looks at the first and the last carry what the frames share.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.injection import MotionProcessor, injected

NEAR = 1
"""Frames on either side that count as neighbours."""


class _Recorder:
    """Self-attention as ever, which adds up its maps (N, N)."""

    def __init__(self, before: Any, kind: type[MotionProcessor], frames: int) -> None:
        self.before, self.kind, self.frames = before, kind, frames
        self.total: Tensor | None = None

    def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        mean = self.kind.attention_map(attn, hidden_states, self.frames, *args, **kwargs).cpu()
        self.total = mean if self.total is None else self.total + mean
        return self.before(attn, hidden_states, *args, **kwargs)


@torch.no_grad()
def attention_maps(
    backbone: Backbone,
    latents: Tensor,
    text: Tensor,
    levels: tuple[float, ...] = (0.2995, 0.5995, 0.8995),
    seed: int = 0,
) -> dict[str, Tensor]:
    """The mean attention map (N, N) of each site on latents (1, C, N, h, w), noised to each of the levels.

    Row n is where frame n looks; rows add up to 1. `levels` are shares of the timesteps, least noise first.
    """
    generator, process = torch.Generator().manual_seed(seed), backbone.process
    with backbone.lock:  # between the turns of a clip that is being made, whose processors are not the base's
        recorders = {
            name: _Recorder(backbone.layers[name].processor, backbone.processor, latents.shape[2])
            for name in backbone.sites
        }
    for level in levels:
        t = process.schedule.times(torch.tensor(level)).item()
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        with backbone.lock, injected(backbone.layers, recorders):
            backbone.predict(process.noisy(latents, noise, t), t, text)
    return {name: recorder.total / len(levels) for name, recorder in recorders.items()}


def locality(attention: Tensor) -> float:
    """How much more than evenly a map (N, N) looks at neighbouring frames: 1 only there, below 0 away."""
    near = torch.ones_like(attention).tril(NEAR).triu(-NEAR)
    even = float(near.mean())
    if even == 1:  # all frames are neighbours
        return 0.0
    return (float((attention * near).sum(-1).mean()) - even) / (1 - even)


def local_sites(maps: dict[str, Tensor]) -> list[str]:
    """The names of the sites at least as local as the middle one of them all."""
    figures = {name: locality(attention) for name, attention in maps.items()}
    middle = sorted(figures.values())[len(figures) // 2]
    return [name for name, figure in figures.items() if figure >= middle]
