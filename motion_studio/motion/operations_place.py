"""Operations on the picture of a motion: which way it points, where it is, how large, and how much of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from motion_studio.errors import InputError
from motion_studio.motion.carried import camera_maps
from motion_studio.motion.checks import Choice, Flag, Number, Points, parameter
from motion_studio.motion.embedding import Motion
from motion_studio.motion.factors import stretched, through_mask, through_place
from motion_studio.motion.operation import (
    Operation,
    PlaceOperation,
    checked_path,
    require_frames,
    require_places,
)


@dataclass(frozen=True)
class Mirror(PlaceOperation):
    """Left for right (x) or top for bottom (y)."""

    op: ClassVar[str] = "mirror"
    axis: Literal["x", "y"] = parameter(Choice(("x", "y")))

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        return (
            _about_centre(-1.0, 0.0, 0.0, 1.0, aspect)
            if self.axis == "x"
            else _about_centre(1, 0, 0, -1, aspect)
        )

    def apply(self, motion: Motion) -> Motion:
        """The motion mirrored, its object turning the other way round."""
        turns = motion.turns()
        return super().apply(motion).replace_info(turns=None if turns is None else -turns)


@dataclass(frozen=True)
class Turn(PlaceOperation):
    """Turned about the picture's centre, clockwise as seen; quarter turns of a square grid are exact."""

    op: ClassVar[str] = "turn"
    degrees: float = parameter(Number())

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        quarters, rest = divmod(self.degrees, 90)
        if rest:
            cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        else:
            cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[int(quarters) % 4]
        return _about_centre(cos, -sin, sin, cos, aspect)


@dataclass(frozen=True)
class Move(PlaceOperation):
    """Shifted, in fractions of the picture's width."""

    op: ClassVar[str] = "move"
    x: float = parameter(Number(-4, 4), 0.0)
    """To the right."""
    y: float = parameter(Number(-4, 4), 0.0)
    """Down."""

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        return _shifts(torch.tensor([[self.x, self.y]], dtype=torch.float64))


@dataclass(frozen=True)
class Along(PlaceOperation):
    """Shifted by another amount at each frame: a path on top of the motion's own."""

    op: ClassVar[str] = "along"
    path: tuple[tuple[float, float], ...] = parameter(Points())
    """The shift (x, y) at each frame, in fractions of the picture's width, y down."""

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        require_frames("along.path", len(self.path), frames)
        return _shifts(torch.tensor(self.path, dtype=torch.float64))


@dataclass(frozen=True)
class Follow(PlaceOperation):
    """On another way in place of its own: frame n shifted from path[n] to it, as a hand may have drawn it."""

    op: ClassVar[str] = "follow"
    path: tuple[tuple[float, float], ...] = parameter(Points())
    """The way (x, y), in fractions of the picture's width, y down: its points are evenly apart in time, the
    first at the first frame and the last at the last."""
    own: tuple[tuple[float, float], ...] | None = parameter(Points(optional=True), None)
    """The path that it leaves; None: the motion's own tracked path."""

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        if self.own is not None:
            path = torch.tensor(self.own)
        if path is None:
            raise InputError("follow needs the object's own path: the motion has none and none was given.")
        require_frames("follow.own", len(path), frames)
        way = stretched(torch.tensor(self.path, dtype=torch.float64), frames)
        return _shifts(way - path)


@dataclass(frozen=True)
class Zoom(PlaceOperation):
    """Larger or smaller about the picture's centre."""

    op: ClassVar[str] = "zoom"
    factor: float = parameter(Number(0.1, 10))

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        return _about_centre(self.factor, 0.0, 0.0, self.factor, aspect)


@dataclass(frozen=True)
class Amplitude(PlaceOperation):
    """A larger or smaller way from the same start: frame n shifted by (factor - 1) (path[n] - path[0]).

    0 stays at the start, -1 goes the opposite way.
    """

    op: ClassVar[str] = "amplitude"
    factor: float = parameter(Number(-4, 4))
    path: tuple[tuple[float, float], ...] | None = parameter(Points(optional=True), None)
    """The object's path, in fractions of the picture's width; None: the motion's own tracked path."""

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        if self.path is not None:
            path = torch.tensor(self.path)
        if path is None:
            raise InputError("amplitude needs the object's path: the motion has none and none was given.")
        require_frames("amplitude.path", len(path), frames)
        path = path.double()
        return _shifts((self.factor - 1) * (path - path[0]))


