"""Sums of motions, one motion after another, and the registry of all operations on one motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motion_studio.errors import IncompatibleMotion, InputError
from motion_studio.motion.checks import Number, Whole
from motion_studio.motion.embedding import Motion, MotionInfo, SiteEmbedding
from motion_studio.motion.factors import (
    compacted,
    each_voice,
    interpolation,
    through_time,
    weighted_sum,
)
from motion_studio.motion.operation import Operation
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
from motion_studio.motion.operations_time import (
    Delay,
    Ease,
    Fade,
    Loop,
    Reverse,
    Speed,
    Strength,
    Trim,
    heard_in,
    ramp,
)
from motion_studio.motion.ways import (
    Weight,
    blend_camera,
    blend_extent,
    blend_path,
    blend_sizes,
    blend_turns,
    weight_curve,
)

OPERATIONS: dict[str, type[Operation]] = {
    "reverse": Reverse,
    "speed": Speed,
    "delay": Delay,
    "ease": Ease,
    "loop": Loop,
    "strength": Strength,
    "trim": Trim,
    "fade": Fade,
    "mirror": Mirror,
    "turn": Turn,
    "move": Move,
    "along": Along,
    "follow": Follow,
    "zoom": Zoom,
    "amplitude": Amplitude,
    "film": Film,
    "mask": Mask,
}


def operation_from_json(values: Any) -> Operation:
    """The operation that `to_json` wrote, such as {"op": "turn", "degrees": 90}.

    Raises InputError for an unknown operation or parameter, one that is missing and one out of its range.
    """
    if not isinstance(values, dict) or not isinstance(values.get("op"), str):
        raise InputError(f'An operation is like {{"op": "turn", "degrees": 90}}, not {values!r:.60}.')
    values = dict(values)
    op = values.pop("op")
    if op not in OPERATIONS:
        raise InputError(f"There is no operation {op!r:.60}; {', '.join(OPERATIONS)} are allowed.")
    known = {entry.name: entry.default is MISSING for entry in fields(OPERATIONS[op])}
    if unknown := [str(name) for name in values if name not in known]:
        allowed = f"{', '.join(known)} are allowed" if known else "none is allowed"
        raise InputError(f"{op} has no parameter {', '.join(unknown)}; {allowed}.")
    if missing := [name for name, needed in known.items() if needed and name not in values]:
        raise InputError(f"{op} needs {', '.join(missing)}.")
    return OPERATIONS[op](**values)


def blend(terms: Sequence[tuple[Motion, Weight]]) -> Motion:
    """The weighted sum of motions, exact: ranks add up (`compact` brings them down again).

    A weight is a number or a tensor (N,), one a frame. A motion lacks a site where it was not learnt, which
    counts as zero; that is allowed only between motions known to be for the same base model. Raises
    InputError without terms or with a weight that is not finite, IncompatibleMotion for motions of different
    base models, versions, frames, shapes, or states of their looks.
    """
    terms = list(terms)
    if not terms:
        raise InputError("A blend needs at least one motion.")
    curves = [weight_curve(weight, motion.frames) for motion, weight in terms]
    motions = [motion for motion, _ in terms]
    shown = [
        curve.tolist() if isinstance(w, Tensor) else w for curve, (_, w) in zip(curves, terms, strict=True)
    ]
    return _sum(motions, curves, {"op": "blend", "weights": shown}, motions)


def cross_fade(a: Motion, b: Motion, start: float, length: float) -> Motion:
    """From `a` to `b` at the same time: all `a` before frame `start`, all `b` from `start + length` on.

    Raises InputError for numbers that are not finite or a negative length, and what `blend` raises.
    """
    start = Number()("cross_fade.start", start)
    length = Number(0)("cross_fade.length", length)
    operation = {"op": "cross_fade", "start": start, "length": length}
    later = ramp(a.frames, start, length)
    _check_fit(a, b)
    return _faded_over(a, b, later, operation, [a, b])


def then(a: Motion, b: Motion, at: float, fade: float = 0.0, join: bool = False) -> Motion:
    """`a`, and from frame `at` on `b` from its beginning, faded over within `fade` frames.

    With `join`, `b` is moved so that its object starts where the object of `a` then is; both need their path.
    Raises InputError when `at` is outside of the frames or a path is missing, and what `blend` raises.
    """
    at = Number(0, a.frames)("then.at", at)
    fade = Number(0)("then.fade", fade)
    _check_fit(a, b)
    later = Delay(at).apply(b)
    if join:
        start, end = b.path(), a.path()
        if start is None or end is None:
            raise InputError("then with join needs the object's path of both motions; one has none.")
        step = interpolation(torch.tensor([at]), a.frames) @ end - start[:1]
        later = Move(*step[0].tolist()).apply(later)
    operation = {"op": "then", "at": at, "fade": fade, "join": join}
    return _faded_over(a, later, ramp(a.frames, at, fade), operation, [a, b])


def resampled(
    motion: Motion, frames: int | None = None, grids: dict[str, tuple[int, int] | None] | None = None
) -> Motion:
    """The motion stretched to another number of frames (first on first, last on last) and to other grids.

    `grids` gives (h, w) by site; a site that is left out, or None, keeps its own. Raises InputError for a
    number of frames or a grid below 1 or a site that the motion does not have.
    """
    frames = motion.frames if frames is None else Whole(1)("frames", frames)
    grids = {name: grid for name, grid in (grids or {}).items() if grid is not None}
    if unknown := sorted(set(grids) - set(motion.sites)):
        raise InputError(f"The motion has no site {', '.join(unknown)}; it has {', '.join(motion.sites)}.")
    operation = {"op": "resampled", "frames": frames, "grids": {n: list(grid) for n, grid in grids.items()}}
    matrix = interpolation(torch.linspace(0, motion.frames - 1, frames, dtype=torch.float64), motion.frames)
    sites = {}
    for name, site in motion.sites.items():
        site = site if frames == motion.frames else through_time(site, matrix, hearing=matrix)
        sites[name] = _regridded(site, grids[name]) if name in grids else site
    curves = {name: getattr(motion, name)() for name in ("path", "sizes", "turns", "camera")}
    rows = {name: None if curve is None else matrix @ curve for name, curve in curves.items()}
    same = all(site.grid == motion.sites[name].grid for name, site in sites.items())
    latent_size = motion.info.latent_size if same else None
    return motion.derived(sites, operation, latent_size=latent_size, **rows)


def compact(motion: Motion, rank: int) -> tuple[Motion, float]:
    """The nearest motion of at most `rank` pictures a site, the same at every frame, and the energy it kept.

    Of embeddings that are heard by different frames, each is brought to that rank.

    The energy is the share, 0 to 1, of the sum of squares of all v (1 without one). Raises InputError for a
    rank below 1.
    """
    rank = Whole(1)("rank", rank)
    parts = {name: compacted(site, rank) for name, site in motion.sites.items()}
    whole = sum(part[2] for part in parts.values())
    kept = sum(part[1] for part in parts.values()) / whole if whole > 0 else 1.0
    operation = {"op": "compact", "rank": rank, "kept": round(kept, 6)}
    return motion.derived({name: part[0] for name, part in parts.items()}, operation), min(kept, 1.0)


def _sum(
    motions: Sequence[Motion],
    weights: Sequence[Tensor],
    operation: dict[str, Any],
    parents: Sequence[Motion],
) -> Motion:
    first = motions[0]
    for other in motions[1:]:
        _check_fit(first, other)
    names = dict.fromkeys(name for motion in motions for name in motion.sites)
    sites = {}
    for name in names:
        terms = [(m.sites[name], w) for m, w in zip(motions, weights, strict=True) if name in m.sites]
        sites[name] = weighted_sum(terms)
    lineage: list[dict[str, Any]] = []
    for parent in parents:
        lineage += [entry for entry in parent.info.lineage if entry not in lineage]
    lineage.append({"operation": operation, "parents": [parent.hash() for parent in parents]})
    infos = [parent.info for parent in parents]
    paths = [motion.path() for motion in motions]
    path, extent = None, 0.0
    loud = _loud(motions, weights)
    known = [(one, weight) for one, weight in zip(paths, loud, strict=True) if one is not None]
    if len(known) == len(paths):
        path = blend_path(known)
        extent = blend_extent([(*term, info.extent) for term, info in zip(known, infos, strict=True)], path)
    terms = list(zip(motions, loud, strict=True))
    info = infos[0].changed(
        title=" + ".join(dict.fromkeys(info.title for info in infos if info.title)),
        notes="",
        base=next((info.base for info in infos if info.base), ""),
        base_hash=next((info.base_hash for info in infos if info.base_hash), ""),
        prompt=infos[0].prompt if len({info.prompt for info in infos}) == 1 else "",
        looks="raw" if any(info.looks == "raw" for info in infos) else infos[0].looks,
        carry=max(info.carry for info in infos),
        settings={},
        losses=[],
        lineage=lineage,
        report={},
        path=path if path is not None and path.isfinite().all() else None,
        extent=extent,
        sizes=blend_sizes([(motion.sizes(), weight) for motion, weight in terms]),
        turns=blend_turns([(motion.turns(), weight) for motion, weight in terms]),
        followed=_followed(infos, loud),
        camera=blend_camera([(m.camera(), w, m.heard()) for m, w in zip(motions, weights, strict=True)]),
        date="",
    )
    return Motion(sites, info)


def _faded_over(
    a: Motion, b: Motion, later: Tensor, operation: dict[str, Any], parents: Sequence[Motion]
) -> Motion:
    """The sum of `b`, as far as `later` (N,) says that each frame hears it, and of what it leaves of `a`."""
    whole = torch.ones_like(later)
    return _sum([heard_in(a, 1 - later), heard_in(b, later)], [whole, whole], operation, parents)


def _loud(motions: Sequence[Motion], weights: Sequence[Tensor]) -> list[Tensor]:
    """Weights as far as each frame hears the motions; where none is heard, as if all were."""
    loud = torch.stack([weight * motion.heard() for motion, weight in zip(motions, weights, strict=True)])
    return list(torch.where(loud.any(0), loud, torch.stack(list(weights))))


def _followed(infos: Sequence[MotionInfo], weights: Sequence[Tensor]) -> float:
    """How far a sum's curves are followed: by what its terms add up to where that is most, 1 at most."""
    curves = [info.followed * weight.abs() for info, weight in zip(infos, weights, strict=True)]
    return min(1.0, float(sum(curves).max()))


