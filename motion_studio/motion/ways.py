"""What way a blend of motions goes: the path of its object, how large that is, and the camera's curve."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motion_studio.errors import InputError
from motion_studio.motion.carried import camera_from_steps, camera_steps
from motion_studio.motion.checks import Choice, Number
from motion_studio.motion.operation import checked_path, require_frames

Weight = float | Tensor

LAWS = ("mean", "sum")
"""What way a blend goes: the mean of its motions' ways, or all of them added up."""
CLEAR = 0.5
"""Share of the weights that must be left after those of both signs have met, for their mean to be a way."""


def blend_path(terms: Sequence[tuple[Tensor, Weight]], law: str = "mean") -> Tensor:
    """The path (N, 2) that a blend follows.

    By "mean" it is the weighted mean of the paths at each frame. By "sum" its steps are the weighted sums of
    the paths' steps, from the mean of where those begin that are heard first. NaN at frames where the weights
    cancel ("mean") or are all zero, and there is nothing to follow. Raises InputError without paths, for
    paths of different lengths and for another law.
    """
    if not terms:
        raise InputError("A blend needs at least one path.")
    Choice(LAWS)("law", law)
    frames = len(terms[0][0])
    for path, _ in terms:
        require_frames("The path", len(checked_path(path)), frames)
    paths = torch.stack([path for path, _ in terms])
    curves = torch.stack([weight_curve(weight, frames) for _, weight in terms])[..., None]
    if law == "mean":
        total = curves.sum(0)
        return torch.where(total.abs() > 1e-6, (curves * paths).sum(0) / total, torch.nan)
    heard = curves.abs().sum(0) > 1e-6
    first = int(heard.int().argmax(0))
    loud = curves[:, first].abs()
    start = (loud * paths[:, first]).sum(0) / loud.sum(0).clamp(min=1e-6)
    way = torch.cat([torch.zeros(1, 2), (curves[:, 1:] * paths.diff(dim=1)).sum(0).cumsum(0)])
    return torch.where(heard, start + way - way[first], torch.nan)


def blend_camera(terms: Sequence[tuple[Tensor | None, Weight, Tensor]], law: str = "mean") -> Tensor | None:
    """The camera's curve (N, 4) that a blend has, from curves, weights and how far frames hear each (N,).

    Each of its steps (`camera_steps`) is the weighted sum of the curves' own, over what has a positive weight
    there by the law "mean". So what has a negative one is taken away from the others' camera; alone it turns
    none round but in a "sum". Curves rest already where they are not heard (`rested`). None where a camera is
    not known, or none is heard. Raises InputError for another law.
    """
    Choice(LAWS)("law", law)
    known = [(curve, weight_curve(w, len(curve)), heard) for curve, w, heard in terms if curve is not None]
    loud = [(weight if law == "mean" else weight.abs()).clamp(min=0) for _, weight, _ in known]
    parts = [weight * heard for weight, (_, _, heard) in zip(loud, known, strict=True)]
    if len(known) < len(terms) or not any(part.any() for part in parts):
        return None
    steps = sum(weight[1:, None] * camera_steps(curve) for curve, weight, _ in known)
    if law == "mean":
        # One that is heard in part goes in part: it is no louder than itself.
        most = [weight * (part > 0) for weight, part in zip(loud, parts, strict=True)]
        whole = torch.stack([sum(parts), *most]).amax(0)[1:, None]
        steps = torch.where(whole > 0, steps / whole.clamp(min=1e-6), 0.0)
    return camera_from_steps(steps)


def blend_extent(terms: Sequence[tuple[Tensor, Weight, float]], way: Tensor) -> float:
    """The radius of one disc about `way` (N, 2) that holds all: discs about paths, as (path, weight, radius).

    0 where a radius is not known, or a path that is heard is farther from the way: that is no one object.
    """
    away = [
        float(((path - way).norm(dim=1) * (weight_curve(weight, len(way)) != 0)).nan_to_num().max())
        for path, weight, _ in terms
    ]
    radii = [radius for _, _, radius in terms]
    if not all(radii) or any(far > radius for far, radius in zip(away, radii, strict=True)):
        return 0.0
    return max(far + radius for far, radius in zip(away, radii, strict=True))


def blend_sizes(terms: Sequence[tuple[Tensor | None, Weight]]) -> Tensor | None:
    """How large the object of a blend is at each frame (N,): the weighted geometric mean of sizes (N,).

    None where a motion's are not known; as before at frames where nothing is heard.
    """
    mean = _mean([(None if sizes is None else sizes.log(), weight) for sizes, weight in terms])
    return None if mean is None else mean.exp()


def blend_turns(terms: Sequence[tuple[Tensor | None, Weight]]) -> Tensor | None:
    """How far the object of a blend is turned at each frame (N,): the weighted mean of turns (N,).

    None and where nothing is heard as for `blend_sizes`.
    """
    return _mean(terms)


def _mean(terms: Sequence[tuple[Tensor | None, Weight]]) -> Tensor | None:
    """The weighted mean of curves (N,), of each what differs from its own mean."""
    known = [(curve, weight_curve(weight, len(curve)).abs()) for curve, weight in terms if curve is not None]
    if len(known) < len(terms):
        return None
    heard = sum(weight for _, weight in known)
    mean = sum(weight * (curve - curve.mean()) for curve, weight in known) / heard.clamp(min=1e-6)
    return _held(mean, heard > 0)


def shifts_together(terms: Sequence[tuple[Tensor, Weight]], law: str = "mean") -> list[Tensor]:
    """How each motion of a blend must be moved for all objects to go its way: a shift (N, 2) for each path.

    Motions that want the object at different places compete, and the loudest wins; moved (`Along`) to where
    the blend's path is (`blend_path`), they agree. None is moved at frames where there is nothing to follow,
    or the weights all but cancel and their mean is far away. Where a motion is silent its shift is held: the
    frames that hear it see it there. Raises what `blend_path` raises.
    """
    way = blend_path(terms, law)
    followed = way.isfinite().all(1)
    curves = torch.stack([weight_curve(weight, len(way)) for _, weight in terms])
    if law == "mean":
        followed &= curves.sum(0) > (CLEAR - 1e-6) * curves.abs().sum(0)
    shifts = [torch.where(followed[:, None], way - path, 0.0) for path, _ in terms]
    return [_held(shift, curve != 0) for shift, curve in zip(shifts, curves, strict=True)]


def _held(shift: Tensor, heard: Tensor) -> Tensor:
    """A curve (N, ...) at frames that are not heard as at the nearest that are: what is around them, too."""
    if not heard.any():
        return shift
    frames, known = torch.arange(len(shift)), heard.nonzero()[:, 0]
    return shift[known[(frames[:, None] - known).abs().argmin(1)]]


def weight_curve(weight: Weight, frames: int) -> Tensor:
    """A weight as one value a frame (N,). Raises InputError for other lengths and what is not finite."""
    if isinstance(weight, Tensor) and weight.ndim == 1:
        require_frames("A weight", len(weight), frames)
        if not weight.isfinite().all():
            raise InputError("A weight has values that are not finite; finite numbers are allowed.")
        return weight.float()
    return torch.full((frames,), Number()("A weight", weight))
