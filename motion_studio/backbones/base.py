"""One small interface to every base model; `registry` says which there are."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from motion_studio.backbones.injection import LiveEmbedding, MotionProcessor, PartsProcessor, Site, injected
from motion_studio.backbones.process import process_of
from motion_studio.backbones.registry import BaseSpec
from motion_studio.backbones.turns import TurnLock
from motion_studio.errors import IncompatibleMotion, SettingsError
from motion_studio.motion.arithmetic import resampled
from motion_studio.motion.embedding import Looks, Motion
from motion_studio.motion.noise import NoiseProcess

if TYPE_CHECKING:
    from motion_studio.backbones.spatial_lora import SpatialLora

Processors = dict[str, MotionProcessor | PartsProcessor]
KEPT_PROMPTS = 256


Checkpointing = Literal["off", "part", "on"]
"""What learning computes again in the backward pass: nothing, what is soon computed, or whole blocks."""


class Backbone(ABC):
    """A frozen text-to-video model: the same calls for every family, and `playing` around them.

    It computes with the parts of `pipe`, a diffusers pipeline. Latents are (B, C, N, h, w), scaled as the
    denoiser wants them; frames are (F, 3, H, W) in [0, 1], and N is F but where an autoencoder takes several
    frames together. Whoever plays a motion, predicts, encodes or decodes holds `lock`, so that two jobs can
    take turns step by step.
    """

    processor: type[MotionProcessor] = MotionProcessor
    """What carries a motion at one of its layers."""
    layers: dict[str, Any]
    """The attention layers that `sites` names."""
    chunk: int = 16
    """Frames that the autoencoder takes at once."""
    hashed_as: torch.dtype = torch.float16
    """The coarsest type that its weights are loaded as, so that every way of loading gives one hash."""
    checkpointing: Checkpointing = "off"
    """What learning computes again in the backward pass, for the memory is too short to keep it."""

    def __init__(self, spec: BaseSpec, pipe: Any, device: str | None = None) -> None:
        self.spec = spec
        self.pipe = pipe
        if device is not None:
            self.denoiser.to(device)  # alone: beside it the text encoder may have no room
        for network in self._networks.values():
            network.requires_grad_(False).eval()
        self.device = self.denoiser.device
        self.dtype = self.denoiser.dtype
        self.lock = TurnLock()
        self._texts: dict[str, Tensor] = {}

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def frames(self) -> int:
        return self.spec.frames

    @property
    def height(self) -> int:
        return self.spec.height

    @property
    def width(self) -> int:
        return self.spec.width

    @property
    def fps(self) -> float:
        return self.spec.fps

    @property
    def default_looks(self) -> Looks:
        return self.spec.looks

    @cached_property
    def sites(self) -> dict[str, Site]:
        """The temporal self-attention layers by name, in the order of a forward pass, at its own size."""
        return self.sites_at(self.latent_size)

    @cached_property
    def process(self) -> NoiseProcess:
        """How clips become noise here, as the scheduler says."""
        return process_of(self.scheduler(1))

    def latent_frames(self, frames: int) -> int:
        """The frames N that latents of a clip of `frames` have, and with them a motion: one for each here.

        Raises SettingsError for a length that the base cannot make.
        """
        return frames

    @property
    def denoiser(self) -> torch.nn.Module:
        """The network that predicts."""
        return self._networks["unet" if "unet" in self._networks else "transformer"]

    @property
    def others(self) -> list[torch.nn.Module]:
        """The networks beside the denoiser: what encodes texts and frames."""
        return [part for part in self._networks.values() if part is not self.denoiser]

    @property
    def _networks(self) -> dict[str, torch.nn.Module]:
        parts = self.pipe.components.items()
        return {name: part for name, part in parts if isinstance(part, torch.nn.Module)}

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 over the denoiser's weights as `hashed_as`, in hexadecimal."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.denoiser.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.to("cpu", self.hashed_as).flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    @abstractmethod
    def latent_size(self) -> tuple[int, int]:
        """Height and width of the latents at the base's own picture size."""

    @property
    @abstractmethod
    def latent_channels(self) -> int:
        """The number C of latent channels."""

    @abstractmethod
    def sites_at(self, latent_size: tuple[int, int]) -> dict[str, Site]:
        """The sites with their grids on latents of height and width `latent_size`."""

    @torch.no_grad()
    def encode_text(self, prompts: list[str]) -> Tensor:
        """The text embeddings (B, L, D) of B prompts; the last ones are remembered."""
        with self.lock:
            new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._texts]
            if len(self._texts) + len(new) > KEPT_PROMPTS:
                self._texts.clear()
                new = list(dict.fromkeys(prompts))
            if new:
                self._texts.update(zip(new, self._read(new).cpu(), strict=True))  # a GPU has better use
            return torch.stack([self._texts[prompt] for prompt in prompts]).to(self.device)

    @abstractmethod
    def _read(self, prompts: list[str]) -> Tensor:
        """The text embeddings (B, L, D) of B prompts as the denoiser wants them."""

    @abstractmethod
    def encode(self, frames: Tensor) -> Tensor:
        """The scaled latents (1, C, N, h, w) of frames (F, 3, H, W) in [0, 1]."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """The frames (F, 3, H, W), float32 in [0, 1] on the CPU, of latents (1, C, N, h, w)."""

    @abstractmethod
    def predict(self, latents: Tensor, t: Tensor | int, text: Tensor) -> Tensor:
        """The denoiser's output for latents (B, C, N, h, w), timesteps t (one, or B) and text (B, L, D)."""

    def scheduler(self, steps: int) -> Any:
        """A fresh diffusers scheduler with the timesteps of `steps` denoising steps.

        Raises SettingsError for a number of steps that it cannot do.
        """
        scheduler = type(self.pipe.scheduler).from_config(self.pipe.scheduler.config)
        try:
            scheduler.set_timesteps(steps, device=self.device)
        except ValueError as error:
            raise SettingsError(f"steps={steps} are not for {self.name}: {error}") from error
        return scheduler

    @abstractmethod
    def spatial_lora(self, seed: int) -> AbstractContextManager[SpatialLora]:
        """While inside, the model has a LoRA on its spatial attention, at rest; after, none of it is left."""

    def processors(
        self, motion: Motion, frames: int | None = None, latent_size: tuple[int, int] | None = None
    ) -> Processors:
        """The motion made ready to play here, in a clip of `frames` and of `latent_size` (None: the base's).

        Raises IncompatibleMotion when it was learnt on other weights or has sites that this base has not,
        and what `latent_frames` raises.
        """
        self.check(motion)
        size = latent_size or self.latent_size
        sites = self.sites if size == self.latent_size else self.sites_at(size)
        frames = self.latent_frames(frames or self.frames)
        grids = {name: sites[name].grid for name, site in motion.sites.items() if site.rank}
        if frames != motion.frames or any(motion.sites[name].grid != grid for name, grid in grids.items()):
            motion = resampled(motion, frames, grids)
        version, ready = motion.info.version, {}
        for name, site in motion.sites.items():
            placed = site.map(lambda tensor: tensor.to(self.device, torch.float32))
            in_parts = placed.others or placed.heard is not None
            ready[name] = (
                PartsProcessor(placed, version, self.processor)
                if in_parts
                else self.processor(placed, version)
            )
        return ready

    def check(self, motion: Motion) -> None:
        """IncompatibleMotion, in one line, unless the motion was learnt on this base's weights and sites.

        A motion of unknown weights passes when its sites fit.
        """
        info = motion.info
        if info.base_hash and info.base_hash != self.weights_hash:
            raise IncompatibleMotion(
                f"This motion was learnt on {info.base or 'another base'} with weights {info.base_hash[:8]}; "
                f"{self.name} here has weights {self.weights_hash[:8]}: learn it again from its clip."
            )
        for name, site in motion.sites.items():
            if name not in self.sites or site.qk.shape[1] != self.sites[name].channels:
                raise IncompatibleMotion(
                    f"This motion (base {info.base or 'unknown'}) has {site.qk.shape[1]} channels at {name}; "
                    f"{self.name} has {self.sites[name].channels if name in self.sites else 'no such site'}."
                )

    @contextmanager
    def playing(
        self, motion: Motion | LiveEmbedding | Processors | None, half: bool = False
    ) -> Iterator[None]:
        """While inside, every prediction carries the motion; after, the model is as before, in any case.

        With `half` only the second half of a batch carries it: a prediction with and one without, in one.
        Takes a motion (played at the base's own length and size), one being learnt, what `processors`
        made, or None for the bare model. Raises what `processors` does. Holds `lock`.
        """
        if motion is None:
            ready: Processors = {}
        elif isinstance(motion, Motion):
            ready = self.processors(motion)
        else:
            ready = motion.processors if isinstance(motion, LiveEmbedding) else motion
        with self.lock, injected(self.layers, ready, half):
            yield
