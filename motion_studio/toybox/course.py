"""What each step of the training is on: which clips, how many of their frames, how much noise, which rate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motion_studio.toybox.data import LatentPool

FRAMES = (2, 4, 2, 16)
"""Frames a clip in one training step after another."""


@dataclass(frozen=True)
class Stage:
    """What a step trains on: which clips are drawn, how many of their frames in turn, what share is noise."""

    clips: str
    frames: tuple[int, ...]
    drowned: float


@dataclass(frozen=True)
class Course:
    """The order in which the built-in model learns, in steps.

    A word of motion and the frame's index act only together, a saddle that mixed training did not leave in
    thousands of steps. The drill leaves it, once the text encoder knows which way words go: wide straight
    motions out of nothing but noise, then at all levels of noise, so that words learn to be silent where the
    picture speaks. Turns do so for words that turn. Lessons add the other words, on more frames: two of them
    cannot show a circle.
    """

    steps: int
    drill_at: int
    """The step before which words are drilled."""
    drill_steps: int
    """0 for lessons without a drill."""
    turn_steps: int
    """After the drill, steps for words that turn."""
    lessons_until: int
    """After the drill, steps that stress motions' words."""
    thin_until: float
    """Share of the steps with thinned clips."""
    fall: float
    """Share of the steps in which the rate falls."""

    def stage(self, step: int) -> Stage:
        """Return the stage a step belongs to."""
        since = step - self.drill_at
        whole = step >= self.thin_until * self.steps
        if 0 <= since < self.drill_steps:
            return Stage("drill", (4, 2), 1.0 if since < self.drill_steps / 2 else 0.5)
        if 0 <= since < self.drill_steps + self.turn_steps:
            return Stage("turns", (4, 4, 4, 16), 0.7)
        if since >= 0 and step < self.lessons_until:
            return Stage("lessons", (4, 8, 16), 0.3)
        return Stage("any", (16,) if whole else FRAMES, 0.2 if since >= 0 else 0.0)

    def begins(self, step: int) -> bool:
        """Whether other clips are drawn from this step on."""
        return self.stage(step).clips != self.stage(step - 1).clips

    def forgets(self, step: int) -> bool:
        """Whether it is so new that what the optimiser knows of gradients would mislead its first steps."""
        return self.begins(step) and self.stage(step).clips in ("drill", "turns")

    def teaches(self, step: int) -> bool:
        """Whether the text encoder is taught which way words go, before this step: before the first drill."""
        return self.forgets(step) and self.stage(step - 1).clips != "drill"

    def taught(self, step: int) -> bool:
        """Whether it has been, before that step."""
        return bool(self.drill_steps + self.turn_steps) and step > self.drill_at

    def rate(self, step: int) -> float:
        """Return the factor of the learning rate: a short rise, level, and a fall over the last share `fall`.

        It rises once more where the optimiser forgets.
        """
        fresh = (0, self.drill_at, self.drill_at + self.drill_steps)
        since = step - max(begun for begun in fresh if begun <= step)
        return min(1.0, (since + 1) / 50, (self.steps - step) / (self.fall * self.steps))


def thinned(
    pool: LatentPool, whole: int, count: int, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Draw clips with `count` of their 16 frames, and say which: all, or one of each half, quarter or eighth.

    As many frames as `whole` clips have. Thinned clips still show their whole motion, and many more captions
    fit the same step.
    """
    latents, ids, cover = pool.batch(whole * 16 // count)
    part = latents.shape[2] // count
    device = latents.device
    frames = torch.randint(part, (count,), generator=generator, device=device)
    frames = torch.arange(count, device=device) * part + frames
    return (latents[:, :, frames], ids, cover[:, frames]), frames
