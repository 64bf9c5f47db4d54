"""What a running job tells: every use case is a generator of these and ends with Done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motion_studio.video.clip import Clip


@dataclass(frozen=True)
class Progress:
    """`step` of `total` is done; `text` says in a few words what is going on."""

    step: int
    total: int
    text: str = ""


@dataclass(frozen=True)
class LossPoint:
    """The loss after learning step `step` (counted from 1)."""

    step: int
    loss: float


@dataclass(frozen=True)
class Preview:
    """A clip as it looks after step `step`; of a sweep, the clips that were `made` before it."""

    step: int
    clip: Clip
    made: tuple[Clip, ...] = ()


@dataclass(frozen=True)
class Done:
    """The job's result: a Motion, a Clip, a Render or a Sweep."""

    result: Any


Event = Progress | LossPoint | Preview | Done
