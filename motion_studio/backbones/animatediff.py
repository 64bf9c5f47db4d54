"""Adapter over AnimateDiffPipeline: a 2-D UNet with motion modules between its layers (arXiv 2307.04725)."""

from __future__ import annotations

from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter
from torch import Tensor

from motion_studio.backbones.registry import BaseSpec
from motion_studio.backbones.unet import UNetBackbone, loading

ADAPTED = {"beta_schedule": "linear", "clip_sample": False, "timestep_spacing": "linspace", "steps_offset": 1}
"""The schedule that the adapters for Stable Diffusion 1.5 were taught with, whatever the picture model's."""


class AnimateDiffBackbone(UNetBackbone):
    """Any AnimateDiffPipeline, its parts frozen and in evaluation mode."""

    def predict(self, latents: Tensor, t: Tensor | int, text: Tensor) -> Tensor:
        # The 2-D layers see every frame as a picture of its own and want its text with it.
        return super().predict(latents, t, text.repeat_interleave(latents.shape[2], dim=0))


def load(spec: BaseSpec, device: str) -> AnimateDiffBackbone:
    """The pipeline of `spec`, its denoiser on `device`; OSError when its files cannot be had."""
    return AnimateDiffBackbone(spec, pipeline(spec, device), device)


def pipeline(spec: BaseSpec, device: str) -> AnimateDiffPipeline:
    """An AnimateDiff pipeline, or one of Stable Diffusion 1.5 with the motion adapter of `spec.parts` put in.

    Its weights are as `device` wants them, but not yet there. Raises OSError when its files cannot be had.
    """
    source = spec.parts.get("motion_adapter")
    # An index may name what is not fetched: parts for pictures as prompts, an adapter that is in the UNet.
    parts = {"feature_extractor": None, "image_encoder": None, "motion_adapter": None}
    if source is not None:
        parts["motion_adapter"] = MotionAdapter.from_pretrained(source, **loading(source, device))
    how = loading(spec.repo, device)
    pipe = AnimateDiffPipeline.from_pretrained(spec.repo, revision=spec.revision, **parts, **how)
    if source is None:
        return pipe
    pipe.register_modules(motion_adapter=None)  # its weights are in the UNet now
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, **ADAPTED)
    return pipe
