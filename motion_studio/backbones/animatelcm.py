"""AnimateLCM: AnimateDiff taught to make a clip in a few steps (arXiv 2402.00769)."""

from __future__ import annotations

from diffusers import LCMScheduler

from motion_studio.backbones.animatediff import AnimateDiffBackbone, pipeline
from motion_studio.backbones.hub import repo_and_file
from motion_studio.backbones.registry import BaseSpec
from motion_studio.backbones.unet import precision

LORA_SCALE = 0.8


def load(spec: BaseSpec, device: str) -> AnimateDiffBackbone:
    """The pipeline of `spec`, its LoRA merged in, its denoiser on `device`; OSError if it cannot be had."""
    # Merged in float32 on every device, so that the weights' hash is the same on all.
    pipe = pipeline(spec, "cpu")
    repo, name = repo_and_file(spec.parts["lora"])
    pipe.load_lora_weights(repo, weight_name=name, use_safetensors=True)
    pipe.fuse_lora(lora_scale=LORA_SCALE)
    pipe.unload_lora_weights()
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
    return AnimateDiffBackbone(spec, pipe.to(precision(device)), device)
