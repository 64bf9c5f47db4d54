"""Training of the built-in model's autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from tqdm import tqdm

from motion_studio.backbones.pictures import seen
from motion_studio.toybox.data import frame_batch
from motion_studio.toybox.quicker import fastest_precision
from motion_studio.toybox.sample import HELD_OUT

LATENT_NOISE = 0.05


def weighted_error(made: Tensor, frames: Tensor) -> Tensor:
    """Return the squared and absolute error of pictures (B, 3, H, W), saturated pixels up to fourfold."""
    saturation = frames.amax(1, keepdim=True) - frames.amin(1, keepdim=True)
    weight = 1 + 3 * saturation
    difference = made - frames
    return (weight * (difference.square() + 0.1 * difference.abs())).mean()


def _loss(vae: nn.Module, frames: Tensor) -> Tensor:
    """Return the error of pictures made from noisy latents, and how far those are from unit spread."""
    latents = vae.encode(seen(vae, frames) * 2 - 1).latents
    made = vae.decode(latents + LATENT_NOISE * torch.randn_like(latents)).sample
    latents, made = latents.float(), (made.float() + 1) / 2
    spread = latents.var((0, 2, 3)) - 1
    even = (spread.square() + latents.mean((0, 2, 3)).square()).mean()
    return weighted_error(made, frames) + 0.01 * even


def train_autoencoder(
    vae: nn.Module,
    steps: int,
    seed: int,
    device: torch.device,
    precision: str | None = None,
    decoder_only: bool = False,
) -> list[tuple[int, float]]:
    """Train an `AutoencoderTiny` in place on rendered frames; return its curve as (step, PSNR in dB).

    `precision` is "no" or "bf16", None the faster by a short timing. With `decoder_only` the latents stay
    what they are, so that a denoiser trained on them fits still.
    """
    trained = vae.decoder if decoder_only else vae
    vae.requires_grad_(False)
    trained.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=2e-3, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.05)
    first = frame_batch(seed).to(device)
    precision = precision or fastest_precision(lambda: _loss(vae, first), vae)
    torch.manual_seed(seed)
    curve = []
    for step in tqdm(range(steps), desc="decoder" if decoder_only else "autoencoder", mininterval=5):
        frames = frame_batch(seed * 1_000_003 + step + 500_000 * decoder_only).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = _loss(vae, frames)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 250 == 249 or step == steps - 1:
            curve.append((step + 1, psnr(vae, seed, device)))
            print(f"autoencoder step {step + 1}: {curve[-1][1]:.2f} dB", flush=True)
    return curve


@torch.no_grad()
def psnr(vae: nn.Module, seed: int, device: torch.device) -> float:
    """Return the mean peak signal-to-noise ratio in dB on held-out frames in their own colours."""
    frames = frame_batch(HELD_OUT + seed).to(device)
    made = ((vae.decode(vae.encode(seen(vae, frames) * 2 - 1).latents).sample + 1) / 2).clamp(0, 1)
    return float(-10 * torch.log10((made - frames).square().mean((1, 2, 3))).mean())
