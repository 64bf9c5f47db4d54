"""From a clip to its motion: the model stays frozen, only the embeddings are learnt (arXiv 2403.20193)."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from motion_studio.backbones.base import Backbone, Processors
from motion_studio.backbones.checkpointing import checkpointed
from motion_studio.backbones.discrepancy import attention_maps, local_sites, locality
from motion_studio.backbones.injection import LiveEmbedding
from motion_studio.backbones.lean import lean
from motion_studio.backbones.sites import late_sites
from motion_studio.errors import SettingsError
from motion_studio.motion.carried import CarriedNoise, moving, rebased
from motion_studio.motion.embedding import MotionInfo
from motion_studio.motion.factors import stretched
from motion_studio.motion.looks import Recast, shuffle_looks
from motion_studio.motion.losses import loss_named
from motion_studio.motion.replay import draw_order, in_order, stretched_order
from motion_studio.settings import InversionSettings
from motion_studio.studio.denoise import check
from motion_studio.studio.events import Done, Event, LossPoint, Preview, Progress
from motion_studio.studio.generate import generate
from motion_studio.video.clip import Clip, fit
from motion_studio.video.measures import follows
from motion_studio.video.tracks import Seen, see

if TYPE_CHECKING:
    from motion_studio.backbones.spatial_lora import SpatialLora

SAMPLE_STEPS = 5
SAMPLE_EVERY = 10
"""Steps between samples that nobody is shown."""
LORA_RATE = 2e-3
SHOWN = 0.25
"""How well an object or the ground's motion must be seen for another ground to take its place."""


