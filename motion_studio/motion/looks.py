"""Taking looks out of a motion, and taking them out of a clip while a motion is learnt from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from motion_studio.errors import InputError
from motion_studio.motion.background import Background
from motion_studio.motion.carried import carried_back, moving
from motion_studio.motion.embedding import Looks, Motion, SiteEmbedding
from motion_studio.motion.factors import through_time, weighted_sum


def without_looks(motion: Motion, mode: Looks, frame0: Literal["raw", "zero"] = "raw") -> Motion:
    """The motion with what its values hold of looks taken out, unless that has been done before.

    `centre` takes the mean over the frames from v; `difference` gives v[j] - v[j - 1] for j > 0 and at frame
    0 v[0] or zero (Wang et al., arXiv 2403.20193); `background` takes out what is behind the object and
    blurs its outline, as far as the camera rests and an object was seen, and centres the rest: a ground that
    moves is motion, too. `raw` changes nothing. Do this before other operations: of a motion that is held
    (speed 0), taking the mean over the frames leaves nothing. Raises InputError for another mode.
    """
    if mode not in get_args(Looks) or frame0 not in ("raw", "zero"):
        allowed = ", ".join(get_args(Looks))
        raise InputError(f"looks is {mode!r}, frame 0 {frame0!r}; {allowed}, and raw or zero are allowed.")
    if mode == "raw" or motion.info.looks != "raw" or not motion.rank:
        return motion
    frames = motion.frames
    if mode == "difference":
        matrix = torch.eye(frames) - torch.diag(torch.ones(frames - 1), -1)
        matrix[0, 0] = float(frame0 == "raw")
    else:
        matrix = torch.eye(frames) - 1 / frames
    centred = partial(through_time, matrix=matrix, qk=False)
    sites = _without_background(motion, centred) if mode == "background" else {}
    sites = {name: sites.get(name) or centred(site) for name, site in motion.sites.items()}
    return motion.derived(sites, {"op": "without_looks", "mode": mode, "frame0": frame0}, looks=mode)


def _without_background(
    motion: Motion, centred: Callable[[SiteEmbedding], SiteEmbedding]
) -> dict[str, SiteEmbedding]:
    """The sites with the background taken out by the share that the camera rests, else `centred`.

    Those that show nothing of an object are missing.
    """
    path, camera, extent = motion.path(), motion.camera(), motion.info.extent
    if path is None or camera is None or not extent or not (share := 1 - moving(camera)):
        return {}
    grids = {site.grid for site in motion.sites.values() if site.grid is not None}
    grounds = {grid: Background(path, extent, grid) for grid in grids}
    sites = {}
    for name, site in motion.sites.items():
        ground = grounds.get(site.grid)
        # What is joined of several has their objects on ways of their own, not on the motion's.
        if ground and ground.shown.any() and site.rank and not site.others and len(site.space) == 1:
            taken = ground.taken_out(site)
            heard = torch.full((motion.frames,), share)
            sites[name] = taken if share == 1 else weighted_sum([(centred(site), 1 - heard), (taken, heard)])
    return sites


def random_colour_matrix(generator: torch.Generator | None = None) -> Tensor:
    """A random rotation of the colour space, mirrored half of the time (3, 3), uniform over all of them.

    Each colour is as likely to become its opposite, so that on average nothing is left of it (Mezzadri,
    arXiv math-ph/0609050).
    """
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    return q * r.diagonal().sign()


def shuffle_looks(frames: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Frames (F, 3, H, W) in [0, 1] with their colours about mid-grey under one random matrix for all frames.

    What moves stays, what it looks like changes at each call. Raises InputError for another shape.
    """
    if frames.ndim != 4 or frames.shape[1] != 3:
        raise InputError(f"The frames have shape {tuple(frames.shape)}; (F, 3, H, W) is allowed.")
    matrix = random_colour_matrix(generator).to(frames)
    return (torch.einsum("dc,fchw->fdhw", matrix, frames - 0.5) + 0.5).clamp(0, 1)


class Recast:
    """Draws frames (F, 3, H, W) in [0, 1] with another ground, carried along as the camera's curve says.

    What `cover` (F, h, w) hides of the ground stays in its place. `camera` (F, 4) is as in `video.tracks`.
    Raises InputError for other shapes.
    """

    def __init__(self, frames: Tensor, cover: Tensor, camera: Tensor) -> None:
        fit = camera.shape == (len(frames), 4) and len(cover) == len(frames)
        if frames.ndim != 4 or cover.ndim != 3 or not fit:
            shapes = ", ".join(str(tuple(part.shape)) for part in (frames, cover, camera))
            raise InputError(f"The shapes are {shapes}; (F, 3, H, W), (F, h, w) and (F, 4) are allowed.")
        cover = interpolate(cover[:, None].to(frames), frames.shape[2:], mode="bilinear")
        bare = frames.transpose(0, 1)[:, cover[:, 0] < 0.1].T
        if not len(bare):
            bare = frames.new_full((1, 3), 0.5)
        order, tenth = bare.mean(1).argsort(), len(bare) // 10
        self.dark, light = (bare[order[rank]].view(1, 3, 1, 1) for rank in (tenth, -1 - tenth))
        self.lighter = light - self.dark
        self.bare, self.covered = 1 - cover, frames * cover
        self.places = carried_back(camera.to(frames), *frames.shape[2:])

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """The frames on a random sum of waves between two of the ground's own tones, a plane without an end.

        All colours have their channels changed over at random.
        """
        weight = _waves(self.places, generator)[:, None]
        turned, kept = (torch.randperm(3, generator=generator) for _ in range(2))
        ground = self.dark[:, turned] + weight * self.lighter[:, turned]
        return ground * self.bare + self.covered[:, kept]


def _waves(at: Tensor, generator: torch.Generator | None) -> Tensor:
    """A random pattern in [0, 1], (F, H, W), at places (F, 2, H, W): two to six waves, soft or hard."""
    drawn = torch.rand(6, 2, generator=generator).to(at)
    count, first = (float(x) for x in torch.rand(2, generator=generator))
    drawn = drawn[: 2 + int(5 * count)]
    # Headings far from each other: along stripes nothing could be seen to move.
    heading = math.pi * (first + 0.618 * torch.arange(len(drawn)).to(at))
    length, phase = 0.25 + 0.45 * drawn[:, 0], 2 * math.pi * drawn[:, 1]
    rates = 2 * math.pi / length * torch.stack([heading.cos(), heading.sin()])
    hardness = 0.6 + 2.4 * torch.rand((), generator=generator).to(at)
    waves = at.new_zeros(at.shape[0], *at.shape[2:])
    for (x, y), shift in zip(rates.T, phase, strict=True):
        waves += (x * at[:, 0] + y * at[:, 1] + shift).sin()
    return 0.5 + 0.5 * (hardness * waves).tanh()
