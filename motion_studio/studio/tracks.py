"""Tracks of a mix: which motion is heard when and how strongly, and how they are laid together.

Times are frames, as in the operations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from motion_studio.errors import InputError
from motion_studio.motion.checks import Choice, Number, Whole
from motion_studio.motion.ways import LAWS

TOGETHER = ("no", *LAWS)
"""How tracks that differ are laid together: not at all, or by a law of blends."""
MAX_TRACKS = 32
MAX_OPERATIONS = 32
LONGEST = 400
"""Characters of a prompt on the page."""


@dataclass(frozen=True)
class Track:
    """One motion of a mix. Raises InputError for a field of the wrong kind."""

    motion: str
    """Its name in the library."""
    weight: float = 1.0
    """How strongly it counts; may be negative."""
    start: float = 0.0
    """The frame of the mix at which it begins; it is silent before."""
    length: float | None = None
    """For how many frames it is heard; None: to the end."""
    fade_in: float = 0.0
    """Frames from silence to full, from `start` on."""
    fade_out: float = 0.0
    """Frames from full to silence, up to its end."""
    operations: Sequence[dict[str, Any]] = ()
    """Operations as JSON, in the order in which they act."""
    prompt: str = ""
    """What it moves, in words of its own. Without them it moves what the clip's prompt says; tracks of the
    same words move one object together."""

    def __post_init__(self) -> None:
        if not isinstance(self.motion, str) or not self.motion:
            raise InputError(f"A track's motion is {self.motion!r}, a name is needed.")
        checks = {"weight": Number(-10, 10), "start": Number(0), "fade_in": Number(0), "fade_out": Number(0)}
        for name, check in checks.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))
        if self.length is not None:
            object.__setattr__(self, "length", Number(0)("length", self.length))
        if not isinstance(self.operations, list | tuple) or len(self.operations) > MAX_OPERATIONS:
            raise InputError(f"A track's operations are a list of {MAX_OPERATIONS} at most.")
        object.__setattr__(self, "operations", tuple(self.operations))
        if not isinstance(self.prompt, str) or len(self.prompt) > LONGEST:
            raise InputError(f"A track's prompt is a text of {LONGEST} characters at most.")
        object.__setattr__(self, "prompt", self.prompt.strip())

    @property
    def windowed(self) -> bool:
        """Whether it is heard in a part of the frames only."""
        return bool(self.start or self.length is not None or self.fade_in or self.fade_out)


@dataclass(frozen=True)
class Mix:
    """Tracks to sum into a motion of `frames` frames (None: those of the first track)."""

    tracks: tuple[Track, ...]
    frames: int | None = None
    together: str = "no"
    """Whether the tracks move one object, one of TOGETHER. By "mean" and "sum" each is moved along, at each
    frame, to where the mix's path is, which is the mean of theirs or their steps added up (`blend_path`).
    By "no" each puts it where its own path is, and where they differ the loudest wins."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.tracks) <= MAX_TRACKS:
            raise InputError(f"A mix has {len(self.tracks)} tracks, 1 to {MAX_TRACKS} are allowed.")
        if self.frames is not None:
            object.__setattr__(self, "frames", Whole(2, 512)("frames", self.frames))
        object.__setattr__(self, "together", Choice(TOGETHER)("together", self.together))

    @property
    def law(self) -> str:
        """Which way it goes, one of LAWS: tracks that go their own ways are drawn at the mean of them."""
        return "sum" if self.together == "sum" else "mean"

    @property
    def prompts(self) -> list[str]:
        """The tracks' prompts, each once: "", the clip's own, before all others."""
        return sorted(dict.fromkeys(track.prompt for track in self.tracks), key=bool)

    def to_json(self) -> dict[str, Any]:
        """The mix as JSON values; `from_json` makes it again."""
        tracks = [
            {**dataclasses.asdict(track), "operations": list(track.operations)} for track in self.tracks
        ]
        return {"tracks": tracks, "frames": self.frames, "together": self.together}

    @classmethod
    def from_json(cls, values: Any) -> Mix:
        """The mix that `to_json` wrote. Raises InputError, naming the track, for anything else."""
        known = {field.name for field in dataclasses.fields(Track)}
        if not isinstance(values, dict) or not isinstance(values.get("tracks"), list):
            raise InputError('A mix is an object like {"tracks": [{"motion": "circle", "weight": 1}]}.')
        if unknown := sorted(set(values) - {"tracks", "frames", "together"}):
            raise InputError(f"A mix has no {', '.join(unknown)}; tracks, frames and together are allowed.")
        tracks = []
        for number, track in enumerate(values["tracks"], 1):
            if not isinstance(track, dict) or "motion" not in track or not set(track) <= known:
                raise InputError(f"Track {number} must be an object of {', '.join(sorted(known))}.")
            with naming(number, track["motion"]):
                tracks.append(Track(**track))
        together = values.get("together", "no")
        # Before there was a choice of laws, it was true or false.
        together = {True: "mean", False: "no"}[together] if isinstance(together, bool) else together
        return cls(tuple(tracks), values.get("frames"), together)


@contextmanager
def naming(number: int, name: Any) -> Iterator[None]:
    """Says in the line of an InputError raised inside, or of one of its kinds, which track is at fault."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"Track {number} ({str(name)[:64]}): {error}") from None
