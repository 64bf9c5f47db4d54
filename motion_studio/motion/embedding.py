"""A motion: for each temporal-attention site of a model, the embeddings learnt there, and their origin.

A value embedding is kept as two factors, a few pictures over the places and what each adds to the features
at each frame: v[p, n, c] = sum_r space[n, p, r] time[r, n, c]. A motion as it is learnt has the same pictures
at every frame (`space` of first dimension 1). An operation that moves them differently at each frame gives
`space` a first dimension of N: still exact, and hundreds of times smaller than a dense v.

What plays in a part of the frames alone is not added to those frames: temporal attention hands what is added
to one frame on to all. It is heard there: frame m attends as if it was added to all, and others do not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from motion_studio.errors import MotionFileError

MAX_VOICES = 64
"""Embeddings of one layer beside each other, at most."""
Looks = Literal["raw", "centre", "difference", "background"]


@dataclass(frozen=True, eq=False)
class SiteEmbedding:
    """What is added to the features of one temporal self-attention layer of N frames and P = h·w places.

    `qk` (N, C) goes to queries and keys. `space` (1 or N, P, r), places row by row, and `time` (r, N, C) make
    up what goes to the values; both are None where there is none. `grid` is (h, w).

    `heard` (N,) is how strongly each frame hears it, None: all of them wholly. `others` are embeddings of the
    same layer beside it, without others of their own: frame m attends as if the sum of all, each times its
    heard[m], was added to every frame.
    """

    qk: Tensor
    space: Tensor | None = None
    time: Tensor | None = None
    grid: tuple[int, int] | None = None
    heard: Tensor | None = None
    others: tuple[SiteEmbedding, ...] = ()

    @property
    def voices(self) -> tuple[SiteEmbedding, ...]:
        """Itself alone, and the others."""
        return (replace(self, others=()), *self.others) if self.others else (self,)

    def each(self, function: Callable[[SiteEmbedding], SiteEmbedding]) -> SiteEmbedding:
        """The embedding with `function` applied to each of its voices."""
        first, *others = map(function, self.voices)
        return replace(first, others=tuple(others))

    @property
    def rank(self) -> int:
        """The number r of pictures in its value embedding, or the largest of the others'; 0 without one."""
        return max(0 if voice.time is None else voice.time.shape[0] for voice in self.voices)

    @property
    def places(self) -> int:
        """The number P of places of its value embedding, 0 without one."""
        return 0 if self.space is None else self.space.shape[1]

    def v(self) -> Tensor | None:
        """The dense value embedding (P, N, C), that of the others not counted."""
        if self.space is None or self.time is None:
            return None
        if self.space.shape[0] == 1:
            return torch.einsum("pr,rnc->pnc", self.space[0], self.time)
        return torch.einsum("npr,rnc->pnc", self.space, self.time)

    def onto(self, features: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        """Features (B, P, N, C) plus `gain` times the value embedding, the others' not counted.

        Nothing dense is made on the way, neither v nor its gradient, but where frames have pictures of their
        own.
        """
        if self.space is None or self.time is None:
            return features
        if self.space.shape[0] > 1:
            return features + (gain * self.v()).to(features.dtype)
        space, time = (gain * self.space).to(features.dtype), self.time.flatten(1).to(features.dtype)
        batch = (len(features), -1, -1)
        return torch.baddbmm(features.flatten(2), space.expand(batch), time.expand(batch)).view_as(features)

    def map(self, function: Callable[[Tensor], Tensor]) -> SiteEmbedding:
        """The same embedding with `function` applied to each of its tensors (a move, a cast, a copy)."""

        def mapped(voice: SiteEmbedding) -> SiteEmbedding:
            return replace(voice, **{part: function(tensor) for part, tensor in voice.tensors().items()})

        return self.each(mapped)

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by their names, those of the others not counted."""
        parts = {part: getattr(self, part) for part in ("qk", "space", "time", "heard")}
        return {part: tensor for part, tensor in parts.items() if tensor is not None}


@dataclass(frozen=True)
class MotionInfo:
    """Where a motion comes from and how it is to be played."""

    title: str = ""
    notes: str = ""
    base: str = ""
    """Name of the base model; empty when unknown."""
    base_hash: str = ""
    """Hash of the base model's weights; empty when unknown."""
    version: Literal["v1", "v2"] = "v2"
    """v1 adds `qk` to the values as well and has no `space` and `time`."""
    fps: float = 8.0
    prompt: str = ""
    latent_size: tuple[int, int] | None = None
    """Height and width of the latents that the motion was learnt on."""
    looks: Looks = "raw"
    """What has already been taken out of v."""
    carry: float = 0.0
    """Share of the noise that its camera carries along where it plays, as it was learnt for."""
    settings: dict[str, Any] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    lineage: list[dict[str, Any]] = field(default_factory=list)
    """The operations that made the motion, oldest first, each with the hashes of its parents."""
    report: dict[str, Any] = field(default_factory=dict)
    """Figures measured with this motion; an operation empties it."""
    path: list[list[float]] | None = None
    """The object's centre (x, y) at each frame, in fractions of the picture's width, y down."""
    extent: float = 0.0
    """The object's radius, in widths, as if it were a disc; 0 where none was seen."""
    sizes: list[float] | None = None
    """How large the object is at each frame, to any scale; None where that is not known."""
    turns: list[float] | None = None
    """How far the object is turned at each frame (radians, clockwise), from anywhere; None as for `sizes`."""
    camera: list[list[float]] | None = None
    """The camera at each frame since frame 0: x, y (fractions of the width), log zoom, roll (radians)."""
    followed: float = 1.0
    """How far frames are held to the path and the camera, 0 to 1: less for a motion that was made weaker."""
    date: str = ""

    def changed(self, **changes: Any) -> MotionInfo:
        """The same with some fields changed; curves may be tensors."""
        rows = {name: to.tolist() if isinstance(to, Tensor) else to for name, to in changes.items()}
        return replace(self, **rows)


@dataclass(frozen=True, eq=False)
class Motion:
    """Embeddings by the name of their site, and their provenance. Operations give new motions; none changes.

    Raises MotionFileError when the embeddings contradict each other or hold values that are not finite.
    """

    sites: dict[str, SiteEmbedding]
    info: MotionInfo = field(default_factory=MotionInfo)

    def __post_init__(self) -> None:
        if not self.sites:
            raise MotionFileError("The motion has no site; it needs at least one.")
        for name, site in self.sites.items():
            if "@" in name:  # in a file it begins the number of one of several
                raise MotionFileError(f"A site is called {name}; names without @ are allowed.")
            _check_voices(name, site)
        _check_finite(self.sites)
        frames = {name: len(site.qk) for name, site in self.sites.items()}
        if len(set(frames.values())) > 1:
            raise MotionFileError(f"Sites of one motion need the same number of frames, they have {frames}.")
        for what, width in (("path", 2), ("camera", 4)):
            _check_curve(what, getattr(self.info, what), self.frames, width)
        for what, values in (("size", self.info.sizes), ("turn", self.info.turns)):
            _check_curve(what, None if values is None else [[value] for value in values], self.frames, 1)
        if self.info.sizes is not None and min(self.info.sizes) <= 0:
            raise MotionFileError(f"A size is {min(self.info.sizes):g}, above 0 is allowed.")

    @property
    def frames(self) -> int:
        """The number N of frames."""
        return len(next(iter(self.sites.values())).qk)

    @property
    def rank(self) -> int:
        """The largest rank of any site; 0 without value embeddings."""
        return max(site.rank for site in self.sites.values())

    @property
    def aspect(self) -> float:
        """The picture's height in fractions of its width, as far as the finest grid tells; 1 when unknown."""
        grids = [site.grid for site in self.sites.values() if site.grid] or [self.info.latent_size or (1, 1)]
        height, width = max(grids, key=lambda grid: grid[0] * grid[1])
        return height / width

    def heard(self) -> Tensor:
        """How far each frame hears it (N,), 0 to 1: of parts that different frames hear, all together."""
        whole = torch.ones(self.frames)
        sites = [
            sum(whole if voice.heard is None else voice.heard.float().cpu() for voice in site.voices)
            for site in self.sites.values()
        ]
        return torch.stack(sites).amax(0).clamp(max=1)

    def path(self) -> Tensor | None:
        """The object's path (N, 2) as a tensor."""
        return None if self.info.path is None else torch.tensor(self.info.path, dtype=torch.float32)

    def sizes(self) -> Tensor | None:
        """How large the object is at each frame (N,), to any scale, as a tensor."""
        return None if self.info.sizes is None else torch.tensor(self.info.sizes, dtype=torch.float32)

    def turns(self) -> Tensor | None:
        """How far the object is turned at each frame (N,), radians clockwise, as a tensor."""
        return None if self.info.turns is None else torch.tensor(self.info.turns, dtype=torch.float32)

    def camera(self) -> Tensor | None:
        """The camera's curve (N, 4) as a tensor."""
        return None if self.info.camera is None else torch.tensor(self.info.camera, dtype=torch.float32)

    def hash(self) -> str:
        """SHA-256 over names, shapes and values of all tensors, in hexadecimal; provenance does not count."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        digest = hashlib.sha256()
        for name, site in sorted(self.sites.items()):
            for voice in site.voices:
                for part, tensor in voice.tensors().items():
                    digest.update(f"{name}.{part}{tuple(tensor.shape)}".encode())
                    digest.update(tensor.detach().cpu().float().contiguous().numpy().data)
        return digest.hexdigest()

    def replace_info(self, **changes: Any) -> Motion:
        """The same embeddings with some fields of their provenance changed; curves may be tensors."""
        return replace(self, info=self.info.changed(**changes))

    def derived(self, sites: dict[str, SiteEmbedding], operation: dict[str, Any], **changes: Any) -> Motion:
        """What `operation` (as JSON) makes of this motion: other embeddings, one more entry of lineage.

        What was measured with this motion and its date do not carry over. Curves may be tensors.
        """
        entry = {"operation": operation, "parents": [self.hash()]}
        lineage = [*self.info.lineage, entry]
        return Motion(sites, self.info.changed(**{"lineage": lineage, "report": {}, "date": "", **changes}))

    def map(self, function: Callable[[Tensor], Tensor]) -> Motion:
        """The same motion with `function` applied to each tensor, such as `lambda t: t.to("cuda")`."""
        return replace(self, sites={name: site.map(function) for name, site in self.sites.items()})


def _check_voices(name: str, site: SiteEmbedding) -> None:
    if len(site.voices) > MAX_VOICES:
        raise MotionFileError(
            f"{name} has {len(site.voices)} parts that different frames hear, {MAX_VOICES} are allowed."
        )
    for voice in site.voices:
        _check_site(name, voice)
        if voice.qk.shape != site.qk.shape or voice.grid != site.grid or voice.others:
            raise MotionFileError(f"{name} has others beside it that do not fit, or have others themselves.")


def _check_site(name: str, site: SiteEmbedding) -> None:
    if site.qk.ndim != 2 or 0 in site.qk.shape:
        raise MotionFileError(f"{name}.qk has shape {tuple(site.qk.shape)}, (frames, channels) is allowed.")
    if (site.space is None) != (site.time is None):
        lacking = "space" if site.space is None else "time"
        raise MotionFileError(
            f"{name} lacks {lacking}: a value embedding has both space and time, or neither."
        )
    if site.grid is not None and (len(site.grid) != 2 or min(site.grid) < 1):
        raise MotionFileError(f"{name} has the grid {site.grid}, (height, width) of at least 1 is allowed.")
    if site.space is not None and site.time is not None:
        _check_factors(name, site.qk, site.space, site.time, site.grid)
    if site.heard is not None and site.heard.shape != site.qk.shape[:1]:
        raise MotionFileError(
            f"{name}.heard has shape {tuple(site.heard.shape)}, ({len(site.qk)},) is allowed."
        )
    if site.heard is not None and not 0 <= site.heard.min() <= site.heard.max() <= 1 + 1e-6:
        raise MotionFileError(f"{name}.heard holds values outside of 0 to 1, or that are not finite.")
    for part, tensor in site.tensors().items():
        if not tensor.is_floating_point():
            raise MotionFileError(f"{name}.{part} is {tensor.dtype}, a kind of float is allowed.")


def _check_finite(sites: dict[str, SiteEmbedding]) -> None:
    parts = [
        (f"{name}.{part}", tensor.detach())
        for name, site in sites.items()
        for voice in site.voices
        for part, tensor in voice.tensors().items()
    ]
    # All in one look, ten times faster than isfinite: playing a motion makes it anew several times.
    ends = torch.cat([tensor.flatten() for _, tensor in parts]).aminmax()
    if bool(torch.stack(ends).isfinite().all()):
        return
    for name, tensor in parts:
        if not bool(tensor.isfinite().all()):
            raise MotionFileError(f"{name} holds values that are not finite numbers.")


def _check_factors(name: str, qk: Tensor, space: Tensor, time: Tensor, grid: tuple[int, int] | None) -> None:
    frames, channels = qk.shape
    if time.ndim != 3 or time.shape[1:] != qk.shape or not len(time):
        raise MotionFileError(
            f"{name}.time has shape {tuple(time.shape)}, (rank, {frames}, {channels}) is allowed."
        )
    if space.ndim != 3 or space.shape[0] not in (1, frames) or space.shape[2] != len(time):
        raise MotionFileError(
            f"{name}.space has shape {tuple(space.shape)}, (1 or {frames}, places, {len(time)}) is allowed."
        )
    if grid is None or grid[0] * grid[1] != space.shape[1]:
        raise MotionFileError(f"{name} has {space.shape[1]} places, its grid {grid} (height, width) differs.")


def _check_curve(what: str, rows: list[list[float]] | None, frames: int, width: int) -> None:
    if rows is None:
        return
    if len(rows) != frames or any(len(row) != width for row in rows):
        raise MotionFileError(
            f"The {what} has {len(rows)} rows of {sorted({*map(len, rows)})} numbers, "
            f"{frames} rows of {width} numbers are allowed."
        )
    if not torch.tensor(rows).isfinite().all():
        raise MotionFileError(f"The {what} holds values that are not finite numbers.")
