"""Base models of full size, or any size, with random weights: what they cost is measured without a download.

They have no text encoder and no autoencoder; texts and latents are random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    AutoencoderKLWan,
    DDIMScheduler,
    TextToVideoSDPipeline,
    UNet3DConditionModel,
    UNetMotionModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from torch import Tensor

from motion_studio.backbones.animatediff import AnimateDiffBackbone
from motion_studio.backbones.base import Backbone
from motion_studio.backbones.registry import BASES
from motion_studio.backbones.unet3d import UNet3DBackbone
from motion_studio.backbones.wan import WanBackbone

WIDTHS = (320, 640, 1280, 1280)
NOISE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}


class Random:
    """Stands before an adapter and draws its texts and latents: there is nothing to read."""

    tokens, text_width = 77, 768

    def _read(self, prompts: list[str]) -> Tensor:
        texts = torch.randn(len(prompts), self.tokens, self.text_width, generator=_drawn())
        return texts.to(self.device, self.dtype)

    def encode(self, frames: Tensor) -> Tensor:
        """Random latents (1, C, N, h, w) for frames (F, 3, H, W)."""
        shape = (1, self.latent_channels, self.latent_frames(len(frames)), *self.latent_size)
        return torch.randn(shape, generator=_drawn()).to(self.device)

    def decode(self, latents: Tensor) -> Tensor:
        """Black frames (F, 3, H, W)."""
        return torch.zeros(self.frames, 3, self.height, self.width)


class RandomAnimateDiff(Random, AnimateDiffBackbone):
    """AnimateDiff on Stable Diffusion 1.5's UNet."""


class RandomUNet3D(Random, UNet3DBackbone):
    """ModelScope's UNet."""


class RandomWan(Random, WanBackbone):
    """Wan 2.1's transformer."""

    tokens = 512


def animatediff(
    widths: Sequence[int] = WIDTHS, text_width: int = 768, heads: int = 8, layers: int = 2, groups: int = 32
) -> tuple[type[Backbone], Any]:
    """The adapter and the pipeline of AnimateDiff v3, on the current default device."""
    unet = UNetMotionModel(
        down_block_types=("CrossAttnDownBlockMotion",) * (len(widths) - 1) + ("DownBlockMotion",),
        up_block_types=("UpBlockMotion",) + ("CrossAttnUpBlockMotion",) * (len(widths) - 1),
        block_out_channels=tuple(widths),
        layers_per_block=layers,
        cross_attention_dim=text_width,
        num_attention_heads=heads,
        motion_num_attention_heads=heads,
        motion_max_seq_length=32,
        norm_num_groups=groups,
        use_motion_mid_block=False,
    )
    parts = {"text_encoder": None, "tokenizer": None, "motion_adapter": None}
    pipe = AnimateDiffPipeline(vae=_sizes_only(), unet=unet, scheduler=DDIMScheduler(**NOISE), **parts)
    return RandomAnimateDiff, pipe


def unet3d(
    widths: Sequence[int] = WIDTHS,
    text_width: int = 1024,
    head_width: int = 64,
    layers: int = 2,
    groups: int = 32,
) -> tuple[type[Backbone], Any]:
    """The adapter and the pipeline of ModelScope and ZeroScope, on the current default device."""
    unet = UNet3DConditionModel(
        down_block_types=("CrossAttnDownBlock3D",) * (len(widths) - 1) + ("DownBlock3D",),
        up_block_types=("UpBlock3D",) + ("CrossAttnUpBlock3D",) * (len(widths) - 1),
        block_out_channels=tuple(widths),
        layers_per_block=layers,
        cross_attention_dim=text_width,
        attention_head_dim=head_width,
        norm_num_groups=groups,
    )
    parts = {"text_encoder": None, "tokenizer": None}
    pipe = TextToVideoSDPipeline(vae=_sizes_only(), unet=unet, scheduler=DDIMScheduler(**NOISE), **parts)
    return RandomUNet3D, pipe


def wan(
    layers: int = 30, heads: int = 12, head_width: int = 128, inner: int = 8960, text_width: int = 4096
) -> tuple[type[Backbone], Any]:
    """The adapter and the pipeline of Wan 2.1 1.3B, on the current default device."""
    transformer = WanTransformer3DModel(
        num_layers=layers,
        num_attention_heads=heads,
        attention_head_dim=head_width,
        ffn_dim=inner,
        text_dim=text_width,
    )
    with torch.device("meta"):
        vae = AutoencoderKLWan()
    parts = {"text_encoder": None, "tokenizer": None, "transformer": transformer}
    return RandomWan, WanPipeline(vae=vae, scheduler=UniPCMultistepScheduler(**FLOW), **parts)


PIPELINES: dict[str, Callable[..., tuple[type[Backbone], Any]]] = {
    "animatediff": animatediff,
    "zeroscope": unet3d,
    "wan": wan,
}


def random_base(
    name: str,
    device: str,
    dtype: torch.dtype,
    size: tuple[int, int, int] | None = None,
    **sizes: Any,
) -> Backbone:
    """The base of that name with random weights of `dtype`, made on `device`.

    `size` is its frames, height and width (None: its own); `sizes` are those of its network. Raises KeyError
    for a base that isn't in PIPELINES.
    """
    spec = BASES[name]
    frames, height, width = size or (spec.frames, spec.height, spec.width)
    torch.manual_seed(0)
    with torch.device(device):
        kind, pipe = PIPELINES[name](**sizes)
    network = pipe.transformer if name == "wan" else pipe.unet
    network.to(dtype)
    backbone = kind(replace(spec, frames=frames, height=height, width=width), pipe)
    backbone.text_width = network.config.get("text_dim") or network.config.cross_attention_dim
    return backbone


def _drawn() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _sizes_only() -> AutoencoderKL:
    """An autoencoder of pictures that only says how much smaller its latents are."""
    with torch.device("meta"):
        return AutoencoderKL(
            block_out_channels=(32, 32, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
