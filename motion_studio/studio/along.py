"""What goes along with a motion's curves: the noise that a clip begins with, and what its frames share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motion_studio.motion.carried import carried_noise, moving
from motion_studio.motion.embedding import Motion
from motion_studio.motion.factors import stretched
from motion_studio.motion.noise import mix_prior
from motion_studio.motion.synchronised import SharedGround, SharedObject
from motion_studio.settings import GenerationSettings
from motion_studio.studio.roles import Role

LED = 0.8
"""How much of what a motion adds is played where frames share its object: that keeps to its way by itself."""


def first_noise(
    shape: tuple[int, ...],
    settings: GenerationSettings,
    motion: Motion | None,
    objects: Sequence[SharedObject] = (),
) -> Tensor:
    """The noise (1, C, N, h, w) that a clip is made of, carried along by the motion's camera as is wanted.

    A motion played at less than its whole strength carries as much less, one turned against itself none. In
    the discs of `objects` that frames share, it goes along with them.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(shape, generator=generator)
    camera, followed = _camera(shape, settings, motion)
    if motion is not None and (share := followed * moving(camera) * settings.carry * motion.info.carry):
        noise = mix_prior(carried_noise(shape, camera, generator), noise, share)
    for one in objects:
        noise = one.carried(noise, generator, settings.carry)
    return noise


def shared_object(
    shape: tuple[int, ...], settings: GenerationSettings, motion: Motion | None, path: Tensor | None
) -> SharedObject | None:
    """The motion's object on its path (F, 2), which frames of latents of that shape share (`sync_until`).

    None where the motion does not tell it, and with the camera's part alone: no object is held to its path.
    """
    if motion is None or not settings.sync_until or settings.motion_type == "camera":
        return None
    share = _followed(settings, motion)
    if path is None or not motion.info.extent or not share:
        return None
    camera, _ = _camera(shape, settings, motion)
    sizes, turns = motion.sizes(), motion.turns()
    sizes = camera[:, 2].exp() if sizes is None else stretched(sizes[:, None], shape[2])[:, 0]
    turns = camera[:, 3] if turns is None else stretched(turns[:, None], shape[2])[:, 0]
    way = stretched(path, shape[2])
    return SharedObject(way, motion.info.extent, sizes, turns, *shape[3:], share)


def shared_ground(
    shape: tuple[int, ...],
    settings: GenerationSettings,
    motion: Motion | None,
    beside: Sequence[Role] = (),
) -> SharedGround | None:
    """What ground the frames of latents of that shape share; None where the motion does not tell it.

    Objects `beside` the motion's are none of it. Before a camera at rest they share one only where it is
    known what moves there: else that was held, too. With the camera's part alone, what moves goes another way
    than in the motion's clip.
    """
    camera, share = _camera(shape, settings, motion)
    if motion is None or not settings.sync_until:
        return None
    path, extent = motion.path(), motion.info.extent
    if settings.motion_type == "camera":
        path = None
    if not (share := share if path is not None and extent else share * moving(camera)):
        return None
    path = None if path is None else stretched(path, shape[2])
    objects = [role.object(shape[2]) for role in beside]
    return SharedGround(camera, path, extent, *shape[3:], share, objects)


def _camera(
    shape: tuple[int, ...], settings: GenerationSettings, motion: Motion | None
) -> tuple[Tensor, float]:
    """The curve (N, 4) of the motion's camera, and how far it is to be followed, 0 to 1.

    For the object's part alone it rests. One that films is followed, whatever the motion's strength.
    """
    camera = None if motion is None else motion.camera()
    if camera is None:
        return torch.zeros(shape[2], 4), 0.0
    if settings.films:
        return stretched(camera, shape[2]), 1.0
    if settings.motion_type == "object":
        camera = torch.zeros_like(camera)
    return stretched(camera, shape[2]), _followed(settings, motion)


def _followed(settings: GenerationSettings, motion: Motion) -> float:
    """How far a motion is followed at the strength that is wanted, 0 to 1; one against itself is not."""
    known = motion.info.camera is not None
    return motion.info.followed * min(1.0, max(0.0, settings.strength)) if known else 0.0
