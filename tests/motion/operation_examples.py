"""One or more of every operation, for laws that all of them obey, and a path."""

from __future__ import annotations

import torch
from torch import Tensor

from motion_studio.motion.operations_place import (
    Along,
    Amplitude,
    Film,
    Follow,
    Mask,
    Mirror,
    Move,
    Turn,
    Zoom,
)
from motion_studio.motion.operations_time import Delay, Ease, Fade, Loop, Reverse, Speed, Strength, Trim

FRAMES = 12
PATH = [(0.05 * n / FRAMES, 0.1 * (n % 3) / 3) for n in range(FRAMES)]

TIME = [
    Reverse(),
    Speed(0.5),
    Speed(1.7, pivot=3),
    Speed(-0.6),
    Speed(0, pivot=4.5),
    Delay(2.5),
    Delay(-3),
    Ease("in"),
    Ease("out", 0.5),
    Ease("in-out"),
    Loop(2),
    Loop(1.5, back=True),
    Trim(2, 5),
]
GAIN = [Strength(-0.7), Strength(torch.linspace(-1, 2, FRAMES)), Fade(3, 2.5, start=1, length=8), Fade(2, 2)]
PLACE = [
    Mirror("x"),
    Mirror("y"),
    Turn(90),
    Turn(30),
    Turn(-45),
    Move(0.1, -0.07),
    Along(PATH),
    Follow([(0.02, 0.0), (0.1, 0.06)], PATH),
    Zoom(0.8),
    Zoom(1.3),
    Amplitude(1.6, PATH),
    Amplitude(-1, PATH),
    Film(0.1, -0.1, 1.2, 25),
    Film(tilt=0.15),
]
MASKS = [Mask(0.1, 0.2, 0.7, 0.9), Mask(0, 0, 0.5, 1, feather=0.2, outside=True)]
ALL = [*TIME, *GAIN, *PLACE, *MASKS]


def wave(frames: int = FRAMES, size: float = 0.15) -> Tensor:
    """A path (N, 2) that never repeats itself, well inside of the picture."""
    t = torch.linspace(0, 1, frames)
    return torch.stack([0.35 + 2 * size * t, 0.45 + size * torch.sin(4 * t + 0.5)], dim=1)


def name(operation) -> str:
    return str(list(operation.to_json().values())[:2])
