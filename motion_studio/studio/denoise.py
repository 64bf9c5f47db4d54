"""From noise to latents, a step at a time, with whatever is carried, shared and drawn beside."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature

import torch
from torch import Tensor

from motion_studio.backbones.base import Backbone, Processors
from motion_studio.errors import Cancelled
from motion_studio.motion.synchronised import Shared, SharedObject
from motion_studio.settings import GenerationSettings


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
    # One that adds noise between steps adds the same for the same seed, but not the noise it all begins with.
    draws = "generator" in signature(scheduler.step).parameters
    drawn = {"generator": torch.Generator().manual_seed(settings.seed + 1)} if draws else {}
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
        latents = scheduler.step(output, t, latents, **drawn).prev_sample
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
