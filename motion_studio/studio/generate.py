"""From a prompt and a motion to a clip."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from motion_studio import __version__
from motion_studio.backbones.base import Backbone, Processors
from motion_studio.errors import Cancelled, InputError, SettingsError
from motion_studio.motion.carried import carried_noise, moving
from motion_studio.motion.embedding import Looks, Motion, MotionInfo, SiteEmbedding
from motion_studio.motion.factors import stretched
from motion_studio.motion.looks import without_looks
from motion_studio.motion.noise import mix_prior
from motion_studio.motion.operations_place import Film
from motion_studio.motion.operations_time import Strength
from motion_studio.motion.synchronised import Shared, SharedGround, SharedObject
from motion_studio.settings import FILM, GenerationSettings
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

    `reference_latents` (1, C, N, h, w), from `backbone.encode`, are what the noise prior is inverted from.
    Roles `beside` are drawn about their paths, each by its own prompt and motion; the prompt of the settings
    and `motion` draw the rest, the ground among it, and the camera is that of `motion`. Raises
    IncompatibleMotion for a motion of another base, InputError for a noise prior without its reference,
    SettingsError for frames that the base cannot make, Cancelled within a step.
    """
    frames = settings.frames or backbone.frames
    if frames > backbone.spec.max_frames:
        raise SettingsError(f"frames={frames}: {backbone.name} makes {backbone.spec.max_frames} at most")
    if beside and settings.motion_type == "camera":
        raise SettingsError(
            "motion_type=camera: a camera's part moves no object, but tracks have words of their own; "
            "allowed with them are object and hybrid"
        )
    motion = filmed(backbone, settings, motion)
    beside = [role.filmed(settings, filmed(backbone, settings, role.motion)) for role in beside]
    processors = played(backbone, settings, motion) if motion is not None else {}
    shape = (1, backbone.latent_channels, backbone.latent_frames(frames), *backbone.latent_size)
    shared = shared_by_frames(shape, settings, motion, beside)
    latents = first_noise(shape, settings, motion, shared).to(backbone.device)
    if settings.noise_prior > 0:
        if reference_latents is None:
            raise InputError("a noise prior needs the motion's reference clip; none was given")
        inverted = yield from _inverted(backbone, reference_latents, settings.steps, cancel)
        latents = mix_prior(inverted, latents, settings.noise_prior)

    text = backbone.encode_text([settings.negative_prompt, settings.prompt])
    drawn = [
        Drawn(
            played(backbone, settings, role.motion),
            backbone.encode_text([settings.negative_prompt, role.prompt]),
            share.to(backbone.device),
        )
        for role, share in zip(beside, shares(beside, motion, shape), strict=True)
    ]
    yield Progress(0, settings.steps, "Making the clip")
    path = denoise(backbone, processors, latents, text, settings, cancel, shared, drawn)
    for step, latents, clean in path:  # noqa: B007 - the last latents are the clip
        yield Progress(step, settings.steps, "Making the clip")
        if preview_every and step % preview_every == 0 and step < settings.steps:
            yield Preview(step, Clip(backbone.decode(clean), backbone.fps))
    yield Done(Clip(backbone.decode(latents), backbone.fps))


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


