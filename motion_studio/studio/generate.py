"""From a prompt and a motion to a clip."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from motion_studio import __version__
from motion_studio.backbones.base import Backbone, Processors
from motion_studio.errors import InputError, SettingsError
from motion_studio.motion.embedding import Looks, Motion, MotionInfo, SiteEmbedding
from motion_studio.motion.factors import through_time
from motion_studio.motion.looks import without_looks
from motion_studio.motion.noise import mix_prior
from motion_studio.motion.operations_place import Film
from motion_studio.motion.synchronised import SharedObject
from motion_studio.settings import FILM, GenerationSettings
from motion_studio.studio.along import LED, first_noise, shared_ground, shared_object
from motion_studio.studio.denoise import Drawn, check, denoise
from motion_studio.studio.events import Done, Event, Preview, Progress
from motion_studio.studio.roles import Role, shares
from motion_studio.video.clip import Clip


def generate(
    backbone: Backbone,
    settings: GenerationSettings,
    motion: Motion | None = None,
    reference_latents: Tensor | None = None,
    cancel: threading.Event | None = None,
    preview_every: int = 0,
    beside: Sequence[Role] = (),
) -> Iterator[Event]:
    """Make a clip; ends with Done(Clip). Every `preview_every` steps a Preview shows what it will become.

    It does so less often where the base asks for few `previews`.

    `reference_latents` (1, C, N, h, w), from `backbone.encode`, are what the noise prior is inverted from.
    Roles `beside` are drawn about their paths, each by its own prompt and motion; the prompt of the settings
    and `motion` draw the rest, the ground among it, and the camera is that of `motion`. Raises
    IncompatibleMotion for a motion of another base, Cancelled within a step, and as `check_settings` does.
    """
    frames = check_settings(backbone, settings, 1 + len(beside), reference_latents is not None)
    motion = filmed(backbone, settings, motion)
    beside = [role.filmed(settings, filmed(backbone, settings, role.motion)) for role in beside]
    shape = (1, backbone.latent_channels, frames, *backbone.latent_size)
    own = shared_object(shape, settings, motion, None if motion is None else motion.path())
    others = [shared_object(shape, settings, role.motion, role.path) for role in beside]
    objects = [thing for thing in (own, *others) if thing is not None]
    processors = played(backbone, settings, motion, own) if motion is not None else {}
    latents = first_noise(shape, settings, motion, objects).to(backbone.device)
    if settings.noise_prior > 0:
        inverted = yield from _inverted(backbone, reference_latents, settings.steps, cancel)
        latents = mix_prior(inverted, latents, settings.noise_prior)

    text = backbone.encode_text([settings.negative_prompt, settings.prompt])
    drawn = [
        Drawn(
            played(backbone, settings, role.motion, thing),
            backbone.encode_text([settings.negative_prompt, role.prompt]),
            share.to(backbone.device),
        )
        for role, thing, share in zip(beside, others, shares(beside, motion, shape), strict=True)
    ]
    ground = shared_ground(shape, settings, motion, beside)
    shared = objects if ground is None else [*objects, ground]
    yield Progress(0, settings.steps, "Making the clip")
    if preview_every:
        preview_every = max(preview_every, -(-settings.steps // (backbone.spec.previews + 1)))
    path = denoise(backbone, processors, latents, text, settings, cancel, shared, drawn)
    for step, latents, clean in path:  # noqa: B007 - the last latents are the clip
        yield Progress(step, settings.steps, "Making the clip")
        if preview_every and step % preview_every == 0 and step < settings.steps:
            yield Preview(step, Clip(backbone.decode(clean), backbone.fps))
    yield Done(Clip(backbone.decode(latents), backbone.fps))


def check_settings(backbone: Backbone, settings: GenerationSettings, objects: int, referred: bool) -> int:
    """The number of latent frames of a clip of so many objects, each drawn by words of its own.

    Raises SettingsError for frames that the base cannot make and for a camera's part alone with several
    objects, InputError for a noise prior without its reference (unless `referred`).
    """
    frames = settings.frames or backbone.frames
    if frames > backbone.spec.max_frames:
        raise SettingsError(f"frames={frames}: {backbone.name} makes {backbone.spec.max_frames} at most")
    if objects > 1 and settings.motion_type == "camera":
        raise SettingsError(
            "motion_type=camera: a camera's part moves no object, but tracks have words of their own; "
            "allowed with them are object and hybrid"
        )
    if settings.noise_prior > 0 and not referred:
        raise InputError("a noise prior needs the motion's reference clip; none was given")
    return backbone.latent_frames(frames)


def filmed(backbone: Backbone, settings: GenerationSettings, motion: Motion | None) -> Motion | None:
    """The motion as seen by the camera of the settings (`pan` and so on), itself where that rests.

    Its own camera goes along as far as it is played. Without a motion, it is one that adds nothing.
    """
    if not settings.films:
        return motion
    film = Film(**{name: getattr(settings, name) for name in FILM})
    if motion is None:
        frames = backbone.latent_frames(settings.frames or backbone.frames)
        name, site = next(iter(backbone.sites.items()))
        nothing = {name: SiteEmbedding(torch.zeros(frames, site.channels))}
        return film.apply(Motion(nothing, MotionInfo(fps=backbone.fps, carry=1.0)))
    motion = without_looks(motion, _looks(backbone, settings))  # while its camera is its own
    camera = motion.camera()
    if camera is not None:
        own = 0.0 if settings.motion_type == "object" else min(1.0, max(0.0, settings.strength))
        motion = motion.replace_info(camera=(own * camera).tolist())
    return film.apply(motion)


def played(
    backbone: Backbone, settings: GenerationSettings, motion: Motion, held: SharedObject | None = None
) -> Processors:
    """The motion as the settings want it: looks taken out, strength, type, length; ready for `playing`.

    An object that is `held` to its way needs less of it (`LED`). Raises IncompatibleMotion for a motion of
    another base.
    """
    motion = without_looks(motion, _looks(backbone, settings))
    if settings.motion_type == "camera":
        bare = {
            name: site.each(lambda voice: replace(voice, space=None, time=None))
            for name, site in motion.sites.items()
        }
        # In version 1 queries and keys share their embedding with the values, which is no camera's.
        motion = replace(motion, sites=bare).replace_info(version="v2")
    strength = settings.strength * (1 - (1 - LED) * (held.share if held else 0.0))
    if strength != 1:
        louder = strength * torch.eye(motion.frames)
        sites = {name: through_time(site, louder) for name, site in motion.sites.items()}
        motion = replace(motion, sites=sites)  # nobody asks where what is only played comes from
    return backbone.processors(motion, settings.frames or backbone.frames)


def _looks(backbone: Backbone, settings: GenerationSettings) -> Looks:
    return backbone.default_looks if settings.looks == "auto" else settings.looks


def recipe(backbone: Backbone, settings: GenerationSettings, motion: Motion | None = None) -> dict[str, Any]:
    """All that makes the clip again, as JSON: base and weights, settings, the motion and its lineage."""
    made_of: dict[str, Any] = {
        "motion_studio": __version__,
        "base": backbone.name + backbone.spec.resized,
        "base_hash": backbone.weights_hash,
        "settings": settings.to_json(),
    }
    if motion is not None:
        info = motion.info
        made_of["motion"] = {"title": info.title, "hash": motion.hash(), "lineage": info.lineage}
    return made_of


def _inverted(
    backbone: Backbone, latents: Tensor, steps: int, cancel: threading.Event | None
) -> Generator[Event, None, Tensor]:
    """The noise that the bare model would make the latents from under an empty prompt, step by step back.

    DDIM inversion, or a flow's differential equation backwards.
    """
    text = backbone.encode_text([""])
    levels = [0, *sorted(t.item() for t in backbone.scheduler(steps).timesteps if t > 0)]
    for step, (t, later) in enumerate(zip(levels, levels[1:], strict=False), 1):
        check(cancel)
        with torch.no_grad(), backbone.playing(None):
            output = backbone.predict(latents, t, text)
        latents = backbone.process.moved(latents, output, t, later)
        yield Progress(step, len(levels) - 1, "Inverting the reference's noise")
    return latents
