"""What every operation is: checked numbers that map motions to motions, linearly, and paths to paths."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from motion_studio.errors import IncompatibleMotion, InputError
from motion_studio.motion.carried import rebased
from motion_studio.motion.checks import check_of
from motion_studio.motion.embedding import Motion
from motion_studio.motion.factors import interpolation, through_place, through_time


@dataclass(frozen=True)
class Operation:
    """One edit of a motion; a parameter that is out of its range raises InputError when it is made."""

    op: ClassVar[str]

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = check_of(entry)(f"{self.op}.{entry.name}", getattr(self, entry.name))
            object.__setattr__(self, entry.name, value)

    def apply(self, motion: Motion) -> Motion:
        """The edited motion, with its path, its camera and one more entry in its lineage.

        Raises InputError when a parameter does not fit the motion's frames or picture, IncompatibleMotion
        when the motion lacks what the operation works on.
        """
        raise NotImplementedError

    def apply_path(self, path: Tensor, aspect: float = 1.0) -> Tensor:
        """What an object's path (N, 2) becomes, in fractions of the picture's width, y down.

        `aspect` is the picture's height in fractions of its width. Raises InputError for other shapes or NaN.
        """
        raise NotImplementedError

    def apply_strength(self, curve: Tensor) -> Tensor:
        """What a strength a frame (N,) becomes."""
        return curve

    def to_json(self) -> dict[str, Any]:
        """The operation as JSON values; `operation_from_json` makes it again."""
        values = {entry.name: _plain(getattr(self, entry.name)) for entry in fields(self)}
        return {"op": self.op, **values}


@dataclass(frozen=True)
class TimeOperation(Operation):
    """An operation on the frames: a new frame reads the motion at a position and scales it by a gain."""

    def positions(self, frames: int) -> Tensor:
        """Where each new frame reads, in frames; beyond the ends the end frame is held."""
        return torch.arange(frames, dtype=torch.float64)

    def gain(self, frames: int) -> Tensor:
        """By what each of the new frames is scaled."""
        return torch.ones(frames)

    def matrix(self, frames: int) -> Tensor:
        """The operation as a matrix T (new frames, frames): v'[:, m] = sum_n T[m, n] v[:, n].

        So it acts on v, on `qk` and on strengths. How strongly a frame hears (`SiteEmbedding.heard`) is read
        at its position too, and not scaled.
        """
        positions = self.positions(frames)
        return self.gain(len(positions))[:, None] * interpolation(positions, frames)

    def apply(self, motion: Motion) -> Motion:
        """The motion with its frames read anew: v'[:, m] = sum_n T[m, n] v[:, n], as `matrix` says.

        Its curves are read at the same positions and not scaled; where no gain is above 0 it has no camera.
        """
        matrix, positions = self.matrix(motion.frames), self.positions(motion.frames)
        hearing = interpolation(positions, motion.frames)
        sites = {name: through_time(site, matrix, hearing=hearing) for name, site in motion.sites.items()}
        path = motion.path()
        camera = motion.camera()
        if not (self.gain(len(positions)) > 0).any():
            camera = None  # a motion that is silent or turned against itself carries no noise along either
        if camera is not None:
            camera = rebased(hearing @ camera)
        loudest = float(self.gain(len(positions)).amax().clamp(0, 1))
        curves = {"sizes": motion.sizes(), "turns": motion.turns()}
        read = {name: None if curve is None else hearing @ curve for name, curve in curves.items()}
        read |= {"path": None if path is None else self.apply_path(path), "camera": camera}
        return motion.derived(sites, self.to_json(), followed=motion.info.followed * loudest, **read)

    def apply_path(self, path: Tensor, aspect: float = 1.0) -> Tensor:
        path = checked_path(path)
        return interpolation(self.positions(len(path)), len(path)).to(path) @ path

    def apply_strength(self, curve: Tensor) -> Tensor:
        return self.matrix(len(curve)).to(curve) @ curve


@dataclass(frozen=True)
class PlaceOperation(Operation):
    """An operation on the picture: an affine map of its points a frame. `qk` has no places and stays."""

    def affine(self, frames: int, aspect: float, path: Tensor | None) -> Tensor:
        """The maps (1 or N, 2, 3) of points (x, y), in fractions of the width; `path` is the object's own."""
        raise NotImplementedError

    def apply(self, motion: Motion) -> Motion:
        """The motion with its pictures, path and camera moved; IncompatibleMotion if it has none."""
        require_places(self.op, motion)
        path = motion.path()
        affine = self.affine(motion.frames, motion.aspect, path)
        sites = {name: through_place(site, affine, motion.aspect) for name, site in motion.sites.items()}
        camera = motion.camera()
        if camera is not None:
            linear = affine[0, :, :2].to(camera)
            roll = camera[:, 3:] * linear.det().sign()
            camera = torch.cat([camera[:, :2] @ linear.T, camera[:, 2:3], roll], dim=1)
        path = None if path is None else _moved(affine, path)
        extent = motion.info.extent * float(affine[0, :, :2].det().abs().sqrt())
        return motion.derived(sites, self.to_json(), path=path, camera=camera, extent=extent)

    def apply_path(self, path: Tensor, aspect: float = 1.0) -> Tensor:
        """The path (N, 2) moved by the maps."""
        path = checked_path(path)
        return _moved(self.affine(len(path), aspect, path), path)


def checked_path(path: Tensor) -> Tensor:
    """A path (N, 2) as it is; InputError for another shape or values that are not finite."""
    if path.ndim != 2 or path.shape[1] != 2 or not len(path) or not path.isfinite().all():
        raise InputError(
            f"The path has shape {tuple(path.shape)}; (frames, 2) with finite values is allowed."
        )
    return path


def require_places(op: str, motion: Motion) -> None:
    """IncompatibleMotion for a motion without value embeddings, on which a place operation does nothing."""
    if not motion.rank:
        raise IncompatibleMotion(
            f"{op} works on value embeddings and this motion (version {motion.info.version}) has none; "
            "operations in time, strength and blends are allowed."
        )


def require_frames(name: str, given: int, frames: int) -> None:
    """InputError when a curve has not one value a frame."""
    if given != frames:
        raise InputError(
            f"{name} has {given} values, the motion has {frames} frames; one a frame is allowed."
        )


def _moved(affine: Tensor, path: Tensor) -> Tensor:
    affine = affine.to(path)
    return (affine[:, :, :2] @ path[:, :, None])[:, :, 0] + affine[:, :, 2]


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