def first_noise(
    shape: tuple[int, ...],
    settings: GenerationSettings,
    motion: Motion | None,
    shared: Sequence[Shared] = (),
) -> Tensor:
    """The noise (1, C, N, h, w) that a clip is made of, carried along by the motion's camera as is wanted.

    A motion played at less than its whole strength carries as much less, one turned against itself none. In
    the discs of objects that frames share, it goes along with them.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(shape, generator=generator)
    camera, followed = _camera(shape, settings, motion)
    if motion is not None and (share := followed * moving(camera) * settings.carry * motion.info.carry):
        noise = mix_prior(carried_noise(shape, camera, generator), noise, share)
    for one in shared if settings.carry else ():
        if isinstance(one, SharedObject):
            noise = one.carried(noise, generator, settings.carry)
    return noise


def shared_by_frames(
    shape: tuple[int, ...],
    settings: GenerationSettings,
    motion: Motion | None,
    beside: Sequence[Role] = (),
) -> list[Shared]:
    """What the frames of latents of that shape have in common (`sync_until`): the objects, and the ground.

    With the camera's part alone no object is held to its path.
    """
    if not settings.sync_until:
        return []
    objects = [] if motion is None or settings.motion_type == "camera" else [(motion, motion.path())]
    objects += [(role.motion, role.path) for role in beside]
    shared: list[Shared] = []
    for one, path in objects:
        share = _followed(settings, one)
        if path is None or not one.info.extent or not share:
            continue
        camera, _ = _camera(shape, settings, one)
        sizes, turns = one.sizes(), one.turns()
        sizes = camera[:, 2].exp() if sizes is None else stretched(sizes[:, None], shape[2])[:, 0]
        turns = camera[:, 3] if turns is None else stretched(turns[:, None], shape[2])[:, 0]
        way = stretched(path, shape[2])
        shared.append(SharedObject(way, one.info.extent, sizes, turns, *shape[3:], share))
    ground = shared_ground(shape, settings, motion, beside)
    return shared if ground is None else [*shared, ground]


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


def played(backbone: Backbone, settings: GenerationSettings, motion: Motion) -> Processors:
    """The motion as the settings want it: looks taken out, strength, type, length; ready for `playing`.

    Raises IncompatibleMotion for a motion of another base.
    """
    motion = without_looks(motion, _looks(backbone, settings))
    if settings.motion_type == "camera":
        bare = {
            name: site.each(lambda voice: replace(voice, space=None, time=None))
            for name, site in motion.sites.items()
        }
        # In version 1 queries and keys share their embedding with the values, which is no camera's.
        motion = replace(motion, sites=bare).replace_info(version="v2")
    if settings.strength != 1:
        motion = Strength(settings.strength).apply(motion)
    return backbone.processors(motion, settings.frames or backbone.frames)


def _looks(backbone: Backbone, settings: GenerationSettings) -> Looks:
    return backbone.default_looks if settings.looks == "auto" else settings.looks


@dataclass(frozen=True)
class Drawn:
    """What a role beside the first predicts with, and how far it counts at each place, (N, h, w)."""

    processors: Processors
    text: Tensor
    share: Tensor


def denoise(
    backbone: Backbone,
    processors: Processors,
    latents: Tensor,
    text: Tensor,
    settings: GenerationSettings,
    cancel: threading.Event | None = None,
    shared: Sequence[Shared] = (),
    beside: Sequence[Drawn] = (),
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """From noise (1, C, N, h, w) to latents, a step at a time: (step, latents, clean latents predicted).

    `text` (2, L, D), negative prompt and prompt, is for classifier-free guidance (arXiv 2207.12598):
    v = n + s (p - n), with n without the motion in the first steps (`guide_until`), and both without it in
    the last (`play_until`). In the first, too, frames agree on what is `shared` (`sync_until`). What is
    `beside` counts in its share of the picture. The model carries a motion only within a step: another job
    may come between.
    """
    scheduler = backbone.scheduler(settings.steps)
    # An object's motion carries its camera, too, as long as it plays; a camera's alone moves little.
    alone = {"object": settings.play_until, "camera": 1.0, "hybrid": 0.0}[settings.motion_type]
    synced, held = max(settings.sync_until, alone), min(settings.sync_until, settings.play_until)
    ends = (settings.guide_until, settings.play_until, synced, held)
    guided, played, agreed, held = (round(share * len(scheduler.timesteps)) for share in ends)
    # A scheduler that names neither (flow matching's) takes noise and samples as they are.
    scale = getattr(scheduler, "scale_model_input", lambda sample, _: sample)
    latents = latents * getattr(scheduler, "init_noise_sigma", 1.0)
    for step, t in enumerate(scheduler.timesteps, 1):
        check(cancel)
        scaled = scale(latents, t)
        outputs = []
        for own, words in [(processors, text), *((one.processors, one.text) for one in beside)]:
            carried = own if step <= played else {}
            apart = bool(carried) and step <= guided
            outputs.append(_guided(backbone, carried, apart, scaled, t, words, settings.guidance))
        output = outputs[0]
        for one, other in zip(beside, outputs[1:], strict=True):
            output = output + one.share.to(output) * (other - outputs[0])
        clean, _ = backbone.process.read(scaled, output, t)
        if now := [one for one in shared if step <= (held if isinstance(one, SharedObject) else agreed)]:
            for one in now:
                clean = one(clean)
            output = backbone.process.output(scaled, clean, t)
        latents = scheduler.step(output, t, latents).prev_sample
        yield step, latents, clean


@torch.no_grad()
def _guided(
    backbone: Backbone,
    carried: Processors,
    apart: bool,
    latents: Tensor,
    t: Tensor,
    text: Tensor,
    guidance: float,
) -> Tensor:
    """The model's output under guidance, with the motion carried; if `apart`, the negative is without it."""
    if guidance == 1:
        with backbone.playing(carried):
            return backbone.predict(latents, t, text[1:])
    with backbone.playing(carried, half=apart):
        negative, positive = backbone.predict(torch.cat([latents] * 2), t, text).chunk(2)
    return negative + guidance * (positive - negative)


def check(cancel: threading.Event | None) -> None:
    """Raises Cancelled when the event is set."""
    if cancel is not None and cancel.is_set():
        raise Cancelled("cancelled")


def recipe(backbone: Backbone, settings: GenerationSettings, motion: Motion | None = None) -> dict[str, Any]:
    """All that makes the clip again, as JSON: base and weights, settings, the motion and its lineage."""
    made_of: dict[str, Any] = {
        "motion_studio": __version__,
        "base": backbone.name,
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
