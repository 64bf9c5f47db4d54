"""Frames that agree on what they show: what they predict is averaged along the curves that it moves on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from motion_studio.errors import InputError
from motion_studio.motion.carried import carried_along, carried_back, carried_noise
from motion_studio.motion.regions import Object, discs

UNLIKE = 2.5
"""So many times as far from the shared ground as the median place is what half counts as no ground."""

GOING = 0.025
"""Spread of an object's path and of its rim, in widths, from which on it is held to them."""

ALONG = 0.6
"""How much of the noise in its disc goes along with an object that turns."""

TURNING = 0.3
"""Spread of an object's turns, in radians, from which on that much does."""


class Shared:
    """One thing that all frames of a clip show, each where a curve (F, 4), as of a camera, says.

    Which way a thing goes must be settled in all frames at once. Averaging the clean latents predicted for
    all frames, where the curve puts the same piece of it, settles it, whatever is drawn there (synchronised
    diffusion, Kim et al., arXiv 2403.14370: its instances are frames here, its canonical space the plane of
    the frame in which the curve is 0). `share`, 0 to 1, is how far the frames give way. Only places `within`
    (F, h, w) can show it, all where None.
    """

    def __init__(
        self, curve: Tensor, height: int, width: int, share: float, within: Tensor | None = None
    ) -> None:
        self.share = share
        self.within = torch.ones(len(curve), height, width, dtype=torch.bool) if within is None else within
        places = carried_along(curve, carried_back(curve, height, width))
        places = torch.stack([2 * places[:, :, 0], 2 * places[:, :, 1] * width / height], -1)
        self.places = places[:, self.within]  # (F, M, 2)

    def __call__(self, clean: Tensor) -> Tensor:
        """The clean latents (1, C, F, h, w) with what they share in every frame."""
        frames = clean[0].transpose(0, 1)
        cover = self.cover(frames)
        mean, known = self._mean(frames, cover)
        shared, within = frames.movedim(1, -1).clone(), self.within.to(frames.device)
        gives = self.share * cover.movedim(1, -1)[within] * known
        shared[within] = torch.lerp(shared[within], mean, gives)
        return shared.movedim(-1, 0)[None]

    def cover(self, frames: Tensor) -> Tensor:
        """How far each place of the frames (F, C, h, w) shows it, (F, 1, h, w), 0 to 1."""
        raise NotImplementedError

    def _mean(self, frames: Tensor, cover: Tensor) -> tuple[Tensor, Tensor]:
        """The mean (M, C) of the frames under their covers, at the places within, and where it is known."""
        shown = torch.cat([frames * cover, cover], 1)
        # Bicubic, as bilinear sampling would blur details a little more with each step.
        seen = grid_sample(shown, self.places.to(frames)[:, None], mode="bicubic", align_corners=False)
        seen = seen[:, :, 0].sum(0).T
        times = seen[:, -1:]
        return seen[:, :-1] / times.clamp(min=0.5), times > 0.5


class SharedGround(Shared):
    """The one ground of a clip, moved as a camera's curve (F, 4) says: a model holds grounds still.

    The disc of an object of radius `extent` about its `path` (F, 2), both in widths, is left as it is. Where
    the path is not known (None), what is unlike the ground is left as it is, by a robust mean (Huber's
    M-estimator, two rounds of weights). So is what lies in the discs of the objects `beside`. Raises
    InputError for curves of other shapes.
    """

    def __init__(
        self,
        camera: Tensor,
        path: Tensor | None,
        extent: float,
        height: int,
        width: int,
        share: float = 1.0,
        beside: Sequence[Object] = (),
    ) -> None:
        if camera.ndim != 2 or camera.shape[1] != 4 or (path is not None and path.shape != (len(camera), 2)):
            shapes = f"{tuple(camera.shape)} and {None if path is None else tuple(path.shape)}"
            raise InputError(f"The camera and the path have shapes {shapes}; (F, 4) and (F, 2) are allowed.")
        super().__init__(camera, height, width, share)
        self.bare = self.free = None
        if path is not None:
            self.bare = 1 - discs([(path, extent)], (height, width))[0]
        if beside:
            self.free = (1 - discs(beside, (height, width))).prod(0)

    def cover(self, frames: Tensor) -> Tensor:
        bare = self._alike(frames) if self.bare is None else self.bare[:, None].to(frames)
        return bare if self.free is None else bare * self.free[:, None].to(frames)

    def _alike(self, frames: Tensor) -> Tensor:
        """How far each place of the frames (F, C, h, w) is ground, (F, 1, h, w), 0 to 1, by what it shows."""
        weights = torch.ones_like(frames[:, :1])
        for _ in range(2):
            ground, _ = self._mean(frames, weights)
            ground = ground.view(len(frames), *frames.shape[2:], -1).movedim(-1, 1)
            off = (frames - ground).square().sum(1, keepdim=True)
            scale = UNLIKE**2 * off.median().clamp(min=torch.finfo(off.dtype).tiny)
            weights = 1 / (1 + (off / scale).square())
        return weights


class SharedObject(Shared):
    """One object of a clip, in a disc about its `path` (F, 2), NaN at frames without it.

    Its radius is `extent`, both in widths; it grows from frame to frame as `sizes` (F,) do and is turned by
    `turns` (F,), radians clockwise. One that rests in all of these is left alone: what it does in its place,
    where that is not known, would be held. Raises InputError for curves of other shapes.
    """

    def __init__(
        self,
        path: Tensor,
        extent: float,
        sizes: Tensor,
        turns: Tensor,
        height: int,
        width: int,
        share: float = 1.0,
    ) -> None:
        if path.ndim != 2 or path.shape[1] != 2 or not path.shape[:1] == sizes.shape == turns.shape:
            shapes = ", ".join(str(tuple(curve.shape)) for curve in (path, sizes, turns))
            raise InputError(f"Path, sizes and turns have shapes {shapes}; (F, 2), (F,), (F,) are allowed.")
        there = path.isfinite().all(1)
        first = int(there.int().argmax())
        still = torch.zeros_like(path)
        turned = torch.stack([(sizes / sizes[first]).log(), turns - turns[first]], 1)
        way = torch.where(there[:, None], path - path.new_tensor([0.5, 0.5 * height / width]), 0.0)
        start = carried_along(torch.cat([still, turned], 1), way[first].view(1, 2, 1, 1))[:, 0, :, 0, 0]
        goes = torch.cat([way, extent * turned], 1)[there]
        spread = (goes - goes.mean(0)).square().sum(1).mean().sqrt().nan_to_num()
        share *= min(1.0, float(spread) / GOING)
        self.disc = discs([(path, extent)], (height, width))[0]
        self.curve = torch.cat([way - start, turned], 1)
        super().__init__(self.curve, height, width, share, self.disc > 0)

    def cover(self, frames: Tensor) -> Tensor:
        return self.disc[:, None].to(frames)

    def carried(self, noise: Tensor, generator: torch.Generator, share: float = 1.0) -> Tensor:
        """The noise (1, C, F, h, w), in the disc a `share` of it carried by the object as far as that turns.

        Which way round a thing is drawn, the first steps settle by the noise, in each frame for itself: turns
        come over where that turns along.
        """
        turning = min(1.0, float(self.curve[:, 3].std(correction=0)) / TURNING)
        if not (share := ALONG * share * turning * self.share):
            return noise
        along = share * self.disc
        own = carried_noise(tuple(noise.shape), self.curve, generator)
        return (1 - along).sqrt() * noise + along.sqrt() * own
