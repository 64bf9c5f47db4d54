"""Adapter over WanPipeline (Wan 2.1, arXiv 2503.20314): attention over all places and frames at once.

Its autoencoder takes frames by four, the first by itself. A motion's N are latent frames: 21 for 81 pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from diffusers import AutoencoderKLWan, WanPipeline
from torch import Tensor
from torch.nn.functional import one_hot, scaled_dot_product_attention

from motion_studio.backbones.base import Backbone
from motion_studio.backbones.injection import Heard, MotionProcessor, Part, Site, attention
from motion_studio.backbones.registry import BaseSpec
from motion_studio.backbones.spatial_lora import SpatialLora, spatial_lora
from motion_studio.backbones.unet import loading
from motion_studio.errors import SettingsError
from motion_studio.motion.embedding import SiteEmbedding

MAX_TOKENS = 512
"""Tokens of a prompt that the model was taught with."""


class WanProcessor(MotionProcessor):
    """Self-attention over tokens (B, N·P, C), frames first, with embeddings on its features.

    `qk` (N, C) is the same for all tokens of a frame, v (P, N, C) has one vector a token. After that queries
    and keys are normalised and turned by their places (RoPE, Su et al., arXiv 2104.09864) as ever.
    """

    def __init__(
        self, embedding: SiteEmbedding | Heard, version: str, live: bool = False, part: Part | None = None
    ) -> None:
        # Dense, v has 50 million numbers a site at full size: it is always made anew from its factors.
        super().__init__(embedding, version, live=True, part=part)

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        qk = self.embedding.qk.to(hidden_states.dtype)
        by_frame = self.by_frame(hidden_states, len(qk))
        matched = (by_frame + qk[:, None]).flatten(1, 2)
        query, key = (both.flatten(2) for both in _query_and_key(attn, matched, rotary_emb))
        value = attn.to_v(matched if self.version == "v1" else self._valued(hidden_states))
        nearness = None
        if self.part is not None:
            query = self.by_frame(query, len(qk))[:, self.part.frames].flatten(1, 2)
            nearness = self.part.nearness.repeat_interleave(by_frame.shape[2])
        mixed = attention(query, key, value, attn.heads, nearness)
        return attn.to_out[1](attn.to_out[0](mixed))

    @staticmethod
    def by_frame(hidden_states: Tensor, frames: int) -> Tensor:
        return hidden_states.unflatten(1, (frames, -1))

    def _valued(self, hidden: Tensor) -> Tensor:
        v = self.embedding.v()
        return hidden if v is None else hidden + v.transpose(0, 1).flatten(0, 1).to(hidden.dtype)

    @staticmethod
    def attention_map(
        attn: Any,
        hidden_states: Tensor,
        frames: int,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """The mean map (N, N) of the bare layer: the weight that tokens of frame n give to those of each."""
        query, key = (part.transpose(1, 2) for part in _query_and_key(attn, hidden_states, rotary_emb))
        tokens, width = query.shape[2:]
        # What a token reads when each value says whose frame it is of; as wide as the keys, for fast kernels.
        frame = torch.arange(tokens, device=query.device) // (tokens // frames)
        whose = one_hot(frame, max(frames, width)).to(query.dtype).expand(*query.shape[:2], -1, -1)
        read = scaled_dot_product_attention(query, key, whose)[..., :frames].float()
        return read.unflatten(2, (frames, -1)).mean((0, 1, 3))


def _query_and_key(
    attn: Any, features: Tensor, rotary: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Queries and keys (B, N·P, heads, d) of features (B, N·P, C), normalised and turned by their places."""
    both = (attn.norm_q(attn.to_q(features)), attn.norm_k(attn.to_k(features)))
    query, key = (part.unflatten(-1, (attn.heads, -1)) for part in both)
    return (query, key) if rotary is None else (_turned(query, *rotary), _turned(key, *rotary))


