"""Frames that agree on the ground they show: what they predict is averaged along the camera's curve."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from motion_studio.errors import InputError
from motion_studio.motion.carried import carried_along, carried_back, moving
from motion_studio.motion.regions import Object, discs

UNLIKE = 2.5
"""So many times as far from the shared ground as the median place is what half counts as no ground."""


class SharedGround:
    """The one ground that all frames of a clip show, each as a camera's curve (F, 4) says.

    A model holds grounds still: which way one goes must be settled in all frames at once. Averaging the clean
    latents predicted for all frames, where the curve puts the same piece of ground, settles it, whatever is
    drawn there (synchronised diffusion, Kim et al., arXiv 2403.14370: its instances are frames here, its
    canonical space frame 0's plane). A disc of radius `extent` about the object's `path` (F, 2), both in
    widths, is left as it is, and before a camera at rest up to a latent cell more: objects are drawn a little
    beside their path, and one that moves little would be held. Where the path is not known (None), what is
    unlike the ground is left as it is, by a robust mean (Huber's M-estimator, two rounds of weights). So is
    what lies in the discs of the objects `beside`. `share`, 0 to 1, is how far the frames give way. Raises
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
        self.share = share
        room = (1 - moving(camera)) / width
        self.bare = self.free = None
        if path is not None:
            self.bare = 1 - discs([(path, extent)], (height, width), room)[0]
        if beside:
            self.free = (1 - discs(beside, (height, width), room)).prod(0)
        places = carried_along(camera, carried_back(camera, height, width))
        self.places = torch.stack([2 * places[:, :, 0], 2 * places[:, :, 1] * width / height], -1)

    def __call__(self, clean: Tensor) -> Tensor:
        """The clean latents (1, C, F, h, w) with the ground that they share in every frame."""
        frames = clean[0].transpose(0, 1)
        bare = self._alike(frames) if self.bare is None else self.bare[:, None].to(frames)
        bare = bare if self.free is None else bare * self.free[:, None].to(frames)
        ground, known = self._ground(frames, bare)
        return torch.lerp(frames, ground, self.share * bare * known).transpose(0, 1)[None]

    def _alike(self, frames: Tensor) -> Tensor:
        """How far each place of the frames (F, C, h, w) is ground, (F, 1, h, w), 0 to 1, by what it shows."""
        weights = torch.ones_like(frames[:, :1])
        for _ in range(2):
            ground, _ = self._ground(frames, weights)
            off = (frames - ground).square().sum(1, keepdim=True)
            scale = UNLIKE**2 * off.median().clamp(min=torch.finfo(off.dtype).tiny)
            weights = 1 / (1 + (off / scale).square())
        return weights

    def _ground(self, frames: Tensor, bare: Tensor) -> tuple[Tensor, Tensor]:
        """The mean (F, C, h, w) of the frames where they are bare, as each sees it, and where it is known."""
        seen = frames.new_zeros(len(frames), frames.shape[1] + 1, *frames.shape[2:])
        for frame, free, places in zip(frames, bare, self.places.to(frames), strict=True):
            shown = torch.cat([frame * free, free])[None].expand(len(frames), -1, -1, -1)
            seen += grid_sample(shown, places, align_corners=False)
        times = seen[:, -1:]
        return seen[:, :-1] / times.clamp(min=0.5), times > 0.5
