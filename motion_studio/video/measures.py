"""How alike the motions of two clips are, in figures that hold for any looks."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from motion_studio.video.clip import Clip, fit
from motion_studio.video.flow import flow
from motion_studio.video.tracks import Seen, reduced, see, tracks

STILL = 0.004
"""Root mean square motion, in widths, below which a clip counts as still: a quarter of a pixel of 64."""
_REACH = 0.4
"""Mean distance of the picture from its centre, in widths: a zoom or roll of 1 moves it by that."""
_EDGE = 0.05
"""Radius, in widths, at which growing and turning count as shifts: still below a spread of .08."""
_STEP = 0.0015
"""Length of a step, in widths a frame, below which a point counts as still."""


def measure(reference: Clip, result: Clip) -> dict[str, float | list]:
    """Compare the motion of `result` with that of `reference`, the part of it in the result's shape.

    Of the longer one as many frames are taken as the other has: a frame held would stop the motion.
    Correlations are in [-1, 1] and 0 where either is still; ratios are result over reference and 0 where the
    reference is still; lengths are fractions of the width. Raises ClipError for fewer than 2 frames.

    - path_correlation, path_size_ratio: the object's path in the picture.
    - growth_correlation, growth_size_ratio: how the object grows and shrinks (logarithms of sizes).
    - turn_correlation, turn_size_ratio: how it turns; 0 too where its shape does not show that.
    - camera_correlation, camera_size_ratio: the whole camera curve; camera_{dx,dy,zoom,roll}_correlation.
    - flow_cosine, flow_magnitude_ratio: optical flow, place by place.
    - motion_fidelity, motion_fidelity_mutual: steps of tracked points, see `motion_fidelity`.
    - temporal_consistency, reference_temporal_consistency: see `temporal_consistency`.
    - layout_correlation: see `layout_correlation`; high where the reference's ground came along.
    - {reference,result}_{path,camera} as lists, with a _confidence in [0, 1] each.
    """
    reference, result = _alike(reference, result)
    a, b = see(reference), see(result)
    flow_a, flow_b = flow(reference), flow(result)
    tracks_a, tracks_b = tracks(reference, field=flow_a), tracks(result, field=flow_b)
    figures: dict[str, float | list] = {
        "path_correlation": path_correlation(a.path, b.path),
        "path_size_ratio": size_ratio(a.path, b.path),
        **_pose("growth", a.sizes.log(), b.sizes.log()),
        **_pose("turn", *(torch.zeros_like(one.sizes) if one.turns is None else one.turns for one in (a, b))),
        **_camera(a.camera, b.camera),
        "flow_cosine": flow_cosine(flow_a, flow_b),
        "flow_magnitude_ratio": _ratio(
            flow_a.norm(dim=1) / reference.width, flow_b.norm(dim=1) / reference.width
        ),
        "motion_fidelity": motion_fidelity(tracks_a, tracks_b),
        "motion_fidelity_mutual": motion_fidelity(tracks_a, tracks_b, mutual=True),
        "temporal_consistency": temporal_consistency(result, flow_b),
        "reference_temporal_consistency": temporal_consistency(reference, flow_a),
        "layout_correlation": layout_correlation(reference, result, a, b),
    }
    for name, seen in (("reference", a), ("result", b)):
        figures[f"{name}_path"] = seen.path.tolist()
        figures[f"{name}_path_confidence"] = seen.path_confidence
        figures[f"{name}_camera"] = seen.camera.tolist()
        figures[f"{name}_camera_confidence"] = seen.camera_confidence
    return figures


def follows(reference: Seen, result: Seen) -> float:
    """How well a clip moves as the reference: the mean correlation of object's path and camera's curve.

    Of those that move in the reference and are seen there; 0 where neither does.
    """
    values = []
    if reference.path_confidence and _spread(_centred(reference.path)) >= STILL:
        values.append(path_correlation(reference.path, result.path))
    if reference.camera_confidence and _spread(_centred(_carried(reference.camera))) >= STILL:
        values.append(camera_correlation(reference.camera, result.camera))
    return sum(values) / len(values) if values else 0.0


def path_correlation(a: Tensor, b: Tensor) -> float:
    """Correlation of two paths (F, D), both axes together: <a', b'> / (|a'| |b'|) with a' = a - its mean.

    0 when either moves less than 0.004 of the width.
    """
    a, b = _centred(a), _centred(b)
    if _spread(a) < STILL or _spread(b) < STILL:
        return 0.0
    return float((a * b).sum() / (a.norm() * b.norm()))


def size_ratio(a: Tensor, b: Tensor) -> float:
    """How large the path b (F, D) is by a, |b'| / |a'|, whatever their shapes; 0 when a is still."""
    a, b = _centred(a), _centred(b)
    return 0.0 if _spread(a) < STILL else float(b.norm() / a.norm())


def camera_correlation(a: Tensor, b: Tensor) -> float:
    """Correlation of two camera curves (F, 4), by the paths on which they carry four points."""
    return path_correlation(_carried(a), _carried(b))


def flow_cosine(a: Tensor, b: Tensor) -> float:
    """Cosine between two whole flows (F-1, 2, H, W), <a, b> / (|a| |b|); 0 when one is still."""
    length = float(a.norm() * b.norm())
    return float((a * b).sum()) / length if length > 1e-6 * a.numel() else 0.0


def motion_fidelity(a: Tensor, b: Tensor, mutual: bool = False) -> float:
    """How well the tracks b (F, P, 2) step the way that some track of a does, in [-1, 1].

    Of each track of b the mean cosine of its steps with those of its best match among a (Yatim et al., arXiv
    2311.17009, the one-way form); `mutual` takes the mean with the same from a to b, as their text has it.
    Still points would give 0/0: a step counts where one of the two moves (as 0 where the other does not),
    and only tracks that move are matched. 0 when none do.
    """
    steps_a, steps_b = (track.diff(dim=0).transpose(0, 1) for track in (a, b))
    moving_a, moving_b = (steps.norm(dim=-1) > _STEP for steps in (steps_a, steps_b))
    unit_a = steps_a / steps_a.norm(dim=-1, keepdim=True).clamp(min=_STEP) * moving_a[..., None]
    unit_b = steps_b / steps_b.norm(dim=-1, keepdim=True).clamp(min=_STEP) * moving_b[..., None]
    either = (moving_b[:, None] | moving_a[None]).sum(-1).clamp(min=1)
    alike = torch.einsum("ptc,qtc->pq", unit_b, unit_a) / either
    travels_a, travels_b = (moving.float().mean(-1) > 0.25 for moving in (moving_a, moving_b))
    forth = float(alike[travels_b].amax(1).mean()) if travels_b.any() else 0.0
    if not mutual:
        return forth
    return (forth + (float(alike[:, travels_a].amax(0).mean()) if travels_a.any() else 0.0)) / 2


def temporal_consistency(clip: Clip, field: Tensor | None = None) -> float:
    """1 - the warping error: mean difference of a frame and the next one carried back by the flow.

    Pixels that are hidden in the next frame (flow there and back ends over a pixel away) are left out (Lai
    et al., arXiv 1808.00449). `field`, the flow of `reduced(clip)`, spares finding it again.
    """
    clip = reduced(clip)
    forth = flow(clip) if field is None else field
    back = flow(Clip(clip.frames.flip(0), clip.fps)).flip(0)
    there = _carry(torch.cat([clip.frames[1:], back], 1), forth)
    shown = ((forth + there[:, 3:]).norm(dim=1) < 1.0).float()
    error = (there[:, :3] - clip.frames[:-1]).abs().mean(1)
    return 1 - float((error * shown).sum() / shown.sum().clamp(min=1))


def layout_correlation(reference: Clip, result: Clip, a: Seen | None = None, b: Seen | None = None) -> float:
    """Correlation of the brightness of two grounds of the same size, both objects left out, mean over frames.

    0 where either ground is plain. `a` and `b` spare looking at the clips again.
    """
    reference, result = _alike(reference, result)
    a, b = a or see(reference), b or see(result)
    hidden = torch.nn.functional.max_pool2d(torch.maximum(a.cover, b.cover)[:, None], 5, 1, 2)[:, 0] > 0.1
    values = []
    for first, second, mask in zip(reference.frames.mean(1), result.frames.mean(1), ~hidden, strict=True):
        first, second = first[mask] - first[mask].mean(), second[mask] - second[mask].mean()
        plain = mask.sum() < 16 or min(first.std(), second.std()) < 0.01
        values.append(0.0 if plain else float((first * second).sum() / (first.norm() * second.norm())))
    return sum(values) / len(values)


def _alike(reference: Clip, result: Clip) -> tuple[Clip, Clip]:
    """Both at the shorter one's frames, the reference cut to the result's shape as `invert` cuts it."""
    frames = min(reference.num_frames, result.num_frames)
    scale = min(reference.height / result.height, reference.width / result.width)
    height, width = max(1, round(result.height * scale)), max(1, round(result.width * scale))
    reference = reduced(fit(reference, frames, height, width))
    return reference, fit(result, frames, reference.height, reference.width)


def _camera(a: Tensor, b: Tensor) -> dict[str, float]:
    figures = {"camera_correlation": camera_correlation(a, b)}
    figures["camera_size_ratio"] = size_ratio(_carried(a), _carried(b))
    for index, (name, reach) in enumerate((("dx", 1.0), ("dy", 1.0), ("zoom", _REACH), ("roll", _REACH))):
        column = slice(index, index + 1)
        figures[f"camera_{name}_correlation"] = path_correlation(a[:, column] * reach, b[:, column] * reach)
    return figures


def _pose(name: str, a: Tensor, b: Tensor) -> dict[str, float]:
    a, b = (_EDGE * curve[:, None] for curve in (a, b))
    return {f"{name}_correlation": path_correlation(a, b), f"{name}_size_ratio": size_ratio(a, b)}


def _carried(camera: Tensor) -> Tensor:
    """Where a camera curve (F, 4) carries four points about the centre, (F, 8), with the length of one."""
    camera = torch.as_tensor(camera, dtype=torch.float64)
    corner = torch.tensor([[-1.0, -1], [1, -1], [-1, 1], [1, 1]], dtype=torch.float64) * _REACH / math.sqrt(2)
    cos, sin, zoom = camera[:, 3:].cos(), camera[:, 3:].sin(), camera[:, 2:3].exp()
    x = zoom * (cos * corner[:, 0] - sin * corner[:, 1]) + camera[:, :1]
    y = zoom * (sin * corner[:, 0] + cos * corner[:, 1]) + camera[:, 1:2]
    return torch.cat([x, y], 1) / 2


def _centred(path: Tensor) -> Tensor:
    path = torch.as_tensor(path, dtype=torch.float64)
    return path - path.mean(0)


def _spread(centred: Tensor) -> float:
    return float(centred.square().sum(1).mean().sqrt())


def _ratio(a: Tensor, b: Tensor) -> float:
    size_a, size_b = float(a.square().mean().sqrt()), float(b.square().mean().sqrt())
    return 0.0 if size_a < 1e-4 else size_b / size_a


def _carry(pictures: Tensor, field: Tensor) -> Tensor:
    """Pictures (F, C, H, W) looked up where `field` (F, 2, H, W), in pixels, points."""
    _, _, height, width = pictures.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = (2 * (column + field[:, 0]) + 1) / width - 1
    y = (2 * (row + field[:, 1]) + 1) / height - 1
    return grid_sample(pictures, torch.stack([x, y], -1), padding_mode="border", align_corners=False)