def invert(
    backbone: Backbone,
    clip: Clip,
    settings: InversionSettings,
    prompt: str = "",
    cancel: threading.Event | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Learn the motion of `clip`, as `settings` say; ends with Done(Motion), also when `stop` cuts it short.

    A clip that has not the base's frames and size is fitted to them. `prompt` says what the clip shows;
    learning under shuffled looks takes none. Raises Cancelled within a step, SettingsError for an
    unknown site, and where the loss is no number any more.
    """
    size = (backbone.frames, backbone.height, backbone.width)
    if (clip.num_frames, clip.height, clip.width) != size:
        clip = fit(clip, *size, fps=backbone.fps)
    check(cancel)
    yield Progress(0, settings.steps, "Reading the clip's motion")
    seen = see(clip)
    info = _info(backbone, clip, seen, settings, prompt)
    losses: list[float] = []
    card: list[float] = []
    every = settings.preview_every or (SAMPLE_EVERY if settings.stop_at else 0)
    with backbone.spatial_lora(settings.seed) if settings.hybrid else nullcontext() as lora:
        learner = _Learner(backbone, clip, seen, settings, info, lora)
        for step in range(1, settings.steps + 1):
            check(cancel)
            if stop is not None and stop.is_set():
                break
            losses.append(learner.step())
            if not math.isfinite(losses[-1]):
                raise SettingsError(
                    f"learning went astray at step {step}: the loss is {losses[-1]}; "
                    f"learning_rate={settings.learning_rate:g} is too high for this clip or base"
                )
            yield LossPoint(step, losses[-1])
            yield Progress(step, settings.steps, "Learning the motion")
            if every and step % every == 0:
                sample = learner.sample(cancel)
                if settings.preview_every:
                    yield Preview(step, sample)
                if settings.stop_at:
                    card.append(round(follows(seen, see(sample)), 3))
                    yield Progress(
                        step, settings.steps, f"Learning; the sample follows the clip {card[-1]:.2f}"
                    )
                    if len(card) > 1 and min(card[-2:]) >= settings.stop_at:
                        break
    motion = learner.live.motion(info)
    report = {"locality": learner.locality, **({"follows": card[-1]} if card else {})}
    yield Done(motion.replace_info(losses=[round(loss, 6) for loss in losses], report=report))


class _Learner:
    """The state of one inversion: a clip's latents, the live embeddings and their optimiser."""

    def __init__(
        self,
        backbone: Backbone,
        clip: Clip,
        seen: Seen,
        settings: InversionSettings,
        info: MotionInfo,
        lora: SpatialLora | None,
    ) -> None:
        self.backbone, self.clip, self.settings, self.lora = backbone, clip, settings, lora
        self.seen, self.info = seen, info
        self.generator = torch.Generator().manual_seed(settings.seed)
        # Shuffled looks are no longer those that the prompt names.
        self.text = backbone.encode_text(["" if settings.shuffle_looks else info.prompt])
        self.latents = backbone.encode(clip.frames)
        maps = attention_maps(backbone, self.latents, self.text)
        self.locality = {name: round(locality(attention), 3) for name, attention in maps.items()}
        names = _site_names(backbone, settings, maps)
        self.live = LiveEmbedding(
            [backbone.sites[name] for name in names],
            self.latents.shape[2],
            settings.version,
            settings.rank,
            self.generator,
            backbone.device,
            backbone.processor,
        )
        self.camera = stretched(seen.camera, self.latents.shape[2])
        self.carry = settings.carry * moving(self.camera)
        self.carried = CarriedNoise(self.camera, *self.latents.shape[3:]) if self.carry else None
        self.other_looks = self._other_looks() if settings.shuffle_looks else None
        self.loss = loss_named(settings.loss)
        self.optimiser = torch.optim.Adam(self.live.parameters(), lr=settings.learning_rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, settings.steps)
        self.lora_optimiser = torch.optim.Adam(lora.parameters, lr=LORA_RATE) if lora else None
        asked, denoiser = settings.checkpointing, backbone.denoiser
        with backbone.lock:  # no other job has its own forwards in the model now
            self.lean = lean(denoiser)
            self.checkpointed = checkpointed(denoiser, backbone.checkpointing if asked == "auto" else asked)
        # A mean over half a million numbers has gradients below what float16 holds, unless it is scaled.
        half = backbone.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(torch.device(backbone.device).type, enabled=half)

    def step(self) -> float:
        """One step of Adam over a batch of noise levels; the loss before it."""
        with torch.enable_grad(), self.backbone.lock:
            order = self._order()
            latents = self._latents(order)
            if self.lora is not None:
                self._learn_looks(latents)
            self.optimiser.zero_grad()
            # Backwards too: a model that computes its layers again there needs the motion in them.
            at_rest = self.lora.on(False) if self.lora else nullcontext()
            with self.backbone.playing(self._played(order)), at_rest, self.lean, self.checkpointed:
                loss = self.loss(*self._predict(latents, self._carried(order)), self.generator)
                self.scaler.scale(loss).backward()
            self.scaler.step(self.optimiser)
            self.scaler.update()
            self.schedule.step()
        return float(loss.detach())

    def _order(self) -> Tensor | None:
        """The order in which this step reads the frames, None for their own."""
        return draw_order(self.latents.shape[2], self.generator) if self.settings.replay else None

    def _played(self, order: Tensor | None) -> Processors:
        if order is None:
            return self.live.processors
        return self.live.played({name: in_order(site, order) for name, site in self.live.sites.items()})

    def _latents(self, order: Tensor | None) -> Tensor:
        """The clip's latents in that order, in other looks for each noise level where these are shuffled."""
        at = slice(None) if order is None else stretched_order(order, self.clip.num_frames)
        if self.other_looks is not None:
            levels = range(self.settings.noise_levels)
            return torch.cat([self.backbone.encode(self.other_looks(self.generator)[at]) for _ in levels])
        if order is None or self.latents.shape[2] == self.clip.num_frames:
            return self.latents[:, :, at]
        return self.backbone.encode(self.clip.frames[at])  # latents of several frames each have one order

    def _carried(self, order: Tensor | None) -> CarriedNoise | None:
        if order is None or self.carried is None:
            return self.carried
        return CarriedNoise(rebased(self.camera[order]), *self.latents.shape[3:])

    def _other_looks(self) -> Callable[[torch.Generator], Tensor]:
        """Draws the clip in other looks, on another ground too where it was seen what moves and how."""
        frames, seen = self.clip.frames.to(self.backbone.device), self.seen
        if max(seen.camera_confidence, seen.path_confidence) > SHOWN:
            return Recast(frames, seen.cover, seen.camera).draw
        return partial(shuffle_looks, frames)

    def sample(self, cancel: threading.Event | None) -> Clip:
        """The sample of a fixed seed, in a few steps, with what has been learnt so far."""
        spec, settings = self.backbone.spec, self.settings
        prompt = settings.sample_prompt or spec.sample_prompt
        # Frames that share what the clip's curves carry along would follow it whatever has been learnt.
        alone = {"sync_until": 0.0} if settings.stop_at else {}
        given = spec.generation(prompt, steps=SAMPLE_STEPS, seed=settings.seed, **alone)
        *_, done = generate(self.backbone, given, self.live.motion(self.info), cancel=cancel)
        return done.result

    def _predict(self, latents: Tensor, carried: CarriedNoise | None = None) -> tuple[Tensor, Tensor]:
        """The model's output at random noise levels, one from each part of their range, bent by the bias."""
        count, process = self.settings.noise_levels, self.backbone.process
        share = (torch.arange(count) + torch.rand(count, generator=self.generator)) / count
        share = share**self.settings.noise_bias
        t = process.schedule.times(share)
        clean = latents.expand(count, -1, -1, -1, -1)
        noise = torch.randn(clean.shape, generator=self.generator)
        if carried is not None:
            along = carried.draw(count, clean.shape[1], self.generator)
            # Large shares more often: they are what is played.
            shares = self.carry * torch.rand(count, 1, 1, 1, 1, generator=self.generator).sqrt()
            noise = shares.sqrt() * along + (1 - shares).sqrt() * noise
        noise = noise.to(latents)
        output = self.backbone.predict(process.noisy(clean, noise, t), t, self.text.expand(count, -1, -1))
        return output.float(), process.target(clean, noise, t).float()

    def _learn_looks(self, latents: Tensor) -> None:
        """One step of the LoRA on a random frame by itself, where there is no motion to learn."""
        frame = int(torch.randint(latents.shape[2], (), generator=self.generator))
        with self.lora.on(True):
            output, target = self._predict(latents[:, :, frame : frame + 1])
            self.lora_optimiser.zero_grad()
            self.scaler.scale(torch.nn.functional.mse_loss(output, target)).backward()
            self.scaler.step(self.lora_optimiser)


def _site_names(backbone: Backbone, settings: InversionSettings, maps: dict[str, Tensor]) -> list[str]:
    if settings.sites == "all":
        return list(backbone.sites)
    if settings.sites == "local":
        return local_sites(maps)
    if settings.sites == "late":
        return late_sites(backbone.sites)
    if unknown := [name for name in settings.sites if name not in backbone.sites]:
        raise SettingsError(f"no site {', '.join(unknown)}; {backbone.name} has {', '.join(backbone.sites)}")
    return list(settings.sites)


def _info(backbone: Backbone, clip: Clip, seen: Seen, settings: InversionSettings, prompt: str) -> MotionInfo:
    frames = backbone.latent_frames(clip.num_frames)
    return MotionInfo(
        base=backbone.name,
        base_hash=backbone.weights_hash,
        version=settings.version,
        fps=clip.fps * ((frames - 1) / (clip.num_frames - 1)),
        prompt=prompt,
        carry=settings.carry,
        latent_size=backbone.latent_size,
        settings=settings.to_json(),
        # A latent frame stands where it lies between the first picture and the last.
        path=_rows(stretched(seen.path, frames)),
        extent=_extent(seen),
        sizes=_column(seen.sizes, frames),
        turns=None if seen.turns is None else _column(seen.turns, frames),
        camera=_rows(stretched(seen.camera, frames)),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _extent(seen: Seen) -> float:
    """The radius, in widths, of a disc a little larger than the object; 0 where none is seen for sure."""
    area = float(seen.cover.mean()) * seen.cover.shape[1] / seen.cover.shape[2]
    return round(1.15 * math.sqrt(area / math.pi), 4) if seen.path_confidence > SHOWN else 0.0


def _column(curve: Tensor, frames: int) -> list[float]:
    return [row[0] for row in _rows(stretched(curve[:, None], frames))]


def _rows(curve: Tensor) -> list[list[float]]:
    """A curve (N, k) as rounded numbers for the motion's provenance."""
    return [[round(number, 5) for number in row] for row in curve.tolist()]
