"""Adapter over LattePipeline (arXiv 2401.03048): spatial and temporal transformer blocks by turns."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from diffusers import LattePipeline
from torch import Tensor

from motion_studio.backbones.injection import Site, in_rows
from motion_studio.backbones.pictures import PictureBackbone
from motion_studio.backbones.registry import BaseSpec
from motion_studio.backbones.spatial_lora import SpatialLora, spatial_lora
from motion_studio.backbones.unet import loading
from motion_studio.errors import SettingsError

MAX_TOKENS = 120
"""Tokens of a prompt that the model was taught with."""


class LatteBackbone(PictureBackbone):
    """A LattePipeline, its parts frozen and in evaluation mode."""

    hashed_as = torch.bfloat16

    def __init__(self, spec: BaseSpec, pipe: LattePipeline, device: str | None = None) -> None:
        super().__init__(spec, pipe, device)
        blocks = enumerate(pipe.transformer.temporal_transformer_blocks)
        self.layers = in_rows(
            {f"temporal_transformer_blocks.{index}.attn1": block.attn1 for index, block in blocks}
        )

    def latent_frames(self, frames: int) -> int:
        length = self.denoiser.config.video_length
        if frames != length:
            raise SettingsError(f"frames={frames}: {self.name} makes {length}, no more and no fewer")
        return frames

    @property
    def latent_channels(self) -> int:
        return self.denoiser.config.in_channels

    def sites_at(self, latent_size: tuple[int, int]) -> dict[str, Site]:
        patch = self.denoiser.config.patch_size
        grid = (latent_size[0] // patch, latent_size[1] // patch)
        return {name: Site(name, layer.to_q.in_features, grid) for name, layer in self.layers.items()}

    def encode_text(self, prompts: list[str]) -> Tensor:
        # As the pipeline, which masks no padding: all are as long as the last, where guidance leads to.
        last = self.pipe.tokenizer(_plain(prompts[-1]), max_length=MAX_TOKENS, truncation=True)
        return super().encode_text(prompts)[:, : len(last.input_ids)]

    def _read(self, prompts: list[str]) -> Tensor:
        texts, _ = self.pipe.encode_prompt(
            [_plain(prompt) for prompt in prompts],
            do_classifier_free_guidance=False,
            mask_feature=False,
            device=self.device,
        )
        return texts.to(self.dtype)

    def predict(self, latents: Tensor, t: Tensor | float, text: Tensor) -> Tensor:
        times = torch.as_tensor(t, device=self.device).expand(len(latents))
        with self.lock:
            out = self.denoiser(
                latents.to(self.device, self.dtype), times, encoder_hidden_states=text, return_dict=False
            )[0]
        # What is left is the variance that it was taught beside.
        return out[:, : self.latent_channels].float()

    def spatial_lora(self, seed: int) -> AbstractContextManager[SpatialLora]:
        return spatial_lora(self.denoiser, self.layers, seed, self.lock)


def _plain(prompt: str) -> str:
    """A prompt as the pipeline writes it."""
    return prompt.lower().strip()


def load(spec: BaseSpec, device: str) -> LatteBackbone:
    """The pipeline of `spec`: bfloat16 on CUDA, its autoencoder in float32; OSError when it cannot be had."""
    computed = torch.bfloat16 if device.startswith("cuda") else torch.float32
    how = {**loading(spec.repo, device), "dtype": {"default": computed, "vae": torch.float32}}
    pipe = LattePipeline.from_pretrained(spec.repo, revision=spec.revision, **how)
    return LatteBackbone(spec, pipe, device)
