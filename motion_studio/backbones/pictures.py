"""What adapters share whose autoencoder sees every frame as a picture of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from motion_studio.backbones.base import Backbone


def seen(vae: nn.Module, frames: Tensor) -> Tensor:
    """Frames (F, 3, H, W) as the encoder of `vae` sees them: smaller where its decoder draws finer.

    Only an AutoencoderTiny may have a decoder of more levels than its encoder.
    """
    levels = len(vae.config.get("encoder_block_out_channels", vae.config.block_out_channels))
    finer = 2 ** (len(vae.config.block_out_channels) - levels)
    return frames if finer == 1 else avg_pool2d(frames, finer)


class PictureBackbone(Backbone):
    """A pipeline with an autoencoder of pictures, which takes `chunk` frames at once."""

    @property
    def latent_size(self) -> tuple[int, int]:
        factor = 2 ** (len(self.pipe.vae.config.block_out_channels) - 1)
        return self.height // factor, self.width // factor

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        vae = self.pipe.vae
        parts = []
        for chunk in frames.split(self.chunk):
            with self.lock:
                out = vae.encode((2 * seen(vae, chunk) - 1).to(self.device, vae.dtype))
            parts.append(out.latents if hasattr(out, "latents") else out.latent_dist.mode())
        latents = torch.cat(parts).float() * vae.config.scaling_factor
        return latents.transpose(0, 1)[None]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        vae = self.pipe.vae
        scaled = (latents[0].transpose(0, 1) / vae.config.scaling_factor).to(self.device, vae.dtype)
        with self.lock:
            frames = torch.cat([vae.decode(chunk).sample for chunk in scaled.split(self.chunk)])
        return (frames.float().cpu() / 2 + 0.5).clamp(0, 1)
