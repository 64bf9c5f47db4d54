"""Operations on the frames of a motion: when it runs, how fast, which way round and how strongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from motion_studio.errors import InputError
from motion_studio.motion.carried import rested
from motion_studio.motion.checks import Choice, Flag, Number, Values, Whole, parameter
from motion_studio.motion.embedding import Motion
from motion_studio.motion.factors import heard_by
from motion_studio.motion.operation import Operation, TimeOperation, checked_path, require_frames


@dataclass(frozen=True)
class Reverse(TimeOperation):
    """The last frame first."""

    op: ClassVar[str] = "reverse"

    def positions(self, frames: int) -> Tensor:
        return super().positions(frames).flip(0)


@dataclass(frozen=True)
class Speed(TimeOperation):
    """Faster or slower about a frame that stays; 0 holds that frame, below 0 the reversed motion runs."""

    op: ClassVar[str] = "speed"
    factor: float = parameter(Number(-8, 8))
    """Frames of the motion a new frame."""
    pivot: float = parameter(Number(0), 0.0)
    """The frame that stays where it is (of the reversed motion when the factor is negative)."""

    def positions(self, frames: int) -> Tensor:
        if self.pivot > frames - 1:
            raise InputError(
                f"speed.pivot is {self.pivot:g}, 0 to {frames - 1} is allowed for {frames} frames."
            )
        positions = self.pivot + (super().positions(frames) - self.pivot) * abs(self.factor)
        positions = positions.clamp(0, frames - 1)
        return frames - 1 - positions if self.factor < 0 else positions


@dataclass(frozen=True)
class Delay(TimeOperation):
    """Later by some frames, the first one held till then; earlier below 0, the last one held after."""

    op: ClassVar[str] = "delay"
    frames: float = parameter(Number())

    def positions(self, frames: int) -> Tensor:
        return super().positions(frames) - self.frames


@dataclass(frozen=True)
class Ease(TimeOperation):
    """Starting slowly (in), ending slowly (out) or both, with the same first and last frame."""

    op: ClassVar[str] = "ease"
    kind: Literal["in", "out", "in-out"] = parameter(Choice(("in", "out", "in-out")))
    amount: float = parameter(Number(0, 1), 1.0)
    """0 leaves the motion as it is, 1 comes to a full stop at the slow end."""

    def positions(self, frames: int) -> Tensor:
        last = max(frames - 1, 1)
        u = super().positions(frames) / last
        eased = {"in": u**2, "out": u * (2 - u), "in-out": u**2 * (3 - 2 * u)}[self.kind]
        return (u + self.amount * (eased - u)) * last


@dataclass(frozen=True)
class Loop(TimeOperation):
    """Several times over in as many frames, jumping back to the start or running there and back."""

    op: ClassVar[str] = "loop"
    times: float = parameter(Number(0.125, 64))
    """How many rounds; one round there and back ends where it began."""
    back: bool = parameter(Flag(), False)
    """Run back to the start instead of jumping there."""

    def positions(self, frames: int) -> Tensor:
        steps = super().positions(frames) * self.times
        if not self.back:
            return steps.remainder(frames)
        last = max(frames - 1, 1)
        return (1 - (1 - (2 * steps / last).remainder(2)).abs()) * last


@dataclass(frozen=True)
class Strength(TimeOperation):
    """Weaker or stronger, the same at all frames or a value a frame; `qk` is scaled along with v."""

    op: ClassVar[str] = "strength"
    value: float | tuple[float, ...] = parameter(Values())
    """One number, or one a frame."""

    def gain(self, frames: int) -> Tensor:
        if isinstance(self.value, tuple):
            require_frames("strength.value", len(self.value), frames)
        return torch.tensor(self.value).expand(frames)


@dataclass(frozen=True)
class Trim(TimeOperation):
    """A part of the motion, as a motion of fewer frames."""

    op: ClassVar[str] = "trim"
    start: int = parameter(Whole(0))
    length: int = parameter(Whole(1))

    def positions(self, frames: int) -> Tensor:
        if self.start + self.length > frames:
            raise InputError(
                f"trim asks for frames {self.start} to {self.start + self.length - 1}, "
                f"0 to {frames - 1} are allowed for {frames} frames."
            )
        return torch.arange(self.start, self.start + self.length, dtype=torch.float64)


@dataclass(frozen=True)
class Fade(Operation):
    """Fading in and out, and heard in a part of the frames only. Overlapping by its length, two add up to 1.

    It does not scale what the motion adds to frames, but by how much each of them hears all of it: nothing of
    it goes on, through temporal attention, in frames that do not, and in those that do it is whole.
    """

    op: ClassVar[str] = "fade"
    in_frames: float = parameter(Number(0), 0.0)
    out_frames: float = parameter(Number(0), 0.0)
    start: float = parameter(Number(), 0.0)
    """The frame at which it becomes heard."""
    length: float | None = parameter(Number(0, optional=True), None)
    """For how many frames; None: to the end."""

    def gain(self, frames: int) -> Tensor:
        """By how much each frame hears it."""
        end = frames if self.length is None else self.start + self.length
        fading_in = ramp(frames, self.start, self.in_frames)
        return fading_in * (1 - ramp(frames, end - self.out_frames, self.out_frames))

    def apply_path(self, path: Tensor, aspect: float = 1.0) -> Tensor:
        return checked_path(path)

    def apply_strength(self, curve: Tensor) -> Tensor:
        return self.gain(len(curve)).to(curve) * curve

    def apply(self, motion: Motion) -> Motion:
        faded = heard_in(motion, self.gain(motion.frames))
        return motion.derived(faded.sites, self.to_json(), camera=faded.info.camera)


def heard_in(motion: Motion, weight: Tensor) -> Motion:
    """The motion as far as each frame is to hear it, 0 to 1 (N,), and its camera gone on as far."""
    sites = {name: heard_by(site, weight) for name, site in motion.sites.items()}
    camera = motion.camera()
    return Motion(sites, motion.info.changed(camera=None if camera is None else rested(camera, weight)))


def ramp(frames: int, start: float, length: float) -> Tensor:
    """0 before frame `start`, 1 from `start + length` on, linear between, read in the middle of each frame.

    Reading in the middle makes a ramp run backwards its own mirror image: ramp + reversed ramp = 1.
    """
    since = torch.arange(frames) + 0.5 - start
    return (since / length).clamp(0, 1) if length > 0 else (since >= 0.5).float()
