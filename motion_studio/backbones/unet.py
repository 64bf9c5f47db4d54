"""What adapters over UNets share: a text encoder, an autoencoder of pictures, sites read off a pass."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from transformers.utils import logging as transformers_logging

from motion_studio.backbones.base import Backbone, BaseSpec
from motion_studio.backbones.injection import Site
from motion_studio.backbones.sites import find_sites, temporal_attention
from motion_studio.backbones.spatial_lora import SpatialLora, spatial_lora
from motion_studio.errors import SettingsError

CHUNK = 16
"""Frames that the autoencoder takes at once."""
KEPT_PROMPTS = 256


def precision(device: str) -> torch.dtype:
    """The type that a UNet computes in: float16 on CUDA, float32 elsewhere."""
    return torch.float16 if device.startswith("cuda") else torch.float32


def loading(device: str) -> dict[str, Any]:
    """How weights are loaded for `device`: from safetensors alone, with no bars but those of downloads."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    return {"dtype": precision(device), "use_safetensors": True}


class UNetBackbone(Backbone):
    """A pipeline of unet, vae, text_encoder, tokenizer and scheduler, frozen and in evaluation mode."""

    def __init__(self, spec: BaseSpec, pipe: Any) -> None:
        super().__init__(spec)
        self.pipe = pipe
        self.unet = pipe.unet
        for part in (pipe.unet, pipe.vae, pipe.text_encoder):
            part.requires_grad_(False).eval()
        self.device = pipe.unet.device
        self.dtype = pipe.unet.dtype
        self.prediction_type = pipe.scheduler.config.prediction_type
        self.alphas_cumprod = pipe.scheduler.alphas_cumprod.float()
        self.layers = temporal_attention(pipe.unet)
        self._texts: dict[str, Tensor] = {}
        self._sites: dict[tuple[int, int], dict[str, Site]] = {}

    @cached_property
    def weights_hash(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self.unet.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.to("cpu", torch.float16).contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def latent_size(self) -> tuple[int, int]:
        factor = 2 ** (len(self.pipe.vae.config.block_out_channels) - 1)
        return self.height // factor, self.width // factor

    @property
    def latent_channels(self) -> int:
        return self.unet.config.in_channels

    def sites_at(self, latent_size: tuple[int, int]) -> dict[str, Site]:
        if latent_size not in self._sites:
            latents = torch.zeros(1, self.latent_channels, 1, *latent_size)
            with torch.no_grad(), self.playing(None):
                self._sites[latent_size] = find_sites(
                    self.unet, lambda: self.predict(latents, 0, self.encode_text([""]))
                )
        return self._sites[latent_size]

    @torch.no_grad()
    def encode_text(self, prompts: list[str]) -> Tensor:
        with self.lock:
            new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._texts]
            if len(self._texts) + len(new) > KEPT_PROMPTS:
                self._texts.clear()
                new = list(dict.fromkeys(prompts))
            if new:
                tokenizer = self.pipe.tokenizer
                tokens = tokenizer(
                    new,
                    padding="max_length",
                    max_length=tokenizer.model_max_length,
                    truncation=True,
                    return_tensors="pt",
                )
                texts = self.pipe.text_encoder(tokens.input_ids.to(self.device))[0].to(self.dtype)
                self._texts.update(zip(new, texts, strict=True))
            return torch.stack([self._texts[prompt] for prompt in prompts])

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        vae = self.pipe.vae
        parts = []
        for chunk in frames.split(CHUNK):
            out = vae.encode((2 * chunk - 1).to(self.device, vae.dtype))
            parts.append(out.latents if hasattr(out, "latents") else out.latent_dist.mode())
        latents = torch.cat(parts).float() * vae.config.scaling_factor
        return latents.transpose(0, 1)[None]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        vae = self.pipe.vae
        scaled = (latents[0].transpose(0, 1) / vae.config.scaling_factor).to(self.device, vae.dtype)
        frames = torch.cat([vae.decode(chunk).sample for chunk in scaled.split(CHUNK)])
        return (frames.float().cpu() / 2 + 0.5).clamp(0, 1)

    def predict(self, latents: Tensor, t: Tensor | int, text: Tensor) -> Tensor:
        t = t.to(self.device) if isinstance(t, Tensor) else t
        with self.lock:
            out = self.unet(latents.to(self.device, self.dtype), t, text, return_dict=False)[0]
        return out.float()

    def spatial_lora(self, seed: int) -> AbstractContextManager[SpatialLora]:
        return spatial_lora(self.unet, seed)

    def scheduler(self, steps: int) -> Any:
        scheduler = type(self.pipe.scheduler).from_config(self.pipe.scheduler.config)
        try:
            scheduler.set_timesteps(steps, device=self.device)
        except ValueError as error:
            raise SettingsError(f"steps={steps} are not for {self.name}: {error}") from error
        return scheduler