def _turned(part: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each pair of neighbouring channels turned; `cos` and `sin` (1, N·P, 1, d) hold each angle twice."""
    first, second = part.unflatten(-1, (-1, 2)).unbind(-1)
    across = torch.stack([-second, first], -1).flatten(-2)
    return (part * cos + across * sin).type_as(part)


class WanBackbone(Backbone):
    """A WanPipeline with one transformer, its parts frozen and in evaluation mode."""

    processor = WanProcessor
    hashed_as = torch.bfloat16

    def __init__(self, spec: BaseSpec, pipe: WanPipeline, device: str | None = None) -> None:
        super().__init__(spec, pipe, device)
        self.layers = {
            f"blocks.{index}.attn1": block.attn1 for index, block in enumerate(pipe.transformer.blocks)
        }
        config = pipe.vae.config
        mean, std = (
            torch.tensor(figures).view(1, -1, 1, 1, 1)
            for figures in (config.latents_mean, config.latents_std)
        )
        self._mean, self._std = mean, std

    def latent_frames(self, frames: int) -> int:
        step = self.pipe.vae_scale_factor_temporal
        more = (frames - 1) % step
        if more:
            near = f"{frames - more} or {frames - more + step}"
            raise SettingsError(f"frames={frames}: {self.name} makes one and a multiple of {step}, as {near}")
        return (frames - 1) // step + 1

    @property
    def latent_size(self) -> tuple[int, int]:
        factor = self.pipe.vae_scale_factor_spatial
        return self.height // factor, self.width // factor

    @property
    def latent_channels(self) -> int:
        return self.denoiser.config.in_channels

    def sites_at(self, latent_size: tuple[int, int]) -> dict[str, Site]:
        _, down, across = self.denoiser.config.patch_size
        grid = (latent_size[0] // down, latent_size[1] // across)
        return {name: Site(name, layer.to_q.in_features, grid) for name, layer in self.layers.items()}

    def _read(self, prompts: list[str]) -> Tensor:
        texts, _ = self.pipe.encode_prompt(
            prompts,
            do_classifier_free_guidance=False,
            max_sequence_length=MAX_TOKENS,
            device=self.device,
            dtype=self.dtype,
        )
        return texts

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        vae = self.pipe.vae
        video = (2 * frames - 1).transpose(0, 1)[None].to(self.device, vae.dtype)
        with self.lock, _nothing_kept(vae):
            latents = vae.encode(video).latent_dist.mode().float()
        return (latents - self._mean.to(latents)) / self._std.to(latents)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        vae = self.pipe.vae
        scaled = latents * self._std.to(latents) + self._mean.to(latents)
        with self.lock, _nothing_kept(vae):
            video = vae.decode(scaled.to(self.device, vae.dtype)).sample
        return (video[0].transpose(0, 1).float().cpu() / 2 + 0.5).clamp(0, 1)

    def predict(self, latents: Tensor, t: Tensor | float, text: Tensor) -> Tensor:
        times = torch.as_tensor(t, device=self.device).expand(len(latents))
        with self.lock:
            out = self.denoiser(latents.to(self.device, self.dtype), times, text, return_dict=False)[0]
        return out.float()

    def scheduler(self, steps: int) -> Any:
        scheduler = super().scheduler(steps)
        # Many steps round to the same timestep: it isn't to look for the first by its timestep.
        scheduler.set_begin_index(0)
        return scheduler

    def spatial_lora(self, seed: int) -> AbstractContextManager[SpatialLora]:
        # What is left is attention to the text, which each token does for itself.
        return spatial_lora(self.denoiser, self.layers, seed, self.lock)


@contextmanager
def _nothing_kept(vae: AutoencoderKLWan) -> Iterator[None]:
    """What the autoencoder keeps of a frame for the next one goes when it fails, too: it is gigabytes."""
    try:
        yield
    finally:
        vae.clear_cache()


def load(spec: BaseSpec, device: str) -> WanBackbone:
    """The pipeline of `spec`: bfloat16 on CUDA, its autoencoder in float32 as its authors have it.

    OSError when its files cannot be had.
    """
    computed = torch.bfloat16 if device.startswith("cuda") else torch.float32
    how = {**loading(spec.repo, device), "dtype": {"default": computed, "vae": torch.float32}}
    pipe = WanPipeline.from_pretrained(spec.repo, revision=spec.revision, **how)
    return WanBackbone(spec, pipe, device)