def _check_fit(first: Motion, other: Motion) -> None:
    """IncompatibleMotion, in one line, when two motions cannot be added."""
    for what, mine, theirs in (
        ("frames", first.frames, other.frames),
        ("base model", first.info.base, other.info.base),
        ("base model's weights", first.info.base_hash[:12], other.info.base_hash[:12]),
        ("version", first.info.version, other.info.version),
    ):
        if mine and theirs and mine != theirs:
            hint = "; resample one of them first" if what == "frames" else ""
            raise IncompatibleMotion(f"The motions differ in {what}: {mine} and {theirs}{hint}.")
    looks = {first.info.looks, other.info.looks}
    if len(looks) > 1 and "difference" in looks:
        raise IncompatibleMotion(f"The motions differ in looks taken out: {' and '.join(sorted(looks))}.")
    known = first.info.base and first.info.base == other.info.base
    if not known and (only := sorted(set(first.sites) ^ set(other.sites))):
        raise IncompatibleMotion(
            f"The motions have different sites: {', '.join(only[:3])} only in one; the same sites are needed "
            "when the base model is not known to be the same."
        )
    for name in set(first.sites) & set(other.sites):
        mine, theirs = _shape(first.sites[name]), _shape(other.sites[name])
        if mine[0] != theirs[0] or (mine[1] and theirs[1] and mine[1] != theirs[1]):
            raise IncompatibleMotion(
                f"The motions differ at site {name}: {mine[0]} channels on the grid {mine[1]}, "
                f"and {theirs[0]} channels on {theirs[1]}."
            )


def _shape(site: SiteEmbedding) -> tuple[int, tuple[int, int] | None]:
    return site.qk.shape[1], site.grid if site.rank else None


@each_voice
def _regridded(site: SiteEmbedding, grid: tuple[int, int]) -> SiteEmbedding:
    if len(grid) != 2 or min(grid) < 1:
        raise InputError(f"A grid is {grid}, (height, width) of at least 1 is allowed.")
    if site.space is None or site.grid is None or tuple(grid) == site.grid:
        return replace(site, grid=tuple(grid))
    pictures = site.space.transpose(1, 2).unflatten(2, site.grid)
    # Averaging cells on the way down keeps what lies between the new ones.
    pictures = F.interpolate(pictures, size=tuple(grid), mode="bicubic", antialias=True)
    return replace(site, space=pictures.flatten(2).transpose(1, 2), grid=tuple(grid))