@dataclass(frozen=True)
class Film(PlaceOperation):
    """Seen by a camera that itself moves, evenly from the first frame to the last.

    What the motion moves is carried along with the ground, and its camera's curve goes on from its own:
    x -> L x + s at each frame, after what was there. On a motion without values the camera alone is changed.
    """

    op: ClassVar[str] = "film"
    pan: float = parameter(Number(-2, 2), 0.0)
    """How far the camera goes to the right, in fractions of the picture's width."""
    tilt: float = parameter(Number(-2, 2), 0.0)
    """How far it goes up."""
    zoom: float = parameter(Number(0.25, 4), 1.0)
    """By what it has enlarged the picture at the end."""
    roll: float = parameter(Number(-360, 360), 0.0)
    """By how many degrees it has turned the picture clockwise at the end."""

    def curve(self, frames: int) -> Tensor:
        """The camera's curve (N, 4), as in MotionInfo."""
        end = torch.tensor([-self.pan, self.tilt, math.log(self.zoom), math.radians(self.roll)])
        return torch.linspace(0, 1, frames)[:, None] * end

    def seen(self, camera: Tensor | None, frames: int) -> Tensor:
        """The curve (N, 4) of a camera's own, None where it is not known, and of this one after it."""
        curve = self.curve(frames)
        if camera is None:
            return curve
        linear, shifts = camera_maps(curve)
        shifts = shifts + (linear @ camera[:, :2, None])[:, :, 0]
        return torch.cat([shifts, camera[:, 2:] + curve[:, 2:]], dim=1)

    def unseen_path(self, path: Tensor, aspect: float = 1.0) -> Tensor:
        """The path (N, 2) that this camera sees as `path`."""
        linear, shifts = self.affine(len(path), aspect, None).to(path).split((2, 1), dim=2)
        return torch.linalg.solve(linear, path[:, :, None] - shifts)[:, :, 0]

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        linear, shifts = camera_maps(self.curve(frames).double())
        centre = torch.tensor([0.5, aspect / 2], dtype=torch.float64)
        return torch.cat([linear, (centre + shifts - linear @ centre)[:, :, None]], dim=2)

    def apply(self, motion: Motion) -> Motion:
        """The motion with its pictures, path and camera seen so; one without values keeps those it has."""
        path = motion.path()
        affine = self.affine(motion.frames, motion.aspect, path)
        sites = {name: through_place(site, affine, motion.aspect) for name, site in motion.sites.items()}
        sizes, turns, (closer, turned) = motion.sizes(), motion.turns(), self.curve(motion.frames)[:, 2:].T
        return motion.derived(
            sites,
            self.to_json(),
            path=None if path is None else self.apply_path(path, motion.aspect),
            camera=self.seen(motion.camera(), motion.frames),
            extent=motion.info.extent * max(1.0, self.zoom),
            sizes=None if sizes is None else closer.exp() * sizes,
            turns=None if turns is None else turned + turns,
        )


@dataclass(frozen=True)
class Mask(Operation):
    """Only a part of the picture (or all but it); what lies outside is silent. Paths stay as they are.

    Cells on an edge count by the part of them that is inside. A side on the picture's own edge has no
    feather, so that the whole picture is the identity.
    """

    op: ClassVar[str] = "mask"
    x0: float = parameter(Number(0, 1))
    y0: float = parameter(Number(0))
    x1: float = parameter(Number(0, 1))
    y1: float = parameter(Number(0))
    """The corners, in fractions of the picture's width, y down."""
    feather: float = parameter(Number(0, 1), 0.0)
    """Width of the soft edge, half of it on either side, in fractions of the picture's width."""
    outside: bool = parameter(Flag(), False)
    """Keep what lies outside of the region instead."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.x0 >= self.x1 or self.y0 >= self.y1:
            raise InputError(
                f"mask has the corners ({self.x0:g}, {self.y0:g}) and ({self.x1:g}, {self.y1:g}); "
                "x0 < x1 and y0 < y1 are allowed."
            )

    def apply(self, motion: Motion) -> Motion:
        """The motion with its pictures faded out beyond the region; InputError for one off the picture."""
        require_places(self.op, motion)
        aspect = motion.aspect
        if self.y1 > aspect + 1e-6:
            raise InputError(f"mask.y1 is {self.y1:g}, up to the picture's height {aspect:g} is allowed.")
        sites = {}
        for name, site in motion.sites.items():
            if site.grid is not None:
                down = self._side(self.y0, self.y1, site.grid[0], aspect)
                mask = torch.outer(down, self._side(self.x0, self.x1, site.grid[1], 1.0)).flatten()
                site = through_mask(site, 1 - mask if self.outside else mask)
            sites[name] = site
        return motion.derived(sites, self.to_json())

    def apply_path(self, path: Tensor, aspect: float = 1.0) -> Tensor:
        """The path (N, 2) as it is: what is left of the motion goes where it went."""
        return checked_path(path)

    def _side(self, low: float, high: float, cells: int, size: float) -> Tensor:
        edge = max(self.feather, size / cells)
        centres = (torch.arange(cells) + 0.5) / cells * size
        rise = ((centres - low) / edge + 0.5).clamp(0, 1) if low > 0 else torch.ones(cells)
        return rise * ((high - centres) / edge + 0.5).clamp(0, 1) if high < size - 1e-6 else rise


def _about_centre(xx: float, xy: float, yx: float, yy: float, aspect: float) -> Tensor:
    linear = torch.tensor([[xx, xy], [yx, yy]], dtype=torch.float64)
    centre = torch.tensor([[0.5], [aspect / 2]], dtype=torch.float64)
    return torch.cat([linear, centre - linear @ centre], dim=1)[None]


def _shifts(offsets: Tensor) -> Tensor:
    return torch.cat(
        [torch.eye(2, dtype=torch.float64).expand(len(offsets), 2, 2), offsets[:, :, None]], dim=2
    )
