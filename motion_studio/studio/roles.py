"""Objects with words of their own: each is drawn by its prompt and its motion, in its part of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from motion_studio.motion.embedding import Motion
from motion_studio.motion.factors import stretched
from motion_studio.motion.operations_place import Film
from motion_studio.motion.regions import Object, regions
from motion_studio.settings import FILM, GenerationSettings


@dataclass(frozen=True)
class Role:
    """What `prompt` names (of a clip's first role "" is the clip's own), moved by `motion`.

    `path` (N, 2), in widths, is where it goes, NaN at frames without it, and None where it is not known.
    """

    prompt: str
    motion: Motion
    path: Tensor | None

    def filmed(self, settings: GenerationSettings, motion: Motion) -> Role:
        """The role with its motion as a camera sees it that the settings move, and its path seen so, too."""
        if not settings.films:
            return replace(self, motion=motion)
        film = Film(**{name: getattr(settings, name) for name in FILM})
        moved = film.apply_path(self.path.nan_to_num(), self.motion.aspect)
        return replace(self, motion=motion, path=torch.where(self.path.isnan(), torch.nan, moved))

    def object(self, frames: int) -> Object:
        """Its path at `frames` frames, and its radius."""
        return stretched(self.path, frames), self.motion.info.extent


def shares(beside: Sequence[Role], motion: Motion | None, shape: tuple[int, ...]) -> list[Tensor]:
    """How far each place of latents (1, C, N, h, w) is drawn by each of the roles `beside`, (N, h, w).

    All else the first draws, whose `motion` keeps its object's place against theirs where its path is known.
    """
    objects = [role.object(shape[2]) for role in beside]
    path = None if motion is None else motion.path()
    if path is not None:
        objects.append((stretched(path, shape[2]), motion.info.extent))
    return list(regions(objects, shape[3:])[: len(beside)]) if beside else []
