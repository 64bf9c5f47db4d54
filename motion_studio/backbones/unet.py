"""What adapters over UNets share: a text encoder, and sites read off a pass."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from transformers.utils import logging as transformers_logging

from motion_studio.backbones.hub import variant
from motion_studio.backbones.injection import Site, in_rows
from motion_studio.backbones.pictures import PictureBackbone
from motion_studio.backbones.registry import BaseSpec
from motion_studio.backbones.sites import find_sites, temporal_attention
from motion_studio.backbones.spatial_lora import SpatialLora, spatial_lora


def precision(device: str) -> torch.dtype:
    """The type that a UNet computes in: float16 on CUDA, float32 elsewhere."""
    return torch.float16 if device.startswith("cuda") else torch.float32


def loading(source: str, device: str) -> dict[str, Any]:
    """How the weights in a folder are loaded for `device`: from safetensors alone, without a bar."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    return {"dtype": precision(device), "use_safetensors": True, "variant": variant(source)}


class UNetBackbone(PictureBackbone):
    """A pipeline of unet, vae, text_encoder, tokenizer and scheduler, frozen and in evaluation mode."""

    def __init__(self, spec: BaseSpec, pipe: Any, device: str | None = None) -> None:
        super().__init__(spec, pipe, device)
        self.unet = pipe.unet
        self.layers = in_rows(temporal_attention(pipe.unet))
        self._sites: dict[tuple[int, int], dict[str, Site]] = {}

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

    def _read(self, prompts: list[str]) -> Tensor:
        tokenizer = self.pipe.tokenizer
        tokens = tokenizer(
            prompts,
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return self.pipe.text_encoder(tokens.input_ids.to(self.device))[0].to(self.dtype)

    def predict(self, latents: Tensor, t: Tensor | int, text: Tensor) -> Tensor:
        t = t.to(self.device) if isinstance(t, Tensor) else t
        with self.lock:
            out = self.unet(latents.to(self.device, self.dtype), t, text, return_dict=False)[0]
        return out.float()

    def spatial_lora(self, seed: int) -> AbstractContextManager[SpatialLora]:
        return spatial_lora(self.unet, self.layers, seed, self.lock)
